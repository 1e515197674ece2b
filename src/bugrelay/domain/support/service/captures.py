"""What a browser has recorded, made fit to be kept: bounded, and without the secrets in it.

This comes before anything is stored, logged or handed to a job. Strings are cut after the secrets are taken out of
them: half a secret is not known as one, and JSON that was cut is not read as JSON. Time is linear in the size of what
was sent.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from bugrelay.domain.support.schemas import BrowserRecord, RedactedRecord
from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.text.normalising import CONTROL
from bugrelay.infra.text.redaction import Redaction, redact_text, redact_value
from bugrelay.infra.threads import BoundedThreads

MAX_STRING_LENGTH: Final = 4000
MAX_DEPTH: Final = 8
MAX_BYTES: Final = 512 * 1024
MAX_REDACTIONS: Final = 200
MAX_BROWSER_BYTES: Final = 16 * 1024
MAX_ENTRIES: Final = {
    "console_errors": 200,
    "api_history": 200,
    "user_actions": 500,
    "local_storage_data": 200,
    "session_storage_data": 200,
}
"""The parts of a capture: lists, whose newest entries stand last, and the keys of storages."""
_MAX_READ_LENGTH: Final = 2 * MAX_STRING_LENGTH
_TOKEN_CHARACTERS: Final = string.ascii_letters + string.digits + "-_."
_SHORT_BYTES: Final = 16 * 1024  # takes a few milliseconds
_TOO_DEEP: Final = "…"
log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode


async def keepable(sent: BrowserRecord, *, size_bytes: int, computing: BoundedThreads) -> RedactedRecord:
    """What is kept of what a browser has sent; of much, it is found beside the event loop.

    Where that takes too long, because of all that others have sent, nothing of the capture is kept: a report is worth
    more than what it carries.
    """
    if size_bytes <= _SHORT_BYTES:
        return redacted_record(sent)
    try:
        return await computing.run(redacted_record, sent)
    except ServiceUnavailable:
        log.warning("capture_dropped", size_bytes=size_bytes)
        without = BrowserRecord(**{name: getattr(sent, name) for name in _MAX_TEXT})
        return msgspec.structs.replace(redacted_record(without), truncated=True)


def redacted_record(sent: BrowserRecord) -> RedactedRecord:
    """What is kept of what a browser has sent."""
    bounds = _Bounds()
    parts = {name: getattr(sent, name) for name in MAX_ENTRIES if getattr(sent, name) is not None}
    capture, redactions = _capture(parts, bounds)
    browser_info = _browser_info(sent.browser_info, bounds, redactions)
    texts = {
        name: _short(getattr(sent, name), name, most=most, redactions=redactions)
        for name, most in _MAX_TEXT.items()
    }
    return RedactedRecord(
        capture=capture if parts else None,
        truncated=bounds.exceeded,
        redactions=_encode(_merged(redactions)).decode(),
        browser_info=browser_info,
        **texts,
    )


_MAX_TEXT: Final = {"page_url": 500, "page_title": 255, "viewport_size": 50, "screen_resolution": 50}


def _short(text: str | None, name: str, *, most: int, redactions: list[Redaction]) -> str | None:
    if text is None:
        return None
    redacted, found = redact_text(text[:_MAX_READ_LENGTH])
    redactions += [msgspec.structs.replace(one, path=name) for one in found]
    return redacted[:most].rstrip() or None


class _Bounds:
    """Bounds values, and remembers whether something was more."""

    def __init__(self) -> None:
        self.exceeded = False

    def shallow(self, value: Any, depth: int = 1) -> Any:
        """Without what is deeper than is kept, and without characters that no text has.

        Of strings more is left than is kept: the end of a secret that begins in what is kept.
        """
        if isinstance(value, str):
            return CONTROL.sub("", self._readable(value))
        if not isinstance(value, dict | list):
            return value
        if depth > MAX_DEPTH:
            self.exceeded = True
            return _TOO_DEEP
        if isinstance(value, list):
            return [self.shallow(item, depth + 1) for item in value]
        return {CONTROL.sub("", key): self.shallow(item, depth + 1) for key, item in value.items()}

    def _readable(self, text: str) -> str:
        """As much as is looked at. A JWT is known by all of its parts: one that was cut before its last is left out."""
        if len(text) <= _MAX_READ_LENGTH:
            return text
        begun = self._beginning(text, _MAX_READ_LENGTH)
        token = begun.find("eyJ", len(begun.rstrip(_TOKEN_CHARACTERS)))
        return begun if token < 0 else begun[:token]

    def short(self, value: Any) -> Any:
        """With the beginnings of strings that are too long."""
        if isinstance(value, str):
            return self._beginning(value, MAX_STRING_LENGTH)
        if isinstance(value, list):
            return [self.short(item) for item in value]
        if isinstance(value, dict):
            return {self.short(key): self.short(item) for key, item in value.items()}
        return value

    def _beginning(self, text: str, most: int) -> str:
        self.exceeded |= len(text) > most
        return text[:most]


def _capture(parts: dict[str, Any], bounds: _Bounds) -> tuple[str, list[Redaction]]:
    """One JSON object of all parts, and what was taken out of it. No more is looked at than could be kept."""
    shallow = {name: _entries(sent, MAX_ENTRIES[name], bounds) for name, sent in parts.items()}
    sizes = {name: [len(piece) for piece in map(_piece, entries)] for name, entries in shallow.items()}
    numbers = _numbers_that_fit(sizes, bounds)
    redactions: list[Redaction] = []
    pieces = {
        name: _redacted_pieces(name, entries[: numbers[name]], bounds, redactions)
        for name, entries in shallow.items()
    }
    # What stands in the place of a secret may be longer than the secret.
    numbers = _numbers_that_fit({name: [*map(len, found)] for name, found in pieces.items()}, bounds)
    kept = (_part(name, found[: numbers[name]]) for name, found in pieces.items())
    return (b"{" + b",".join(kept) + b"}").decode(), redactions


Entry = Any
"""An entry of a list; of a storage a name and its value."""


def _entries(sent: list[Any] | dict[str, Any], most: int, bounds: _Bounds) -> list[Entry]:
    """Those that may be kept, the one to be kept first standing first."""
    bounds.exceeded |= len(sent) > most
    if isinstance(sent, list):
        return [bounds.shallow(entry) for entry in reversed(sent[-most:])]
    return [*bounds.shallow(dict(list(sent.items())[:most]), depth=0).items()]


def _redacted_pieces(
    name: str, entries: list[Entry], bounds: _Bounds, redactions: list[Redaction]
) -> list[bytes]:
    value = dict(entries) if name in _STORAGES else entries
    redacted, found = redact_value(value, path=name)
    redactions += found
    kept = redacted.items() if name in _STORAGES else redacted
    return [_shortened_piece(entry, bounds) for entry in kept]


def _shortened_piece(entry: Entry, bounds: _Bounds) -> bytes:
    piece = _piece(entry)
    if len(piece) <= MAX_STRING_LENGTH:  # then no string in it is longer
        return piece
    is_pair = isinstance(entry, tuple)
    return _piece((bounds.short(entry[0]), bounds.short(entry[1])) if is_pair else bounds.short(entry))


def _piece(entry: Entry) -> bytes:
    """As it stands in the JSON of its part."""
    if isinstance(entry, tuple):
        return _encode(entry[0]) + b":" + _encode(entry[1])
    return _encode(entry)


def _numbers_that_fit(sizes: dict[str, list[int]], bounds: _Bounds) -> dict[str, int]:
    """How many pieces of each part fit: one of each in turn, so that no part leaves the others without room."""
    numbers = dict.fromkeys(sizes, 0)
    growing = set(sizes)
    left = MAX_BYTES - _FRAME_BYTES
    while growing:
        for name in sizes.keys() & growing:
            number = numbers[name]
            if number == len(sizes[name]) or sizes[name][number] >= left:
                bounds.exceeded |= number < len(sizes[name])
                growing.remove(name)
            else:
                numbers[name] += 1
                left -= sizes[name][number] + 1
    return numbers


def _part(name: str, pieces: Sequence[bytes]) -> bytes:
    """A list has its newest entry last again."""
    if name in _STORAGES:
        return b'"%s":{%s}' % (name.encode(), b",".join(pieces))
    return b'"%s":[%s]' % (name.encode(), b",".join(reversed(pieces)))


_STORAGES: Final = frozenset({"local_storage_data", "session_storage_data"})
_FRAME_BYTES: Final = sum(len(_part(name, [])) + 1 for name in MAX_ENTRIES) + 1


def _browser_info(sent: dict[str, Any] | None, bounds: _Bounds, redactions: list[Redaction]) -> str | None:
    """As many of the facts as fit."""
    if sent is None:
        return None
    # Before the secrets are taken out, a string may have twice the length that is kept.
    room = _first_that_fit(bounds.shallow(sent), _piece, MAX_BROWSER_BYTES * 2, bounds)
    redacted, found = redact_value(dict(room), path="browser_info")
    redactions += found
    kept = _first_that_fit(redacted, partial(_shortened_piece, bounds=bounds), MAX_BROWSER_BYTES, bounds)
    return (b"{" + b",".join(_shortened_piece(fact, bounds) for fact in kept) + b"}").decode()


def _first_that_fit(
    facts: dict[str, Any], piece: Callable[[Entry], bytes], most: int, bounds: _Bounds
) -> list[Entry]:
    """The first facts, as many as have room; no more is looked at."""
    fitting: list[Entry] = []
    for fact in facts.items():
        most -= len(piece(fact)) + 1
        if most < 0:
            bounds.exceeded = True
            break
        fitting.append(fact)
    return fitting


def _merged(redactions: Sequence[Redaction]) -> list[Redaction]:
    """Those of the first places; of all others how many there are of a kind, for paths are sent by somebody, too."""
    rest = Counter[str]()
    for one in redactions[MAX_REDACTIONS:]:
        rest[one.kind] += one.count
    return [*redactions[:MAX_REDACTIONS], *(Redaction("…", kind, number) for kind, number in rest.items())]
