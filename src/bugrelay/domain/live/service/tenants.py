"""The streams of companies with listeners: each is read once, and fanned out to the listeners by their rights."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from bugrelay.domain.companies.schemas import Role, Tenant
from bugrelay.domain.live import repository
from bugrelay.domain.live.policies import VisibilityContext, VisibleAs, tenant_event, visible_as
from bugrelay.domain.live.schemas import Closed, ConnectionRights, Encode, EventFilter, LoggedEvent, Update
from bugrelay.domain.live.service.listeners import Listener
from bugrelay.domain.live.service.reading import is_expired, visibility_context
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.infra.db.database import Database

MAX_EVENTS_OF_STREAM = 100  # in one round, so that queues of 256 can be emptied in between
MAX_EVENTS = 1000
PAGE = 100
RIGHTS_SECONDS = 1.0  # for which rights are trusted when events are sent
IDLE_RIGHTS_SECONDS = 30.0  # the same while there are no events


class TenantListener(Listener):
    """A listener of one user to one company.

    Attributes:
        seq: The number up to which the stream was read for it.
        tenant: The company and its user, with the role that was read at `rights_read_at` (clock of the event loop).
    """

    def __init__(
        self,
        streams: TenantStreams,
        tenant: Tenant,
        session_id: UUID,
        *,
        event_filter: EventFilter,
        position: int,
    ) -> None:
        super().__init__(str(position))
        self._streams = streams
        self.tenant = tenant
        self.session_id = session_id
        self.event_filter = event_filter
        self.seq = position
        self.rights_read_at = float("-inf")

    @property
    def _read_position(self) -> str:
        return str(self.seq)

    async def _read_missed(self) -> None:
        await self._streams.read_missed(self)

    def close(self) -> None:
        self.end(Closed("closed"))
        self._streams.remove(self)


class _Stream:
    """The listeners to one company, and the number up to which the stream was read for those that do not lag."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.listeners: set[TenantListener] = set()


class TenantStreams:
    """The listeners to companies of one process.

    Args:
        database: The log.
        encode: Encodes an event as JSON.
    """

    def __init__(self, database: Database, *, encode: Encode) -> None:
        self._database = database
        self._encode = encode
        self._streams: dict[UUID, _Stream] = {}
        self._pending: dict[UUID, None] = {}
        self._rights_lock = asyncio.Lock()

    def __bool__(self) -> bool:
        return bool(self._streams)

    async def listen(
        self, tenant: Tenant, session_id: UUID, *, since: int | None, event_filter: EventFilter
    ) -> TenantListener:
        """Register a listener for events after `since`, or from now on.

        Raises:
            ServiceUnavailable
        """
        head = await repository.head_of(self._database, tenant.company_id)
        is_lost = since is not None and await is_expired(self._database, tenant, since=since, head=head)
        position = head if since is None else since
        listener = TenantListener(self, tenant, session_id, event_filter=event_filter, position=position)
        if is_lost:
            listener.resync(str(head))
            listener.seq = head
        stream = self._streams.setdefault(tenant.company_id, _Stream(head))
        stream.listeners.add(listener)
        listener.is_lagging = listener.seq < stream.seq
        return listener

    def remove(self, listener: TenantListener) -> None:
        stream = self._streams.get(listener.tenant.company_id)
        if stream is not None:
            stream.listeners.discard(listener)
            if not stream.listeners:
                del self._streams[listener.tenant.company_id]

    def end_all(self, closed: Closed) -> None:
        for listener in self._listeners():
            listener.end(closed)
            self.remove(listener)

    def notify(self, stream: UUID, seq: int) -> bool:
        """An event with this number was committed; returns whether it is new to a listener here."""
        known = self._streams.get(stream)
        if known is None or known.seq >= seq:
            return False
        self._pending[stream] = None
        return True

    def mark_all(self) -> None:
        """Mark all streams as possibly having new events."""
        self._pending.update(dict.fromkeys(self._streams))

    async def read_new(self) -> bool:
        """Read new events of the marked streams in one query; returns whether there may be more."""
        positions = {stream: self._streams[stream].seq for stream in self._pending if stream in self._streams}
        self._pending.clear()
        if not positions:
            return False
        events = await repository.next_events(
            self._database, positions, max_of_stream=MAX_EVENTS_OF_STREAM, max_events=MAX_EVENTS
        )
        await self._deliver(events)
        self._pending.update(dict.fromkeys(_unfinished(positions, events)))
        return bool(self._pending)

    async def end_idle(self) -> None:
        """Close listeners whose rights have ended, also where no events come."""
        await self._refresh_rights(self._listeners(), older_than=IDLE_RIGHTS_SECONDS)

    async def read_missed(self, listener: TenantListener) -> None:
        """Read a page of the events that a listener has missed.

        Raises:
            ServiceUnavailable
        """
        company_id = listener.tenant.company_id
        head = await repository.head_of(self._database, company_id)
        events, read_to = await repository.page_of_events(
            self._database,
            company_id,
            since=listener.seq,
            head=head,
            event_filter=listener.event_filter,
            limit=PAGE,
        )
        await self._refresh_rights([listener], older_than=RIGHTS_SECONDS)
        context = await self._context_of(events, [listener])
        for update in _FanOut(events, context, encode=self._encode).updates_for(listener):
            listener.put(update)
        listener.seq = max(listener.seq, read_to)
        stream = self._streams.get(company_id)
        listener.is_lagging = stream is not None and listener.seq < stream.seq

    async def _deliver(self, events: Sequence[LoggedEvent]) -> None:
        by_stream = {stream: list(those) for stream, those in groupby(events, key=attrgetter("stream"))}
        known = set(self._listeners(by_stream))
        await self._refresh_rights(known, older_than=RIGHTS_SECONDS)
        for stream_id, those in by_stream.items():
            context = await self._context_of(
                those, [each for each in known if each.tenant.company_id == stream_id]
            )
            stream = self._streams.get(stream_id)
            if stream is None:  # its last listener was closed meanwhile
                continue
            fan_out = _FanOut(those, context, encode=self._encode)
            for listener in stream.listeners:
                if listener not in known:  # it is new, and its rights were not read
                    listener.mark_lagging()
                elif not listener.is_lagging:
                    listener.offer_all(
                        [update for update in fan_out.updates_for(listener) if _is_new(update, listener)]
                    )
                    listener.seq = max(listener.seq, those[-1].seq)
            stream.seq = max(stream.seq, those[-1].seq)

    def _listeners(self, streams: Iterable[UUID] | None = None) -> list[TenantListener]:
        chosen = self._streams if streams is None else [each for each in streams if each in self._streams]
        return [listener for stream in chosen for listener in self._streams[stream].listeners]

    async def _context_of(
        self, events: Sequence[LoggedEvent], listeners: Collection[TenantListener]
    ) -> VisibilityContext:
        """The context of the events; nothing is read where no reporter listens."""
        if all(sees_all(one.tenant) for one in listeners):
            return VisibilityContext()
        return await visibility_context(self._database, events)

    async def _refresh_rights(self, listeners: Iterable[TenantListener], *, older_than: float) -> None:
        """Read rights that are older than `older_than` seconds, those of all listeners to a company in one query.

        Listeners without rights are closed.
        """
        clock = asyncio.get_running_loop().time
        async with self._rights_lock:
            stale = {one.tenant.company_id for one in listeners if clock() - one.rights_read_at > older_than}
            if not stale:
                return
            asked, started = self._listeners(stale), clock()
            found = await repository.connection_rights(
                self._database, [(one.session_id, one.tenant.company_id) for one in asked]
            )
            by_connection = {(one.session_id, one.company_id): one for one in found}
            for listener in asked:
                self._apply(listener, by_connection[listener.session_id, listener.tenant.company_id])
                listener.rights_read_at = started

    def _apply(self, listener: TenantListener, rights: ConnectionRights) -> None:
        if rights.role is not None and rights.is_signed_in:
            listener.tenant = _with_role(listener.tenant, rights.role)
            return
        is_signed_out = not rights.is_signed_in and not rights.is_banned
        listener.end(Closed("unauthenticated" if is_signed_out else "forbidden"))
        self.remove(listener)


