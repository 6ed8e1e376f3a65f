"""Tell what a page says for its own sake from what it says to a reader, by its markup alone.

Navigation, forms, banners, footers and what is hidden are left out, and asides outside of the
page's main part.

Does not know: text. Nothing here is guessed from words.
"""

import re

from backtrans.corpus.markup import Markup

# Source: pages have a few elements of such names; each look may pass over the whole page.
MAX_LOOKS = 200
# Source: the lower end of a segment (2308.06259): so much text is no form's, but a page's that is
# wrapped in a form, as ASP.NET's pages are.
MIN_FORM_CHARS = 600

# Source: WHATWG HTML, 6.1 (hidden), WAI-ARIA 1.2, 6.6 (aria-hidden), CSS 2.2, 9.2.4 and 11.2.
_HIDDEN = re.compile(
    r' (?:hidden="(?:hidden)?"|aria-hidden="true"'
    r'|style="[^"]*(?:display\s*:\s*none|visibility\s*:\s*hidden))',
    re.IGNORECASE,
)
# Source: WAI-ARIA 1.2, 5.3.4, landmarks, without the main ones; and the names that Bootstrap's and
# WordPress's pages give to such elements. Whole names: a class "navy" hides nothing.
_FURNITURE = re.compile(
    r' (?:role="(?:navigation|search|banner|contentinfo|complementary|dialog|alertdialog|menu'
    r'|menubar|toolbar)"'
    r'|(?:id|class)="(?:[^"]* )?(?:nav|navbar|navigation|menu|main-menu|breadcrumbs?|sidebar|footer'
    r"|site-footer|page-footer|site-navigation|pagination|cookie-banner|cookie-notice|skip-link"
    r'|share-buttons|social-links|related-posts|newsletter)[ "])',
    re.IGNORECASE,
)
_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li listing main menu "
    "nav ol option p pre search section summary table tbody td tfoot th thead tr ul xmp".split()
)
BLOCK_TAGS = {name: name for name in _BLOCKS} | {f"/{name}": name for name in _BLOCKS}
"""Tags of elements that end the line before them and after them, and the elements' names."""

DROPPED = frozenset(
    "nav dialog label footer search noscript template object svg canvas audio video annotation "
    "map".split()
)
"""Elements that are left out wherever they stand."""

_KEPT = frozenset("body main article html h1 h2 h3 h4 h5 h6".split())  # whatever their names say
_NAMED, _HIDES = 1, 2  # what an element is by its attributes


class Layout:
    """Which of a page's elements are not for its reader.

    `plain` are the attributes that have been found to say nothing of it: they repeat within a page.
    """

    __slots__ = ("_looks", "_markup", "_one_h1", "_telling", "plain")

    def __init__(self, markup: Markup) -> None:
        self.plain: set[str] = set()
        self._markup = markup
        self._telling: dict[str, int] = {}
        self._looks = 0
        self._one_h1 = markup.tags.count("h1") == 1

    def hides(self, attributes: str) -> bool:
        """Say whether attributes hide what their element holds."""
        return self._kind(attributes) == _HIDES

    def leaves_out(self, place: int) -> bool:
        """Say whether an element is, by its attributes, hidden or the page's furniture."""
        kind = self._kind(self._markup.attributes[place])
        if kind == _HIDES:
            return self._markup.tags[place] != "body"  # which a script would show
        return kind == _NAMED and self._is_furniture(place)

    def only_h1(self, place: int, end: int) -> tuple[int, int] | None:
        """Return the places of the page's only h1 and its end tag where a banner holds them."""
        tags = self._markup.tags
        if tags[place] != "header" or not self._one_h1:
            return None
        held = tags[place:end]
        if "h1" not in held or "/h1" not in held:
            return None
        return place + held.index("h1"), place + held.index("/h1")

    def is_small(self, place: int, end: int) -> bool:
        """Say whether an element holds less text than what a page wraps in a form."""
        held = self._markup.texts[place + 1 : end + 1]
        return sum(len(text.strip()) for text in held) < MIN_FORM_CHARS

    def _kind(self, attributes: str) -> int:
        kind = self._telling.get(attributes)
        if kind is None:
            kind = _NAMED if _FURNITURE.search(attributes) else 0
            kind = _HIDES if _HIDDEN.search(attributes) else kind
            if kind:
                self._telling[attributes] = kind
            else:
                self.plain.add(attributes)
        return kind

    def _is_furniture(self, place: int) -> bool:
        """Say whether an element is what its role, class or id says, and not the page's content."""
        tags = self._markup.tags
        tag = tags[place]
        if tag in _KEPT or tag.startswith("/"):
            return False
        self._looks += 1
        if self._looks > MAX_LOOKS:
            return False
        held = tags[place : self._markup.end_of(place)]
        return not any(name in held for name in ("h1", "main", "article"))
