"""The report in a browser: it opens, filters, pages and prints; what attacks it does nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed")

from playwright.sync_api import Browser, BrowserContext, Error, Page

from backtrans.report.figures import Report
from backtrans.report.page import page as rendered
from tests.report import browser as chromium
from tests.report import world

pytestmark = pytest.mark.slow

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    pipeline = world.run(tmp_path_factory.mktemp("report"), **world.rewriting())
    return world.reported(pipeline)


@pytest.fixture(scope="module")
def path(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(rendered(report))
    return path


@pytest.fixture(scope="module")
def browser(path: Path) -> Iterator[Browser]:
    """A browser, opened when the page is there: its driver then has this thread's event loop."""
    if (there := chromium.found()) is None:
        pytest.skip("no Chromium: `make chromium` found none, and none is installed")
    with chromium.opened(*there) as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser, path: Path) -> Iterator[Open]:
    """Open the report; at the end of the test, nothing may have been said or asked for."""
    contexts: list[BrowserContext] = []
    said: list[str] = []
    asked: list[str] = []

    def open_page(**settings: object) -> Page:
        context = browser.new_context(**settings)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " (event) => console.error('refused: ' + event.violatedDirective))"
        )
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert asked == [path.as_uri()] * len(contexts)


def shown(page: Page) -> list[dict[str, str]]:
    found: list[dict[str, str]] = page.evaluate(
        "[...document.querySelectorAll('.sample')].filter(e => e.checkVisibility())"
        ".map(e => ({...e.dataset}))"
    )
    return found


def total(report: Report, *, kept: bool) -> int:
    return sum(len(g.samples) for g in report.groups if bool(g.samples[0].split) == kept)


def test_documents_that_attack_the_page_do_nothing(opened: Open) -> None:
    page = opened()
    assert page.evaluate("window.stung") is None
    page.select_option("#size", "")
    text = page.inner_text("main")
    for attack in world.ATTACKS[:5]:
        assert attack in text
    assert page.locator("iframe, img, object, main a:not([href^='#'])").count() == 0
    for each in page.locator("main a").all()[:3]:
        each.click()
    page.wait_for_timeout(50)
    assert page.evaluate("window.stung") is None
    assert page.url.startswith("file:")


def test_a_policy_violation_would_be_seen(browser: Browser, path: Path, tmp_path: Path) -> None:
    """The other tests can fail: the same page with a script of others' in it."""
    other = tmp_path / "other.html"
    html = path.read_text().replace("<main>", "<main><script>window.stung = 7</script>")
    other.write_text(html)
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(other.as_uri())
    assert page.evaluate("window.stung") is None
    assert any("Content Security Policy" in each for each in said)
    page.close()


def test_samples_are_paged(opened: Open, report: Report) -> None:
    page = opened()
    every = total(report, kept=True) + total(report, kept=False)
    assert len(shown(page)) == 10
    assert page.inner_text("#found") == f"{every} of {every} samples; page 1 of {-(-every // 10)}"
    assert page.is_disabled("#earlier")
    first = page.locator(".sample:visible").first.inner_text()
    page.click("#later")
    assert page.locator(".sample:visible").first.inner_text() != first
    page.keyboard.press("ArrowLeft")
    assert page.locator(".sample:visible").first.inner_text() == first
    page.select_option("#size", "")
    assert len(shown(page)) == every
    assert page.is_disabled("#later")


def test_samples_are_filtered_by_outcome_reason_and_score(opened: Open, report: Report) -> None:
    page = opened()
    page.select_option("#size", "")
    page.select_option("#outcome", "kept")
    assert len(shown(page)) == total(report, kept=True)
    page.select_option("#outcome", "A5")
    assert {each["split"] for each in shown(page)} == {"A5"}
    page.click("#clear")
    page.select_option("#reason", "curate/below_a4")
    below = next(g for g in report.groups if g.name == "curate/below_a4")
    assert len(shown(page)) == len(below.samples)
    assert {each["kind"] for each in shown(page)} == {"refused"}
    assert page.locator(".group:visible").count() == 1
    page.click("#clear")
    page.fill("#low", "2")
    page.fill("#high", "2.4")
    scores = [s.score for g in report.groups for s in g.samples if s.score is not None]
    assert len(shown(page)) == sum(2 <= score <= 2.4 for score in scores) > 0
    page.click("#clear")
    page.fill("#words", "STINGING-3")
    assert 0 < len(shown(page)) <= 2
    page.fill("#words", "no text has these words")
    assert shown(page) == []
    assert "0 of" in page.inner_text("#found")


def test_the_link_of_a_reason_shows_its_samples(opened: Open) -> None:
    page = opened()
    page.locator("a[data-reason='curate/below_a4']").click()
    assert {each["reason"] for each in shown(page)} == {"curate/below_a4"}
    assert page.input_value("#reason") == "curate/below_a4"


def test_without_javascript_everything_is_there(opened: Open, report: Report) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator(".sample:visible").count() == total(report, kept=True) + total(
        report, kept=False
    )
    assert page.locator("#controls:visible, #pages:visible").count() == 0
    assert page.locator("ins:visible").count() > 0
    page.locator("summary").first.click()
    assert page.locator("details table:visible").count() == 1


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_desk_and_a_telephone_light_and_dark(
    opened: Open, width: int, scheme: str
) -> None:
    page = opened(color_scheme=scheme, viewport={"width": width, "height": 900})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, "nothing stands out at the side"
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]
    bar = page.evaluate("getComputedStyle(document.querySelector('.chart .fill')).fill")
    assert bar == {"light": "rgb(47, 111, 181)", "dark": "rgb(107, 166, 232)"}[scheme]


def test_on_paper_it_is_dark_on_white_and_has_no_controls(opened: Open) -> None:
    page = opened(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.locator("#controls:visible, #pages:visible, .contents:visible").count() == 0
    assert page.locator(".chart:visible").count() > 5


def test_it_can_be_used_by_keyboard_alone(opened: Open) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "outcome"


def test_a_browser_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Error), chromium.opened(tmp_path / "none", {}):
        pass
