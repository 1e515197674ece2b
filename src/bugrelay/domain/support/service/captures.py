"""Limits and redaction of captures, before anything is stored, logged or passed to a job.

Strings are cut after redaction: half a secret is not recognised, and neither is JSON that was cut. The time is linear
in the size of the capture.
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
"""The parts of a capture and their limits: entries of lists, newest last, and keys of storages."""
_MAX_READ_LENGTH: Final = 2 * MAX_STRING_LENGTH
_TOKEN_CHARACTERS: Final = string.ascii_letters + string.digits + "-_."
_SHORT_BYTES: Final = 16 * 1024  # takes a few milliseconds, on the event loop
_TOO_DEEP: Final = "…"
log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode


async def prepare_record(
    sent: BrowserRecord, *, size_bytes: int, computing: BoundedThreads
) -> RedactedRecord:
    """Limit and redact what a browser has sent; large records in a thread.

    Where the threads are overloaded, the capture is dropped: the report is worth more than its capture.
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
    """Limit and redact what a browser has sent."""
    limits = _Limits()
    parts = {name: getattr(sent, name) for name in MAX_ENTRIES if getattr(sent, name) is not None}
    capture, redactions = _capture(parts, limits)
    browser_info = _browser_info(sent.browser_info, limits, redactions)
    texts = {
        name: _short(getattr(sent, name), name, limit=limit, redactions=redactions)
        for name, limit in _MAX_TEXT.items()
    }
    return RedactedRecord(
        capture=capture if parts else None,
        truncated=limits.exceeded,
        redactions=_encode(_merged(redactions)).decode(),
        browser_info=browser_info,
        **texts,
    )


_MAX_TEXT: Final = {"page_url": 500, "page_title": 255, "viewport_size": 50, "screen_resolution": 50}


def _short(text: str | None, name: str, *, limit: int, redactions: list[Redaction]) -> str | None:
    if text is None:
        return None
    redacted, found = redact_text(text[:_MAX_READ_LENGTH])
    redactions += [msgspec.structs.replace(one, path=name) for one in found]
    return redacted[:limit].rstrip() or None


