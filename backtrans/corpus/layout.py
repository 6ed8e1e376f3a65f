"""Tell what a page says for its own sake from what it says to a reader, by its markup alone.

Does not know: text. Nothing here is guessed from words.
"""

import re

# Source: WHATWG HTML, 6.1 (hidden), WAI-ARIA 1.2, 6.6 (aria-hidden), CSS 2.2, 9.2.4 and 11.2.
HIDDEN = re.compile(
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
# What stands in no cell of a table of data.
_NO_DATA = frozenset("h1 h2 h3 h4 h5 h6 ul ol dl pre blockquote hr form main article nav".split())


def furnishes(attributes: str) -> bool:
    """Say whether an element's role, id or class is that of a page's furniture."""
    return _FURNITURE.search(attributes) is not None


class _Table:
    """What has been seen of a table that is still open."""

    __slots__ = ("cells", "data", "paragraphs", "place", "rows", "widest")

    def __init__(self, place: int, data: bool) -> None:
        self.place, self.data = place, data
        self.rows = self.cells = self.widest = self.paragraphs = 0


def tables_of_data(tags: list[str], attributes: list[str]) -> frozenset[int]:
    """Return the places of the tables that hold data, and not the page's layout.

    They have two rows and two columns at least, and no cell of theirs holds a header, a list, code,
    another table or two paragraphs.
    """
    if "table" not in tags:
        return frozenset()
    found: list[int] = []
    opened: list[_Table] = []
    for place, tag in enumerate(tags):
        if tag == "table":
            if opened:
                opened[-1].data = False
            opened.append(_Table(place, 'role="presentation"' not in attributes[place]))
        elif not opened:
            continue
        elif tag == "/table":
            table = opened.pop()
            if table.data and table.rows > 1 and table.widest > 1:
                found.append(table.place)
        elif tag == "tr":
            opened[-1].rows += 1
            opened[-1].cells = 0
        elif tag in ("td", "th"):
            table = opened[-1]
            table.cells, table.paragraphs = table.cells + 1, 0
            table.widest = max(table.widest, table.cells)
        elif tag == "p":
            opened[-1].paragraphs += 1
            opened[-1].data &= opened[-1].paragraphs < 2
        elif tag in _NO_DATA:
            opened[-1].data = False
    return frozenset(found)
