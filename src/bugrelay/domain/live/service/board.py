"""The board as everybody may see it, read once for all who listen to it or to one of its bugs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from bugrelay.domain.live import repository
from bugrelay.domain.live.cursors import BoardCursor, walk
from bugrelay.domain.live.policies import board_event, is_public
from bugrelay.domain.live.schemas import BoardEvent, Closed, Encode, LoggedEvent, Update
from bugrelay.domain.live.service.listeners import Listener
from bugrelay.infra.db.database import Database

PAGE = 100
TOLD_FOR = timedelta(hours=1)
MAX_MISSED = 1000  # events that are told one by one; who has missed more loads anew what they show
CLOCKS_DIFFER = timedelta(minutes=1)  # of a cursor that another process has given


class BoardListener(Listener):
    """Of one anonymous client.

    Attributes:
        cursor: How far the board was read for it.
        missed: How many events of before were read for it.
    """

    def __init__(self, board: Board, cursor: BoardCursor, *, bug_id: UUID | None) -> None:
        super().__init__(str(cursor))
        self._board = board
        self.cursor = cursor
        self.bug_id = bug_id
        self.missed = 0

    @property
    def _place(self) -> str:
        return str(self.cursor)

    async def _read_on(self) -> None:
        await self._board.read_missed(self)

    def wants(self, event: LoggedEvent) -> bool:
        return is_public(event) and self.bug_id in (None, event.bug_id)

    def close(self) -> None:
        self.end(Closed("closed"))
        self._board.forget(self)


class Board:
    """Of one process."""

    def __init__(self, database: Database, *, encode: Encode) -> None:
        self._database = database
        self._encode = encode
        self._listeners: set[BoardListener] = set()
        self._cursor: BoardCursor | None = None
        self._rounds = 0

    def __bool__(self) -> bool:
        return bool(self._listeners)

    async def listen(self, *, since: BoardCursor | None, bug_id: UUID | None) -> BoardListener:
        """A listener that is told what comes behind `since`, or from now on.

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
        if since is not None and not now.moment - TOLD_FOR < since.moment < now.moment + CLOCKS_DIFFER:
            _begin_anew(listener, now)
        listener.is_behind = listener.cursor is not now
        self._listeners.add(listener)
        return listener

    def forget(self, listener: BoardListener) -> None:
        self._listeners.discard(listener)
        if not self._listeners:
            self._cursor = None

    def end_all(self, closed: Closed) -> None:
        for listener in list(self._listeners):
            listener.end(closed)
            self.forget(listener)

    async def read_news(self) -> bool:
        """Read what is new, where somebody listens; says whether there may be more."""
        if self._cursor is None:
            return False
        settled, events = await self._read(self._cursor, bug_id=None)
        if self._cursor is None:  # all have left meanwhile
            return False
        is_all = len(events) < PAGE
        steps = list(walk(self._cursor, events, settled=settled, is_all=is_all))
        end = steps[-1][1] if steps else self._cursor.settled(settled)
        told = [(event, self._update(event, cursor)) for event, cursor in steps if is_public(event)]
        for listener in self._listeners:
            if listener.is_behind:
                continue
            if listener.cursor is self._cursor:
                _tell(listener, told)
                listener.cursor = end
            else:
                self._tell_apart(listener, events, end)
        self._cursor = end
        self._rounds += bool(events)
        return not is_all

    async def read_missed(self, listener: BoardListener) -> None:
        """A page of what a listener has missed.

        It is told by the rounds from now on where none has told something while its page was read: then it has all that
        they had, and what it has beyond that, its cursor says.

        Raises:
            ServiceUnavailable
        """
        before = self._rounds
        settled, events = await self._read(listener.cursor, bug_id=listener.bug_id)
        listener.missed += len(events)
        if listener.missed > MAX_MISSED and self._cursor is not None:
            _begin_anew(listener, self._cursor)
            return
        is_all = len(events) < PAGE
        for event, cursor in walk(listener.cursor, events, settled=settled, is_all=is_all):
            listener.cursor = cursor
            if is_public(event):
                listener.put(self._update(event, cursor))
        if not events:
            listener.cursor = listener.cursor.settled(settled)
        listener.is_behind = not (is_all and self._rounds == before)

    async def _read(
        self, cursor: BoardCursor, *, bug_id: UUID | None
    ) -> tuple[datetime, Sequence[LoggedEvent]]:
        """The events behind a cursor, and up to when there will be no others."""
        async with self._database.reading() as reader:
            settled = await repository.settled_moment(reader)  # before the others, see there
            return settled, await repository.board_events(reader, cursor, bug_id=bug_id, limit=PAGE)

    def _tell_apart(self, listener: BoardListener, events: Sequence[LoggedEvent], end: BoardCursor) -> None:
        """Tell one that has read beyond the last round what it has not read; then it may be where all others are."""
        for event in events:
            if not listener.cursor.has(event):
                listener.cursor = listener.cursor.after(event)
                if listener.wants(event):
                    listener.offer(self._update(event, listener.cursor))
        listener.cursor = listener.cursor.settled(end.moment)
        if listener.cursor == end:
            listener.cursor = end

    def _update(self, event: LoggedEvent, cursor: BoardCursor) -> Update:
        assert event.bug_id is not None  # noqa: S101 - board_events() gives those of bugs
        told: BoardEvent = board_event(event, event.bug_id)
        return Update(told, self._encode(told), str(cursor))


def _tell(listener: BoardListener, told: Sequence[tuple[LoggedEvent, Update]]) -> None:
    for event, update in told:
        if listener.wants(event):
            listener.offer(update)


def _begin_anew(listener: BoardListener, cursor: BoardCursor) -> None:
    listener.cursor = cursor
    listener.is_behind = False
    listener.resync(str(cursor))
