"""The streams of companies that somebody listens to: each is read once, and its listeners told what they may see."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from bugrelay.domain.companies.schemas import Role, Tenant
from bugrelay.domain.live import repository
from bugrelay.domain.live.policies import AsWhat, Surroundings, tenant_event, told_as
from bugrelay.domain.live.schemas import Closed, Encode, LoggedEvent, Standing, Update, Wanted
from bugrelay.domain.live.service.listeners import Listener
from bugrelay.domain.live.service.reading import is_expired, surroundings
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.infra.db.database import Database

MOST_OF_STREAM = 100  # events a round, so that queues of 256 can be emptied in between
MOST = 1000
PAGE = 100
RIGHTS_SECONDS = 1.0  # for which what somebody may see counts
IDLE_RIGHTS_SECONDS = 30.0  # the same where nothing happens: their connection is closed in the end


class TenantListener(Listener):
    """Of one user of one company.

    Attributes:
        seq: How far the stream was read for it.
        tenant: Who listens, in their role of `judged_at`, on the clock of the event loop.
    """

    def __init__(
        self, streams: TenantStreams, tenant: Tenant, session_id: UUID, *, wanted: Wanted, position: int
    ) -> None:
        super().__init__(str(position))
        self._streams = streams
        self.tenant = tenant
        self.session_id = session_id
        self.wanted = wanted
        self.seq = position
        self.judged_at = float("-inf")

    @property
    def _place(self) -> str:
        return str(self.seq)

    async def _read_on(self) -> None:
        await self._streams.read_missed(self)

    def close(self) -> None:
        self.end(Closed("closed"))
        self._streams.forget(self)


class _Stream:
    """Attributes:
    seq: How far it was read for those who are not behind.
    """

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.listeners: set[TenantListener] = set()


class TenantStreams:
    """Of one process.

    Args:
        database: Where the log is.
        encode: Writes an event.
    """

    def __init__(self, database: Database, *, encode: Encode) -> None:
        self._database = database
        self._encode = encode
        self._streams: dict[UUID, _Stream] = {}
        self._with_news: dict[UUID, None] = {}
        self._judging = asyncio.Lock()

    def __bool__(self) -> bool:
        return bool(self._streams)

    async def listen(
        self, tenant: Tenant, session_id: UUID, *, since: int | None, wanted: Wanted
    ) -> TenantListener:
        """A listener that is told what comes behind `since`, or from now on.

        Raises:
            ServiceUnavailable
        """
        head = await repository.head_of(self._database, tenant.company_id)
        is_lost = since is not None and await is_expired(self._database, tenant, since=since, head=head)
        position = head if since is None else since
        listener = TenantListener(self, tenant, session_id, wanted=wanted, position=position)
        if is_lost:
            listener.resync(str(head))
            listener.seq = head
        stream = self._streams.setdefault(tenant.company_id, _Stream(head))
        stream.listeners.add(listener)
        listener.is_behind = listener.seq < stream.seq
        return listener

    def forget(self, listener: TenantListener) -> None:
        stream = self._streams.get(listener.tenant.company_id)
        if stream is not None:
            stream.listeners.discard(listener)
            if not stream.listeners:
                del self._streams[listener.tenant.company_id]

    def end_all(self, closed: Closed) -> None:
        for listener in self._listeners():
            listener.end(closed)
            self.forget(listener)

    def ring(self, stream: UUID, seq: int) -> bool:
        """There is an event with this number; says whether that is news to somebody here."""
        known = self._streams.get(stream)
        if known is None or known.seq >= seq:
            return False
        self._with_news[stream] = None
        return True

    def suspect_all(self) -> None:
        """Each stream may have news."""
        self._with_news.update(dict.fromkeys(self._streams))

    async def read_news(self) -> bool:
        """Read what is new in the streams that may have some, in one query; says whether there may be more."""
        asked = {stream: self._streams[stream].seq for stream in self._with_news if stream in self._streams}
        self._with_news.clear()
        if not asked:
            return False
        events = await repository.next_events(self._database, asked, most_each=MOST_OF_STREAM, most=MOST)
        await self._tell(events)
        self._with_news.update(dict.fromkeys(_unfinished(asked, events)))
        return bool(self._with_news)

    async def end_idle(self) -> None:
        """Look at the rights of those who were told nothing for a while."""
        await self._judge(self._listeners(), older_than=IDLE_RIGHTS_SECONDS)

    async def read_missed(self, listener: TenantListener) -> None:
        """A page of what a listener has missed.

        Raises:
            ServiceUnavailable
        """
        company_id = listener.tenant.company_id
        head = await repository.head_of(self._database, company_id)
        events, read_to = await repository.page_of_events(
            self._database, company_id, since=listener.seq, head=head, wanted=listener.wanted, limit=PAGE
        )
        await self._judge([listener], older_than=RIGHTS_SECONDS)
        around = await self._around(events, [listener])
        for update in _Telling(events, around, encode=self._encode).to(listener):
            listener.put(update)
        listener.seq = max(listener.seq, read_to)
        stream = self._streams.get(company_id)
        listener.is_behind = stream is not None and listener.seq < stream.seq

    async def _tell(self, events: Sequence[LoggedEvent]) -> None:
        by_stream = {stream: list(those) for stream, those in groupby(events, key=attrgetter("stream"))}
        known = set(self._listeners(by_stream))
        await self._judge(known, older_than=RIGHTS_SECONDS)
        for stream_id, those in by_stream.items():
            around = await self._around(
                those, [each for each in known if each.tenant.company_id == stream_id]
            )
            stream = self._streams.get(stream_id)
            if stream is None:  # all have left meanwhile
                continue
            told = _Telling(those, around, encode=self._encode)
            for listener in stream.listeners:
                if listener not in known:  # its rights were not asked for
                    listener.fall_behind()
                elif not listener.is_behind:
                    listener.offer_all([update for update in told.to(listener) if _is_new(update, listener)])
                    listener.seq = max(listener.seq, those[-1].seq)
            stream.seq = max(stream.seq, those[-1].seq)

    def _listeners(self, streams: Iterable[UUID] | None = None) -> list[TenantListener]:
        chosen = self._streams if streams is None else [each for each in streams if each in self._streams]
        return [listener for stream in chosen for listener in self._streams[stream].listeners]

    async def _around(
        self, events: Sequence[LoggedEvent], listeners: Collection[TenantListener]
    ) -> Surroundings:
        """What decides about reporters; nothing is asked where none listens."""
        if all(sees_all(one.tenant) for one in listeners):
            return Surroundings()
        return await surroundings(self._database, events)

    async def _judge(self, listeners: Iterable[TenantListener], *, older_than: float) -> None:
        """Read anew what these, and all others of their companies, may see, in one query; end those who may nothing.

        Nothing is asked where it is known well enough.
        """
        clock = asyncio.get_running_loop().time
        async with self._judging:
            stale = {one.tenant.company_id for one in listeners if clock() - one.judged_at > older_than}
            if not stale:
                return
            asked, began = self._listeners(stale), clock()
            found = await repository.standings(
                self._database, [(one.session_id, one.tenant.company_id) for one in asked]
            )
            by_connection = {(one.session_id, one.company_id): one for one in found}
            for listener in asked:
                self._apply(listener, by_connection[listener.session_id, listener.tenant.company_id])
                listener.judged_at = began

    def _apply(self, listener: TenantListener, standing: Standing) -> None:
        if standing.role is not None and standing.is_signed_in:
            listener.tenant = _with_role(listener.tenant, standing.role)
            return
        is_out = not standing.is_signed_in and not standing.is_banned
        listener.end(Closed("unauthenticated" if is_out else "forbidden"))
        self.forget(listener)


class _Telling:
    """Events of a stream on their way to many listeners: each form of one is written once, and chosen once for all who
    may hear and ask for the same."""

    def __init__(self, events: Sequence[LoggedEvent], around: Surroundings, *, encode: Encode) -> None:
        self._events = events
        self._around = around
        self._encode = encode
        self._made: dict[tuple[int, AsWhat], Update] = {}
        self._chosen: dict[tuple[UUID | None, Wanted], list[Update]] = {}

    def to(self, listener: TenantListener) -> list[Update]:
        """What a listener may be told and asks for."""
        tenant, wanted = listener.tenant, listener.wanted
        key = None if sees_all(tenant) else tenant.user_id, wanted
        if key not in self._chosen:
            self._chosen[key] = list(self._choose(tenant, wanted))
        return self._chosen[key]

    def _choose(self, tenant: Tenant, wanted: Wanted) -> Iterator[Update]:
        for event in self._events:
            what = told_as(event, role=tenant.role, user_id=tenant.user_id, around=self._around)
            if what is None:
                continue
            update = self._update(event, what)
            if wanted.has(event, update.event.type):
                yield update

    def _update(self, event: LoggedEvent, what: AsWhat) -> Update:
        key = event.seq, what
        if key not in self._made:
            told = tenant_event(event, what)
            self._made[key] = Update(told, self._encode(told), str(event.seq))
        return self._made[key]


def _is_new(update: Update, listener: TenantListener) -> bool:
    return int(update.position) > listener.seq


def _unfinished(asked: Collection[UUID], events: Sequence[LoggedEvent]) -> list[UUID]:
    """The streams that may have more than was read: those with a full share, and all behind where all are full."""
    counts = {stream: len(list(those)) for stream, those in groupby(events, key=attrgetter("stream"))}
    full = [stream for stream, count in counts.items() if count == MOST_OF_STREAM]
    if len(events) < MOST:
        return full
    streams = list(asked)
    return [*streams[streams.index(events[-1].stream) :], *full]


def _with_role(tenant: Tenant, role: Role) -> Tenant:
    return tenant if tenant.role == role else Tenant(tenant.company_id, tenant.user_id, role)
