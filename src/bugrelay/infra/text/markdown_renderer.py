"""The renderer of Markdown, with its limits.

Two libraries in a row ensure that the HTML is safe: markdown-it-py passes no HTML through, and nh3 allows only the
elements below, whatever the first one does.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

# A short text can render to a very long one: a reference link repeats its URL at each use (5,000 characters give 2 MB);
# a table is padded with cells in each row (65,536 of them, in over a second). Beyond these limits it is shown as plain
# text.
_MAX_SOURCE: Final = 10_000
_MAX_CELLS: Final = 3_000
_MAX_CONTENT: Final = 100_000
_CELL_WEIGHT: Final = 10
_STEPS_PER_CHARACTER: Final = 4
_MAX_NESTING: Final = 20

_LINKED_SCHEME = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
# The row of a table that defines its columns, also inside lists and quotations.
_DELIMITER_ROW = re.compile(r"^[ \t>|:*+.)0-9-]+$", re.MULTILINE)
_LANGUAGE = re.compile(r"language-[\w+#.-]{1,30}")


class _TooCostly(Exception):
    """Parsing takes more steps than any text that is written to be read."""


class _BoundedInline(ParserInline):
    """Inline parsing with a limited number of lookahead steps.

    For each opening bracket the parser looks ahead for its end. Unclosed nested brackets would make that quadratic:
    each character is passed once for each level.
    """

    def skipToken(self, state: StateInline) -> None:  # noqa: N802 - the library's name
        state.env["steps_left"] -= 1
        if state.env["steps_left"] < 0:
            raise _TooCostly
        super().skipToken(state)


class _Markdown(MarkdownIt):
    """CommonMark with tables and strikethrough, line breaks as typed, and links to the web and mail only."""

    def __init__(self) -> None:
        super().__init__()
        self.inline = _BoundedInline()
        self.configure("commonmark", {"html": False, "breaks": True, "maxNesting": _MAX_NESTING})
        self.enable(["table", "strikethrough"])
        self.core.ruler.push("images_as_links", _images_as_links)

    def validateLink(self, url: str) -> bool:  # noqa: N802 - the library's name
        """Refuse other links here rather than in nh3, so that their source is shown as typed, with the URL."""
        return bool(_LINKED_SCHEME.match(url))


def rendered(source: str) -> str:
    """Return Markdown as clean HTML; see `bugrelay.infra.text.markdown.render`."""
    if len(source) > _MAX_SOURCE or _max_cells(source) > _MAX_CELLS:
        return _plain(source)
    environment: dict[str, object] = {"steps_left": _STEPS_PER_CHARACTER * len(source)}
    try:
        tokens = _MARKDOWN.parse(source, environment)
    except _TooCostly:
        return _plain(source)
    if _weight(tokens) > _MAX_CONTENT:
        return _plain(source)
    return _CLEANER.clean(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, environment))


def _plain(source: str) -> str:
    return "<p>" + html.escape(source, quote=False).replace("\n", "<br>\n") + "</p>\n"


def _max_cells(source: str) -> int:
    """Return an upper bound of the number of table cells: the columns of the widest table for every line."""
    columns = max((row[0].count("|") + 1 for row in _DELIMITER_ROW.finditer(source)), default=0)
    return columns * (source.count("\n") + 1)


def _weight(tokens: Sequence[Token]) -> int:
    """Return the approximate number of characters that the tokens render to."""
    return sum(
        _CELL_WEIGHT + len(token.content) + sum(len(str(value)) for value in token.attrs.values())
        for token in _flat(tokens)
    )


def _flat(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from token.children or ()


def _images_as_links(state: StateCore) -> None:
    """Replace each image by a link with its alternative text; inside a link, by the text alone."""
    for token in state.tokens:
        if token.type != "inline":
            continue
        shown: list[Token] = []
        open_links = 0
        for child in token.children or ():
            open_links += {"link_open": 1, "link_close": -1}.get(child.type, 0)
            shown += _image_link(child, linked=open_links > 0) if child.type == "image" else [child]
        token.children = shown


def _image_link(image: Token, *, linked: bool) -> list[Token]:
    address = str(image.attrs["src"])
    text = Token(
        "text", "", 0, content=_alternative_text(image.children or ()) or ("image" if linked else address)
    )
    if linked:
        return [text]
    attributes = {"href": address} | ({"title": image.attrs["title"]} if "title" in image.attrs else {})
    return [Token("link_open", "a", 1, attrs=attributes), text, Token("link_close", "a", -1)]


def _alternative_text(tokens: Iterable[Token]) -> str:
    """Return the text of an image's label, including that of images inside it."""
    return "".join(
        _alternative_text(token.children) if token.children else token.content for token in tokens
    ).strip()


def _allowed_attribute(_element: str, attribute: str, value: str) -> str | None:
    """Allow a class only if it is the language of a code block."""
    return value if attribute != "class" or _LANGUAGE.fullmatch(value) else None


_MARKDOWN: Final = _Markdown()
_ELEMENTS: Final = """
    a blockquote br code em h1 h2 h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul
"""
_CLEANER: Final = nh3.Cleaner(
    tags=set(_ELEMENTS.split()),
    attributes={"a": {"href", "title"}, "code": {"class"}, "ol": {"start"}},
    attribute_filter=_allowed_attribute,
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="nofollow noopener noreferrer ugc",
)
