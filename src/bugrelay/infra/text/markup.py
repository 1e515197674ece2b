"""Defusing of active markup: one invisible character makes it harmless when JSON is written.

Texts are stored as they were typed.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from functools import cached_property, lru_cache
from typing import Final

WORD_JOINER: Final = "\u2060"

# Elements that run, frame or style something by themselves, or whose content is not parsed as HTML (raw text, SVG,
# MathML), so that a harmless attribute in it may become active when a page copies the markup (mutation XSS).
_ACTIVE_ELEMENTS: Final = re.compile(
    "script|style|iframe|frameset|fencedframe|portal|svg|math|noscript|noembed|noframes|plaintext|xmp|listing"
)
# Elements that are active only with one of these attributes: `List<Object>` and `<Link to="/">` stay unchanged.
_ACTIVE_WITH: Final = {
    "applet": frozenset({"archive", "code", "codebase", "object"}),
    "base": frozenset({"href", "target"}),
    "embed": frozenset({"src", "type"}),
    "frame": frozenset({"src"}),
    "link": frozenset({"href", "imagesrcset", "rel"}),
    "meta": frozenset({"content", "http-equiv", "name"}),
    "object": frozenset({"classid", "codebase", "data", "type"}),
    "template": frozenset({"shadowroot", "shadowrootmode"}),
}
_WATCHED: Final = frozenset[str]().union(*_ACTIVE_WITH.values())
_ACTIVE_ATTRIBUTES: Final = frozenset({"attributename", "http-equiv", "is", "srcdoc", "style"})
# Without a value even a handler does nothing, and many words begin with "on" (`a <b only if`). So attributes without a
# value are active only if their names begin like those of handlers that browsers know.
_ACTIVE_BARE = re.compile(
    r"on(?:abort|after|animation|auxclick|before|begin|blur|cancel|canplay|change|click|close|command|contextmenu|copy"
    r"|cuechange|cut|dblclick|device|drag|drop|duration|emptied|end|error|focus|formdata|fullscreen|gotpointer"
    r"|hashchange|input|invalid|key|language|load|lostpointer|message|mouse|offline|online|orientation|page|paste|pause"
    r"|play|pointer|popstate|progress|ratechange|rejection|repeat|reset|resize|scroll|search|security|seek|select|show"
    r"|slotchange|stalled|storage|submit|suspend|timeupdate|toggle|touch|transition|unhandled|unload|volumechange"
    r"|waiting|webkit|wheel)|(?:srcdoc|style)$"
)
_URL_ATTRIBUTES: Final = """
    action archive background cite classid code codebase data dynsrc formaction href icon imagesrcset longdesc lowsrc
    manifest ping poster profile src srcset usemap
