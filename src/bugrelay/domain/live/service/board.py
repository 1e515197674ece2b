"""The public board, read once for all listeners to it or to one of its bugs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from bugrelay.domain.live import repository
from bugrelay.domain.live.cursors import BoardCursor, with_cursors
from bugrelay.domain.live.policies import board_event, is_public
from bugrelay.domain.live.schemas import BoardEvent, Closed, Encode, LoggedEvent, Update
from bugrelay.domain.live.service.listeners import Listener
from bugrelay.infra.db.database import Database

PAGE = 100
MAX_AGE = timedelta(hours=1)
MAX_MISSED = 1000  # a client that has missed more events must reload its state
CLOCK_SKEW = timedelta(minutes=1)  # between our clock and that of the process which made a cursor


class BoardListener(Listener):
    """A listener of one anonymous client.

    Attributes:
        cursor: Up to where the board was read for it.
        missed: The number of missed events that were read for it.
    """

    def __init__(self, board: Board, cursor: BoardCursor, *, bug_id: UUID | None) -> None:
        super().__init__(str(cursor))
        self._board = board
        self.cursor = cursor
        self.bug_id = bug_id
        self.missed = 0

    @property
    def _read_position(self) -> str:
        return str(self.cursor)

    async def _read_missed(self) -> None:
        await self._board.read_missed(self)

    def matches(self, event: LoggedEvent) -> bool:
        return is_public(event) and self.bug_id in (None, event.bug_id)

    def close(self) -> None:
        self.end(Closed("closed"))
        self._board.remove(self)


class Board:
    """The listeners to the board of one process."""

    def __init__(self, database: Database, *, encode: Encode) -> None:
        self._database = database
        self._encode = encode
        self._listeners: set[BoardListener] = set()
        self._cursor: BoardCursor | None = None
        self._rounds = 0

    def __bool__(self) -> bool:
        return bool(self._listeners)

    async def listen(self, *, since: BoardCursor | None, bug_id: UUID | None) -> BoardListener:
        """Register a listener for events after `since`, or from now on.

        Raises:
            ServiceUnavailable
        """
        now = self._cursor
        if now is None:
            async with self._database.reading() as reader:
                now = await repository.end_of_log(reader)
            if self._cursor is None:
                self._cursor = now
            now = self._cursor
        listener = BoardListener(self, since or now, bug_id=bug_id)
        if since is not None and not now.moment - MAX_AGE < since.moment < now.moment + CLOCK_SKEW:
            _resync_to(listener, now)
        listener.is_lagging = listener.cursor is not now
        self._listeners.add(listener)
        return listener

    def remove(self, listener: BoardListener) -> None:
        self._listeners.discard(listener)
        if not self._listeners:
            self._cursor = None

    def end_all(self, closed: Closed) -> None:
        for listener in list(self._listeners):
            listener.end(closed)
            self.remove(listener)

    async def read_new(self) -> bool:
        """Read new events, where there are listeners; returns whether there may be more."""
        if self._cursor is None:
            return False
        settled, events = await self._read(self._cursor, bug_id=None)
        if self._cursor is None:  # the last listener was closed meanwhile
            return False
        is_all = len(events) < PAGE
        steps = list(with_cursors(self._cursor, events, settled=settled, is_all=is_all))
        end = steps[-1][1] if steps else self._cursor.settled(settled)
        updates = [(event, self._update(event, cursor)) for event, cursor in steps if is_public(event)]
        for listener in self._listeners:
            if listener.is_lagging:
                continue
            if listener.cursor is self._cursor:
                _offer_new(listener, updates)
                listener.cursor = end
            else:
                self._offer_unread(listener, events, end)
        self._cursor = end
        self._rounds += bool(events)
        return not is_all

    async def read_missed(self, listener: BoardListener) -> None:
        """Read a page of the events that a listener has missed.

        Where no round has read events during this call, the listener has caught up: it has everything that the others
        have. It may have more, and its cursor says what.

        Raises:
            ServiceUnavailable
        """
        before = self._rounds
        settled, events = await self._read(listener.cursor, bug_id=listener.bug_id)
        listener.missed += len(events)
        if listener.missed > MAX_MISSED and self._cursor is not None:
            _resync_to(listener, self._cursor)
            return
        is_all = len(events) < PAGE
        for event, cursor in with_cursors(listener.cursor, events, settled=settled, is_all=is_all):
            listener.cursor = cursor
            if is_public(event):
                listener.put(self._update(event, cursor))
        if not events:
            listener.cursor = listener.cursor.settled(settled)
        listener.is_lagging = not (is_all and self._rounds == before)

    async def _read(
        self, cursor: BoardCursor, *, bug_id: UUID | None
    ) -> tuple[datetime, Sequence[LoggedEvent]]:
        """The watermark, and the events after a cursor."""
        async with self._database.reading() as reader:
            settled = await repository.settled_moment(reader)  # has to be read before the events
            return settled, await repository.board_events(reader, cursor, bug_id=bug_id, limit=PAGE)

    def _offer_unread(self, listener: BoardListener, events: Sequence[LoggedEvent], end: BoardCursor) -> None:
        """Offer a listener that was ahead of the last round the events that it has not read yet."""
        for event in events:
            if not listener.cursor.has(event):
                listener.cursor = listener.cursor.after(event)
                if listener.matches(event):
                    listener.offer(self._update(event, listener.cursor))
        listener.cursor = listener.cursor.settled(end.moment)
        if listener.cursor == end:
            listener.cursor = end

    def _update(self, event: LoggedEvent, cursor: BoardCursor) -> Update:
        assert event.bug_id is not None  # noqa: S101 - board_events() gives those of bugs
        visible: BoardEvent = board_event(event, event.bug_id)
        return Update(visible, self._encode(visible), str(cursor))


def _offer_new(listener: BoardListener, updates: Sequence[tuple[LoggedEvent, Update]]) -> None:
    for event, update in updates:
        if listener.matches(event):
            listener.offer(update)


def _resync_to(listener: BoardListener, cursor: BoardCursor) -> None:
    listener.cursor = cursor
    listener.is_lagging = False
    listener.resync(str(cursor))
