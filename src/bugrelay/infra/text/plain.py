"""What is done to text that people send: made uniform when it comes in, made harmless when it goes out.

Nothing here refuses or rewrites a report for its words: what is stored is the source as it was typed, and
only markup that would act in a page is touched, by one invisible character, when JSON is written.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from bisect import bisect_left
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Final

WORD_JOINER: Final = "\u2060"
TAG_LENGTH: Final = 50
FILENAME_LENGTH: Final = 255

_SURROGATE = re.compile(r"[\ud800-\udfff]")
# C0 but tab and line feed, DEL, and C1.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_BREAK = re.compile(r"[\t\n\u2028\u2029]")
# Marks, embeddings, overrides and isolates that reorder what stands around them.
_BIDI = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class UnusableText(ValueError):
    """A text that cannot be kept; the message completes "<field> …" ("must not contain NUL characters")."""


# Nothing is composed of more: NFC shortens a text to a quarter of its characters at most.
_MAX_COMPOSED_LENGTH: Final = 4
# The Stream-Safe Text Format of UAX #15 allows for 30 non-starters in a row, more than any language writes.
# No combining mark is a letter, a digit or ASCII: so this finds all longer runs, and some of symbols.
_LONG_RUN = re.compile(r"[^\w\x00-\x7f]{31,}")


def normalise(text: str, *, single_line: bool = False, max_length: int | None = None) -> str:
    """Return the one form in which a text is measured and stored: NFC, LF, no control characters, trimmed.

    Tabs and line breaks stay; with `single_line` (titles, names) each becomes a space. Normalising twice
    changes nothing. A text so long that its NFC has more than `max_length` characters for certain comes back
    without the work: whoever has that limit refuses it for its length.

    Raises:
        UnusableText: For NUL and for lone surrogates, which PostgreSQL and UTF-8 cannot hold.
    """
    refuse_unusable(text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # Dropping comes before NFC: a letter and its accent may have stood on both sides of a control character.
    text = _CONTROL.sub("", text)
    if max_length is not None and len(text.strip()) > _MAX_COMPOSED_LENGTH * max_length:
        return text.strip()
    text = nfc(text)
    if single_line:
        text = _LINE_BREAK.sub(" ", text)
    return text.strip()


def refuse_unusable(text: str) -> None:
    """
    Raises:
        UnusableText: The text has NUL characters or lone surrogates.
    """
    if "\0" in text:
        raise UnusableText("must not contain NUL characters")
    if _SURROGATE.search(text):
        raise UnusableText("must not contain lone surrogates")


def nfc(text: str) -> str:
    """Return the NFC of a text, whatever it is, in time that grows with its length alone.

    The library puts combining marks in canonical order by an insertion sort, which is quadratic in the
    length of a run. A long run is put in that order before, so nothing is left to be moved.
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _LONG_RUN.sub(_in_canonical_order, text))


def _in_canonical_order(run: re.Match[str]) -> str:
    """Return the run decomposed, its combining marks in the order of their classes; this keeps its NFC the same."""
    decomposed = "".join(unicodedata.normalize("NFD", char) for char in run[0])
    marks_or_not = groupby(decomposed, key=lambda char: unicodedata.combining(char) > 0)
    return "".join(
        "".join(sorted(chars, key=unicodedata.combining) if are_marks else chars)
        for are_marks, chars in marks_or_not
    )


_KEY_LENGTH: Final = 300
_KEY_HEAD: Final = 200


def name_key(name: str) -> str:
    """Return the key by which names are the same: without case, width and repeated space.

    The key is NFKC and casefolded, and its own key. A few characters grow eighteenfold under NFKC, beyond
    what a PostgreSQL index row holds: so a key over 300 characters keeps 200 and ends in its SHA-256.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())
    key = " ".join(folded.split())
    if len(key) <= _KEY_LENGTH:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{key[:_KEY_HEAD].rstrip()}#{digest}"


_TAG_SIGNS: Final = frozenset(" -_.+#&@/:()'")


def clean_tag(text: str) -> str:
    """Return a tag normalised and in lower case, or raise UnusableText saying what does not fit.

    Allowed are 1-50 letters, digits and marks of any script, single spaces, and - _ . + # & @ / : ( ) '.
    Trimming and lower-casing are all that a tag is helped with: two spaces in a row inside are refused like
    a bad character.
    """
    tag = normalise(text, single_line=True, max_length=TAG_LENGTH)
    if len(tag) <= _MAX_COMPOSED_LENGTH * TAG_LENGTH:
        tag = normalise(tag.lower(), single_line=True)
    if not 1 <= len(tag) <= TAG_LENGTH:
        raise UnusableText(f"must have 1 to {TAG_LENGTH} characters")
    bad = next((char for char in tag if not _fits_tag(char)), None)
    if bad is not None:
        shown = f'"{bad}"' if bad.isprintable() else "the character"
        raise UnusableText(f"must not contain {shown} (U+{ord(bad):04X})")
    if "  " in tag:
        raise UnusableText("must not contain two spaces in a row")
    return tag


def _fits_tag(char: str) -> bool:
    return char in _TAG_SIGNS or char.isdigit() or unicodedata.category(char)[0] in "LM"


_DRIVE = re.compile(r"^[A-Za-z]:")
_MAX_EXTENSION_LENGTH: Final = 20


def clean_filename(text: str) -> str:
    """Return the name of a sent file as it may be shown: without path, control and reordering characters.

    It has at most 255 characters; a longer name is cut before its extension. A name of which nothing but
    dots and spaces is left becomes "file". Never raises.
    """
    name = re.split(r"[/\\]", text)[-1]
    name = _BIDI.sub("", _CONTROL.sub("", _SURROGATE.sub("", _LINE_BREAK.sub(" ", name))))
    name = _DRIVE.sub("", nfc(name).strip()).strip()
    if not name.strip(". "):
        return "file"
    if len(name) <= FILENAME_LENGTH:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > _MAX_EXTENSION_LENGTH:
        return name[:FILENAME_LENGTH].rstrip()
    return stem[: FILENAME_LENGTH - len(extension) - 1] + dot + extension


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