class _Limits:
    """Applies limits, and remembers in `exceeded` whether something was left out."""

    def __init__(self) -> None:
        self.exceeded = False

    def shallow(self, value: Any, depth: int = 1) -> Any:
        """Limit the depth, and drop control characters.

        Strings keep `_MAX_READ_LENGTH` characters, more than are stored, so that a secret at the cut is recognised.
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
        """The part of a string that is searched for secrets. A JWT that the cut splits is left out: it would not be
        recognised."""
        if len(text) <= _MAX_READ_LENGTH:
            return text
        start = self._start_of(text, _MAX_READ_LENGTH)
        token = start.find("eyJ", len(start.rstrip(_TOKEN_CHARACTERS)))
        return start if token < 0 else start[:token]

    def short(self, value: Any) -> Any:
        """Cut strings to `MAX_STRING_LENGTH`."""
        if isinstance(value, str):
            return self._start_of(value, MAX_STRING_LENGTH)
        if isinstance(value, list):
            return [self.short(item) for item in value]
        if isinstance(value, dict):
            return {self.short(key): self.short(item) for key, item in value.items()}
        return value

    def _start_of(self, text: str, limit: int) -> str:
        self.exceeded |= len(text) > limit
        return text[:limit]


def _capture(parts: dict[str, Any], limits: _Limits) -> tuple[str, list[Redaction]]:
    """One JSON object of all parts, and its redactions. No more is processed than could be stored."""
    shallow = {name: _entries(sent, MAX_ENTRIES[name], limits) for name, sent in parts.items()}
    sizes = {name: [len(piece) for piece in map(_piece, entries)] for name, entries in shallow.items()}
    counts = _counts_that_fit(sizes, limits)
    redactions: list[Redaction] = []
    pieces = {
        name: _redacted_pieces(name, entries[: counts[name]], limits, redactions)
        for name, entries in shallow.items()
    }
    # A placeholder may be longer than the secret.
    counts = _counts_that_fit({name: [*map(len, found)] for name, found in pieces.items()}, limits)
    kept = (_part(name, found[: counts[name]]) for name, found in pieces.items())
    return (b"{" + b",".join(kept) + b"}").decode(), redactions


Entry = Any
"""An entry of a list; of a storage a pair of name and value."""


def _entries(sent: list[Any] | dict[str, Any], limit: int, limits: _Limits) -> list[Entry]:
    """The entries within the limit, in order of importance: newest first."""
    limits.exceeded |= len(sent) > limit
    if isinstance(sent, list):
        return [limits.shallow(entry) for entry in reversed(sent[-limit:])]
    return [*limits.shallow(dict(list(sent.items())[:limit]), depth=0).items()]


def _redacted_pieces(
    name: str, entries: list[Entry], limits: _Limits, redactions: list[Redaction]
) -> list[bytes]:
    value = dict(entries) if name in _STORAGES else entries
    redacted, found = redact_value(value, path=name)
    redactions += found
    kept = redacted.items() if name in _STORAGES else redacted
    return [_shortened_piece(entry, limits) for entry in kept]


def _shortened_piece(entry: Entry, limits: _Limits) -> bytes:
    piece = _piece(entry)
    if len(piece) <= MAX_STRING_LENGTH:  # so no string in it is longer
        return piece
    is_pair = isinstance(entry, tuple)
    return _piece((limits.short(entry[0]), limits.short(entry[1])) if is_pair else limits.short(entry))


def _piece(entry: Entry) -> bytes:
    """The entry encoded as it appears in the JSON of its part."""
    if isinstance(entry, tuple):
        return _encode(entry[0]) + b":" + _encode(entry[1])
    return _encode(entry)


def _counts_that_fit(sizes: dict[str, list[int]], limits: _Limits) -> dict[str, int]:
    """How many pieces of each part fit, allotted round-robin, so that no part takes all the space."""
    counts = dict.fromkeys(sizes, 0)
    growing = set(sizes)
    left = MAX_BYTES - _FRAME_BYTES
    while growing:
        for name in sizes.keys() & growing:
            count = counts[name]
            if count == len(sizes[name]) or sizes[name][count] >= left:
                limits.exceeded |= count < len(sizes[name])
                growing.remove(name)
            else:
                counts[name] += 1
                left -= sizes[name][count] + 1
    return counts


def _part(name: str, pieces: Sequence[bytes]) -> bytes:
    """A part as JSON; lists have their newest entry last again."""
    if name in _STORAGES:
        return b'"%s":{%s}' % (name.encode(), b",".join(pieces))
    return b'"%s":[%s]' % (name.encode(), b",".join(reversed(pieces)))


_STORAGES: Final = frozenset({"local_storage_data", "session_storage_data"})
_FRAME_BYTES: Final = sum(len(_part(name, [])) + 1 for name in MAX_ENTRIES) + 1


def _browser_info(sent: dict[str, Any] | None, limits: _Limits, redactions: list[Redaction]) -> str | None:
    """As many of the facts as fit into `MAX_BROWSER_BYTES`."""
    if sent is None:
        return None
    # Strings may have twice the stored length before redaction.
    room = _first_that_fit(limits.shallow(sent), _piece, MAX_BROWSER_BYTES * 2, limits)
    redacted, found = redact_value(dict(room), path="browser_info")
    redactions += found
    kept = _first_that_fit(redacted, partial(_shortened_piece, limits=limits), MAX_BROWSER_BYTES, limits)
    return (b"{" + b",".join(_shortened_piece(fact, limits) for fact in kept) + b"}").decode()


def _first_that_fit(
    facts: dict[str, Any], piece: Callable[[Entry], bytes], max_bytes: int, limits: _Limits
) -> list[Entry]:
    """The first facts, as many as fit; no more is looked at."""
    fitting: list[Entry] = []
    for fact in facts.items():
        max_bytes -= len(piece(fact)) + 1
        if max_bytes < 0:
            limits.exceeded = True
            break
        fitting.append(fact)
    return fitting


def _merged(redactions: Sequence[Redaction]) -> list[Redaction]:
    """The first `MAX_REDACTIONS`; of the others one entry for each kind, because paths are user input, too."""
    rest = Counter[str]()
    for one in redactions[MAX_REDACTIONS:]:
        rest[one.kind] += one.count
    return [*redactions[:MAX_REDACTIONS], *(Redaction("…", kind, count) for kind, count in rest.items())]