class _FanOut:
    """Events of one stream for many listeners: each form of an event is encoded once, and events are selected once for
    all listeners with the same rights and filter."""

    def __init__(self, events: Sequence[LoggedEvent], context: VisibilityContext, *, encode: Encode) -> None:
        self._events = events
        self._context = context
        self._encode = encode
        self._updates: dict[tuple[int, VisibleAs], Update] = {}
        self._selected: dict[tuple[UUID | None, EventFilter], list[Update]] = {}

    def updates_for(self, listener: TenantListener) -> list[Update]:
        """The events that the listener may see and that match its filter."""
        tenant, event_filter = listener.tenant, listener.event_filter
        key = None if sees_all(tenant) else tenant.user_id, event_filter
        if key not in self._selected:
            self._selected[key] = list(self._select(tenant, event_filter))
        return self._selected[key]

    def _select(self, tenant: Tenant, event_filter: EventFilter) -> Iterator[Update]:
        for event in self._events:
            form = visible_as(event, role=tenant.role, user_id=tenant.user_id, context=self._context)
            if form is None:
                continue
            update = self._update(event, form)
            if event_filter.matches(event, update.event.type):
                yield update

    def _update(self, event: LoggedEvent, form: VisibleAs) -> Update:
        key = event.seq, form
        if key not in self._updates:
            visible = tenant_event(event, form)
            self._updates[key] = Update(visible, self._encode(visible), str(event.seq))
        return self._updates[key]


def _is_new(update: Update, listener: TenantListener) -> bool:
    return int(update.position) > listener.seq


def _unfinished(asked: Collection[UUID], events: Sequence[LoggedEvent]) -> list[UUID]:
    """The streams that may have more events than were read.

    Those that reached `MAX_EVENTS_OF_STREAM`; and all from the last one on, where `MAX_EVENTS` was reached.
    """
    counts = {stream: len(list(those)) for stream, those in groupby(events, key=attrgetter("stream"))}
    full = [stream for stream, count in counts.items() if count == MAX_EVENTS_OF_STREAM]
    if len(events) < MAX_EVENTS:
        return full
    streams = list(asked)
    return [*streams[streams.index(events[-1].stream) :], *full]


def _with_role(tenant: Tenant, role: Role) -> Tenant:
    return tenant if tenant.role == role else Tenant(tenant.company_id, tenant.user_id, role)