"""
_URL_ATTRIBUTE_NAMES: Final = frozenset(_URL_ATTRIBUTES.split())
# Where a form goes when it is sent.
_FORM_TARGETS: Final = frozenset({"action", "formaction"})
_ACTIVE_URL = re.compile(r"(?:javascript|vbscript|livescript|mocha|data):", re.IGNORECASE)
_FOREIGN_URL = re.compile(r"[/\\]{2}|[a-z][a-z0-9+.\-]*:", re.IGNORECASE)
# Browsers remove some of these anywhere in a URL; removing all of them is the safe side.
_URL_NOISE = re.compile(r"[\s\x00-\x20\x7f-\x9f\u200b-\u200f\ufeff]+")

# The possible start of a tag, also at the end of the text, where the next text may add its name; a tag without
# attributes is matched to its end.
_TAG_START = re.compile(r"<(?=/?(?:[a-zA-Z]|\Z))(?:/?([a-zA-Z][a-zA-Z0-9]*+)>)?")
_ELEMENT_END = re.compile(r"[\t\n\f\r />]|\Z")
_VALUE_END = re.compile(r"[\t\n\f\r >]")
# The space before an attribute, its name, and its equals sign; no name at the end of the tag or of the text. The first
# character belongs to the name even if it is an equals sign.
_ATTRIBUTE = re.compile(r"[\t\n\f\r /]*+(?:([^\t\n\f\r />][^\t\n\f\r />=]*+)([\t\n\f\r ]*+=[\t\n\f\r ]*+)?)?")

_MAX_NAME_LENGTH: Final = 16
_NOTHING: Final = frozenset[str]()
_ACTS: Final = frozenset({"<acts>"})  # no attribute can have this name


def defuse(text: str) -> str:
    """Insert U+2060 after the `<` of each active tag, so that the text runs nothing as `innerHTML`.

    A tag is active if it has a script, handler, frame, style or a `javascript:`-like URL, sends a form elsewhere, or is
    still open at the end of the text, since the next text in a page could continue it with a handler. Everything else
    is returned as it was typed; the same object if no tag is active.

    Each `<` is judged as if a browser began a tag there, whatever comes before it, so that no comment, quote or broken
    tag around it matters. Defusing is idempotent, and its time linear in the length.
    """
    if "<" not in text:
        return text
    pieces: list[str] = []
    done = 0
    for start in _acting_tags(text):
        pieces += (text[done : start + 1], WORD_JOINER)
        done = start + 1
    return "".join((*pieces, text[done:])) if pieces else text


# Cached, since texts are read far more often than written, mostly in the same lists.
@lru_cache(maxsize=256)
def _acting_tags(text: str) -> tuple[int, ...]:
    """Return the positions of active tags."""
    tags = _Tags(text)
    return tuple(
        tag.start()
        for tag in _TAG_START.finditer(text)
        if (tags.acts(tag.start()) if tag[1] is None else _ACTIVE_ELEMENTS.fullmatch(tag[1].lower()))
    )


class _Tags:
    """The possible tags of one text, parsed as by the tokeniser of the HTML standard.

    Tags that begin inside one another share their ends, so the result for each position is computed once and cached.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._last_end = text.rfind(">")
        self._name_end = -1
        self._held: dict[int, frozenset[str]] = {}

    def acts(self, start: int) -> bool:
        """Whether the tag that begins with the `<` at `start` is active; must be called from left to right."""
        if start > self._last_end:
            return True
        name_start = start + 2 if self._text[start + 1] == "/" else start + 1
        if name_start > self._name_end:
            self._name_end = _ELEMENT_END.search(self._text, name_start).start()  # type: ignore[union-attr]
        # No element in our lists has a longer name; copying a long one for each tag inside it would be quadratic.
        name = self._text[name_start : min(self._name_end, name_start + _MAX_NAME_LENGTH)].lower()
        if _ACTIVE_ELEMENTS.fullmatch(name):
            return True
        held = self._attributes(self._name_end)
        return held is not _NOTHING and (
            held >= _ACTS or not held.isdisjoint(_ACTIVE_WITH.get(name, _NOTHING))
        )

    def _attributes(self, start: int) -> frozenset[str]:
        """Return what is found in the attributes from `start` to the tag's end: `_ACTS`, or the watched names."""
        passed: list[tuple[int, frozenset[str]]] = []
        position = start
        while (held := self._held.get(position)) is None:
            own, end = self._attribute(position)
            if end is None:
                held = self._held[position] = own
                break
            passed.append((position, own))
            position = end
        for position, own in reversed(passed):
            held = held | own if own else held
            self._held[position] = held
        return held

    def _attribute(self, position: int) -> tuple[frozenset[str], int | None]:
        """Return what is found in the next attribute, and its end; None if there is no further attribute, or the text
        ends."""
        found = _ATTRIBUTE.match(self._text, position)
        assert found is not None  # noqa: S101 - it matches nothing, too
        if found[1] is None:
            return (_NOTHING if found.end() <= self._last_end else _ACTS), None
        name = found[1].lower()
        if found[2] is None:
            return (_ACTS if _ACTIVE_BARE.match(name) else _NOTHING), found.end()
        value_start, value_end, end = self._value(found.end())
        if end > self._last_end or self._attribute_acts(name, value_start, value_end):
            return _ACTS, None
        return (frozenset({name}) if name in _WATCHED else _NOTHING), end

    def _value(self, start: int) -> tuple[int, int, int]:
        """Return the start and end of a value, and where the tag continues: after the text if a quote is open."""
        quote = self._text[start : start + 1]
        if quote not in {'"', "'"}:
            end = self._next_value_end(start)
            return start, end, end
        end = self._text.find(quote, start + 1)
        if end < 0:
            end = len(self._text)
        return start + 1, end, end + 1

    def _attribute_acts(self, name: str, value_start: int, value_end: int) -> bool:
        if name.startswith("on") or name in _ACTIVE_ATTRIBUTES:
            return True
        if name not in _URL_ATTRIBUTE_NAMES and not name.endswith(":href"):
            return False
        # No scheme contains a `<`; stopping there keeps overlapping values from being read repeatedly.
        less_than = self._text.find("<", value_start, value_end)
        value = self._text[value_start : value_end if less_than < 0 else less_than]
        url = _URL_NOISE.sub("", html.unescape(value))
        return bool(_ACTIVE_URL.match(url)) or (name in _FORM_TARGETS and bool(_FOREIGN_URL.match(url)))

    @cached_property
    def _value_ends(self) -> list[int]:
        return [end.start() for end in _VALUE_END.finditer(self._text)]

    def _next_value_end(self, start: int) -> int:
        """Return the end of an unquoted value; values that begin inside one another share their end."""
        index = bisect_left(self._value_ends, start)
        return self._value_ends[index] if index < len(self._value_ends) else len(self._text)
