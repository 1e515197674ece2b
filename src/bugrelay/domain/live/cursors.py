"""Cursors of the public board, whose events lie in the streams of many companies (docs/adr/0040-public-streams.md).

A cursor is a watermark and, for streams that were read beyond it, the number of the last event that was read. All
events up to the watermark were read, and no more will be committed there: it is never later than the start of the
oldest transaction that writes (`repository.settled_moment`). Events of a stream are ordered by number, so one number is
enough for each. Streams without events since the watermark need none, so a cursor is short, however many streams there
are.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

import msgspec

MAX_CURSOR_CHARACTERS = 16_384  # with the numbers of four hundred streams
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_Seq = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # as the database has them
_Coded = tuple[int, list[tuple[bytes, _Seq, int]]]


class LogPosition(Protocol):
    """Where an event is in the log."""

    @property
    def stream(self) -> UUID: ...
    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> datetime: ...


P = TypeVar("P", bound=LogPosition)


@dataclass(frozen=True)
class BoardCursor:
    """A position between two events of the board.

    Attributes:
        moment: The watermark: everything up to it was read.
        read: Number and time of the last event that was read, for each stream that was read beyond the watermark.
    """

    moment: datetime
    read: Mapping[UUID, tuple[int, datetime]] = field(default_factory=dict)

    def has(self, event: LogPosition) -> bool:
        """Whether the event was read."""
        return event.at <= self.moment or event.seq <= self.read.get(event.stream, (0,))[0]

    def after(self, event: LogPosition) -> BoardCursor:
        """The position after an event."""
        return BoardCursor(self.moment, {**self.read, event.stream: (event.seq, event.at)})

    def settled(self, moment: datetime) -> BoardCursor:
        """The same position with a later watermark, up to which everything was read."""
        if moment <= self.moment:
            return self
        return BoardCursor(moment, {stream: last for stream, last in self.read.items() if last[1] > moment})

    def __str__(self) -> str:
        coded = (
            _microseconds(self.moment),
            [(stream.bytes, seq, _microseconds(at)) for stream, (seq, at) in self.read.items()],
        )
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(coded)).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str) -> BoardCursor:
        """
        Raises:
            ValueError: It was not made by `str()` of a cursor.
        """
        if len(text) > MAX_CURSOR_CHARACTERS or not text.isascii():
            raise ValueError("must be the id of an event of this stream")
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            moment, read = msgspec.msgpack.decode(packed, type=_Coded)
            return cls(_moment(moment), {UUID(bytes=stream): (seq, _moment(at)) for stream, seq, at in read})
        except (binascii.Error, msgspec.DecodeError, ValueError, OverflowError) as error:
            raise ValueError("must be the id of an event of this stream") from error


def with_cursors(
    cursor: BoardCursor, events: Sequence[P], *, settled: datetime, is_all: bool
) -> Iterator[tuple[P, BoardCursor]]:
    """Each of the next events, with the cursor after it.

    Args:
        cursor: Before them.
        events: In order of time; they were read after `settled`.
        settled: Up to this moment nothing will be committed any more.
        is_all: Whether these are all that there were.
    """
    for index, event in enumerate(events):
        cursor = cursor.after(event)
        if index + 1 < len(events):
            read_up_to = min(settled, events[index + 1].at - _MICROSECOND)
        else:
            read_up_to = settled if is_all else min(settled, event.at - _MICROSECOND)
        cursor = cursor.settled(read_up_to)
        yield event, cursor


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
