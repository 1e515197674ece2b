"""How far somebody has read the board, whose events lie in the streams of many companies.

A moment, and the numbers of the streams that are read beyond it. All events up to the moment are read, and none will be
committed there any more: it is never later than the beginning of the oldest transaction that writes
(`repository.settled_moment`). Those of a stream are in order, so that one number says what is read of it. Streams that
were quiet since the moment need none: so a cursor is short, however many streams there are
(docs/adr/0040-public-streams.md).
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

MAX_CURSOR_CHARACTERS = 16_384  # of four hundred streams that were written to within a moment
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_Seq = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # as the database has them
_Coded = tuple[int, list[tuple[bytes, _Seq, int]]]


class Placed(Protocol):
    """An event, as far as its place in the log matters."""

    @property
    def stream(self) -> UUID: ...
    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> datetime: ...


P = TypeVar("P", bound=Placed)


@dataclass(frozen=True)
class BoardCursor:
    """A place between two events of the board.

    Attributes:
        moment: Everything up to it is read.
        read: For each stream that is read beyond the moment the number and the time of the last event that is.
    """

    moment: datetime
    read: Mapping[UUID, tuple[int, datetime]] = field(default_factory=dict)

    def has(self, event: Placed) -> bool:
        """Whether the event is read."""
        return event.at <= self.moment or event.seq <= self.read.get(event.stream, (0,))[0]

    def after(self, event: Placed) -> BoardCursor:
        """The place behind an event."""
        return BoardCursor(self.moment, {**self.read, event.stream: (event.seq, event.at)})

    def settled(self, moment: datetime) -> BoardCursor:
        """The same place, said with a later moment, where all that is up to it is read."""
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
            ValueError: It is none of ours.
        """
        if len(text) > MAX_CURSOR_CHARACTERS or not text.isascii():
            raise ValueError("must be a position that a stream has given")
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            moment, read = msgspec.msgpack.decode(packed, type=_Coded)
            return cls(_moment(moment), {UUID(bytes=stream): (seq, _moment(at)) for stream, seq, at in read})
        except (binascii.Error, msgspec.DecodeError, ValueError, OverflowError) as error:
            raise ValueError("must be a position that a stream has given") from error


def walk(
    cursor: BoardCursor, events: Sequence[P], *, settled: datetime, is_all: bool
) -> Iterator[tuple[P, BoardCursor]]:
    """Each of the next events, with the place behind it.

    Args:
        cursor: Before them.
        events: In order of time, as they were read after `settled`.
        settled: Up to here nothing is committed any more.
        is_all: Whether these are all that there were.
    """
    for place, event in enumerate(events):
        cursor = cursor.after(event)
        if place + 1 < len(events):
            read_up_to = min(settled, events[place + 1].at - _MICROSECOND)
        else:
            read_up_to = settled if is_all else min(settled, event.at - _MICROSECOND)
        cursor = cursor.settled(read_up_to)
        yield event, cursor


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
