"""What the streams of companies cost: one query for all of them, and rights in one query for all who listen."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.live.schemas import Closed, EventFilter, Resync, Update
from bugrelay.domain.live.service import listeners
from bugrelay.domain.live.service.listeners import Listener
from bugrelay.domain.live.service.tenants import TenantStreams
from bugrelay.http.responses import to_json
from bugrelay.infra.platform import Platform
from tests.conftest import SignUp, WorkCounted
from tests.domain.live.test_board_position import write
from tests.factories import make_member

Sql = psycopg.Connection[Any]


async def listening(
    platform: Platform, streams: TenantStreams, sign_up: SignUp, sql: Sql, *, companies: int, each: int
) -> list[Listener]:
    """Members of several companies, some of each."""
    found: list[Listener] = []
    for number in range(companies):
        company = uuid4()
        sql.execute(
            "INSERT INTO companies (id, name, domain) VALUES (%s, 'Co', %s)", (company, f"c{number}.example")
        )
        person = await sign_up(f"member{number}")
        make_member(sql, person, str(company))
        session = platform.tokens.read(person.access_token).session_id
        tenant = Tenant(company, UUID(person.id), "member")
        found += [
            await streams.listen(tenant, session, since=None, event_filter=EventFilter()) for _ in range(each)
        ]
    return found


def ids(listener: Listener) -> list[int]:
    heard = []
    while isinstance(update := listener.next_nowait(), Update):
        heard.append(int(update.position))
    return heard


async def test_all_streams_take_one_query_and_all_rights_another(
    platform: Platform, sign_up: SignUp, sql: Sql, work_counted: WorkCounted
) -> None:
    streams = TenantStreams(platform.database, encode=to_json)
    found = await listening(platform, streams, sign_up, sql, companies=4, each=5)
    with work_counted() as idle:
        streams.mark_all()
        assert await streams.read_new() is False
    assert idle.exchanges <= 2  # the query, which is prepared when it is first run
    companies = {listener.tenant.company_id for listener in found}  # type: ignore[attr-defined]
    for company in companies:
        write(sql, company, visibility="internal")
    with work_counted() as busy:
        streams.mark_all()
        await streams.read_new()
    assert busy.exchanges <= 4
    assert [ids(listener) for listener in found] == [[1]] * 20
    for company in companies:
        write(sql, company, visibility="internal")
    with work_counted() as again:
        streams.mark_all()
        await streams.read_new()
    assert again.exchanges == 1  # who may see it is known since a moment
    assert [ids(listener) for listener in found] == [[2]] * 20


async def test_a_notification_is_ignored_without_a_listener_that_needs_it(
    platform: Platform, sign_up: SignUp, sql: Sql, work_counted: WorkCounted
) -> None:
    streams = TenantStreams(platform.database, encode=to_json)
    (listener,) = await listening(platform, streams, sign_up, sql, companies=1, each=1)
    company = listener.tenant.company_id  # type: ignore[attr-defined]
    assert streams.notify(uuid4(), 1) is False
    assert streams.notify(company, 0) is False
    with work_counted() as work:
        await streams.read_new()
    assert work.exchanges == 0
    write(sql, company, visibility="internal")
    assert streams.notify(company, 1) is True
    await streams.read_new()
    assert ids(listener) == [1]
    assert streams.notify(company, 1) is False
    listener.close()
    assert not streams
    assert listener.next_nowait() == Closed("closed")


async def test_a_full_queue_is_replaced_by_one_resync(platform: Platform, sign_up: SignUp, sql: Sql) -> None:
    streams = TenantStreams(platform.database, encode=to_json)
    slow, large = await listening(platform, streams, sign_up, sql, companies=2, each=1)
    for number in range(1, listeners.MAX_QUEUED + 5):
        slow.offer(_update(number, size=1))
    assert slow.position == "0"  # where it comes back to, before it has heard of this
    assert slow.next_nowait() == Resync(str(listeners.MAX_QUEUED + 1))
    assert ids(slow) == list(range(listeners.MAX_QUEUED + 2, listeners.MAX_QUEUED + 5))
    for number in range(1, 6):
        large.offer(_update(number, size=listeners.MAX_QUEUED_BYTES // 4))
    assert large.next_nowait() == Resync("5")
    assert large.next_nowait() is None


def _update(number: int, *, size: int) -> Update:
    return Update(None, b"x" * size, str(number))  # type: ignore[arg-type]
