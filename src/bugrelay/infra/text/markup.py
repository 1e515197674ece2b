"""Markup that would act in a page, made harmless by one invisible character when JSON is written.

What is stored is the source as it was typed.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from functools import cached_property, lru_cache
from typing import Final

WORD_JOINER: Final = "\u2060"

# Elements that run, frame or style something by themselves, or whose content is read by other rules than
# HTML's own (raw text, SVG, MathML): on that ground a harmless attribute comes alive when a page copies the
# markup.
_ACTIVE_ELEMENTS: Final = re.compile(
    "script|style|iframe|frameset|fencedframe|portal|svg|math|noscript|noembed|noframes|plaintext|xmp|listing"
)
# Elements that act through these attributes alone: `List<Object>` and `<Link to="/">` stay as they are.
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
# Without a value even a handler does nothing, and "on" begins many words (`a <b only if`): so, of the
# attributes without one, those count whose names begin like a handler that browsers know.
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
# A browser drops some of these from a URL wherever they stand; dropping all of them errs on the safe side.
_URL_NOISE = re.compile(r"[\s\x00-\x20\x7f-\x9f\u200b-\u200f\ufeff]+")

# A tag may begin here, also where the next text brings its name; one without attributes is read to its end.
_TAG_START = re.compile(r"<(?=/?(?:[a-zA-Z]|\Z))(?:/?([a-zA-Z][a-zA-Z0-9]*+)>)?")
_ELEMENT_END = re.compile(r"[\t\n\f\r />]|\Z")
_VALUE_END = re.compile(r"[\t\n\f\r >]")
# What stands before an attribute, its name, and its equals sign; no name at the end of the tag or of the text. The
# first character belongs to the name even when it is an equals sign.
_ATTRIBUTE = re.compile(r"[\t\n\f\r /]*+(?:([^\t\n\f\r />][^\t\n\f\r />=]*+)([\t\n\f\r ]*+=[\t\n\f\r ]*+)?)?")

_MAX_NAME_LENGTH: Final = 16
_NOTHING: Final = frozenset[str]()
_ACTS: Final = frozenset({"<acts>"})  # no attribute can have this name


def defuse(text: str) -> str:
    """Put U+2060 behind the `<` of each tag that acts, so that the text runs nothing as `innerHTML`.

    A tag acts when it brings a script, handler, frame, style or a `javascript:`-like URL, sends a form
    elsewhere, or is left open at the end of the text: then the next text in a page could go on with it, and
    bring the handler. Everything else comes back as it was typed, and the same object if nothing acts.

    Each `<` is judged as if a browser began a tag there, whatever stands before it: so no comment, quote or
    broken tag around it can change the verdict. Defusing twice changes nothing; time is linear in the length.
    """
    if "<" not in text:
        return text
    pieces: list[str] = []
    done = 0
    for start in _acting_tags(text):
        pieces += (text[done : start + 1], WORD_JOINER)
        done = start + 1
    return "".join((*pieces, text[done:])) if pieces else text


# A text is read far more often than it is written, mostly by the same lists.
@lru_cache(maxsize=256)
def _acting_tags(text: str) -> tuple[int, ...]:
    """Return where the tags that act begin."""
    tags = _Tags(text)
    return tuple(
        tag.start()
        for tag in _TAG_START.finditer(text)
        if (tags.acts(tag.start()) if tag[1] is None else _ACTIVE_ELEMENTS.fullmatch(tag[1].lower()))
    )


class _Tags:
    """The possible tags of one text, read as the tokeniser of the HTML standard reads them.

    Tags that begin inside one another share their ends: so what follows a position is worked out once and
    kept.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._last_end = text.rfind(">")
        self._name_end = -1
        self._held: dict[int, frozenset[str]] = {}

    def acts(self, start: int) -> bool:
        """Say whether the tag that begins with the `<` at `start` would act; to be asked from left to right."""
        if start > self._last_end:
            return True
        name_start = start + 2 if self._text[start + 1] == "/" else start + 1
        if name_start > self._name_end:
            self._name_end = _ELEMENT_END.search(self._text, name_start).start()  # type: ignore[union-attr]
        # No element of ours has a longer name; copying a long one for each of the tags inside it would be
        # quadratic.
        name = self._text[name_start : min(self._name_end, name_start + _MAX_NAME_LENGTH)].lower()
        if _ACTIVE_ELEMENTS.fullmatch(name):
            return True
        held = self._attributes(self._name_end)
        return held is not _NOTHING and (
            held >= _ACTS or not held.isdisjoint(_ACTIVE_WITH.get(name, _NOTHING))
        )

    def _attributes(self, start: int) -> frozenset[str]:
        """Return what the attributes from `start` to the tag's end hold: `_ACTS` and the watched names."""
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
        """Return what the next attribute holds, and where it ends: nowhere if there is none or the text ends."""
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
        """Return where a value starts and ends, and the tag goes on: behind the text if a quote is open."""
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
        # No scheme reaches over a `<`; stopping there keeps overlapping values from being read again and
        # again.
        less_than = self._text.find("<", value_start, value_end)
        value = self._text[value_start : value_end if less_than < 0 else less_than]
        url = _URL_NOISE.sub("", html.unescape(value))
        return bool(_ACTIVE_URL.match(url)) or (name in _FORM_TARGETS and bool(_FOREIGN_URL.match(url)))

    @cached_property
    def _value_ends(self) -> list[int]:
        return [end.start() for end in _VALUE_END.finditer(self._text)]

    def _next_value_end(self, start: int) -> int:
        """Return where a value without quotes ends; values that begin inside one another share their end."""
        index = bisect_left(self._value_ends, start)
        return self._value_ends[index] if index < len(self._value_ends) else len(self._text)
