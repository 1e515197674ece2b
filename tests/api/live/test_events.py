"""Events of a company: the same pulled and streamed, resumed at each point, sent only to users who may see them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from bugrelay.domain.live.service import hub as hub_module
from bugrelay.domain.live.service import listeners, tenants
from tests.api.live.conftest import EVENTS, STREAM, Caller, all_of, pulled
from tests.conftest import StartApp
from tests.event_streams import Stream, StreamEvent, opened
from tests.factories import Person, put_project
from tests.infra.redis.server import eventually
from tests.pace import undisturbed

Sql = psycopg.Connection[Any]


def data_of(received: list[StreamEvent]) -> list[dict[str, Any]]:
    return [one.data for one in received]


def types_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def listen(caller: Caller, path: str = STREAM, **headers: str) -> Any:
    return opened(caller.client, path, **caller.person.headers, **headers)


async def work_on_tickets(mae: Caller) -> dict[str, Any]:
    """Something of each kind; gives the ticket."""
    ticket = await mae.ticket("It burns")
    path = f"tickets/{ticket['key']}"
    await mae.call(
        "PUT", path, {"title": "It <img src=x onerror=burn()> burned", "internalNotes": "Ask the landlord"}
    )
    await mae.call("POST", f"{path}/comments", {"content": "I see smoke"})
    await mae.call("POST", f"{path}/comments", {"content": "Do not tell", "isInternal": True})
    await mae.call("PATCH", f"{path}/status", {"status": "in_progress"})
    return ticket


async def test_pages_and_stream_have_the_same_events_and_resume_at_each_position(
    mae: Caller, bug: dict[str, Any]
) -> None:
    async with listen(mae, f"{STREAM}?since=0") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-store"
        ticket = await work_on_tickets(mae)
        head = (await pulled(mae))["head"]
        received = await stream.until(head)
    events = await all_of(mae)
    assert data_of(received) == events
    assert [one.id for one in received] == [str(event["id"]) for event in events]
    assert [event["id"] for event in events] == list(range(1, head + 1))
    assert types_of(events)[0] == "bug.created"
    assert events[0]["bug_id"] == bug["id"]
    last = events[-1]
    assert set(last) == {"id", "type", "at", "actor", "ticket", "bug_id", "version", "data"}
    assert last["ticket"] == {
        "id": ticket["id"],
        "key": ticket["key"],
        "project_id": ticket["project"]["id"],
    }
    assert last["actor"] == {"id": mae.id, "username": "mae", "name": "mae"}
    assert "<img" not in stream.body.decode()  # defused, as everywhere
    for place in range(len(events) + 1):
        rest = await pulled(mae, since=place, limit=500)
        assert rest == {"events": events[place:], "next": head, "head": head}
        async with listen(mae, Last_Event_ID=str(place)) as resumed:
            assert data_of(await resumed.take(len(events) - place)) == events[place:]
            assert resumed.parsed.position == str(head)
            made = await mae.ticket("Another")  # nothing comes twice before it
            (next_one,) = await resumed.take(1)
            assert next_one.data["ticket"]["id"] == made["id"]
            head += 1
            events.append(next_one.data)
            if place == 2:
                break


async def test_filters_match_alike_for_pages_and_stream(mae: Caller) -> None:
    ticket = await work_on_tickets(mae)
    other = await mae.ticket("Another")
    for query, fits in {
        "types=ticket.created,ticket.commented": lambda e: (
            e["type"] in ("ticket.created", "ticket.commented")
        ),
        f"ticket={ticket['key'].lower()}": lambda e: (e["ticket"] or {}).get("id") == ticket["id"],
        f"ticket={other['id']}": lambda e: (e["ticket"] or {}).get("id") == other["id"],
        f"project_id={ticket['project']['id']}": lambda e: e["ticket"] or e["type"] == "project.changed",
    }.items():
        wanted = [event for event in await all_of(mae) if fits(event)]
        parameters = dict(one.split("=") for one in query.split("&"))
        assert await all_of(mae, **parameters) == wanted
        async with listen(mae, f"{STREAM}?since=0&{query}") as stream:
            assert data_of(await stream.take(len(wanted))) == wanted
    unknown = await mae.client.get(f"{EVENTS}?ticket=NO-1", headers=mae.person.headers)
    assert unknown.status_code == 404


async def test_an_unknown_type_is_refused_by_its_name(mae: Caller) -> None:
    for path in (EVENTS, STREAM):
        query = {"types": "ticket.created, ticket.close,,bug"}
        response = await mae.client.get(path, params=query, headers=mae.person.headers)
        assert response.status_code == 400
        (problem,) = response.json()["error"]["fields"]
        assert problem["field"] == "types"
        assert problem["message"].endswith("not ticket.close, bug")


async def test_invalid_parameters_are_refused(mae: Caller) -> None:
    for query in ("since=-1", "since=x", f"since={10**19}", "limit=0", "limit=501", "project_id=x"):
        response = await mae.client.get(f"{EVENTS}?{query}", headers=mae.person.headers)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "VALIDATION_ERROR"), query
    async with listen(mae, Last_Event_ID="-1; DROP") as stream:
        assert stream.status == 400
    async with opened(mae.client, STREAM) as stream:
        assert stream.status == 401
    head = await mae.client.head(STREAM, headers=mae.person.headers)
    assert (head.status_code, head.content) == (200, b"")


async def test_a_position_that_is_too_old_is_refused_or_resynced(
    mae: Caller, sql: Sql, company_id: str
) -> None:
    for title in ("One", "Two", "Three"):
        await mae.ticket(title)
    head = (await pulled(mae))["head"]
    sql.execute("SET session_replication_role = replica")
    sql.execute(
        "UPDATE events SET at = %s WHERE stream::text = %s AND seq <= 2",
        (datetime.now(UTC) - timedelta(days=31), company_id),
    )
    sql.execute("SET session_replication_role = DEFAULT")
    for lost in (0, 1, 10**6):
        response = await mae.client.get(EVENTS, params={"since": lost}, headers=mae.person.headers)
        assert response.status_code == 410
        assert response.json()["error"]["code"] == "CURSOR_EXPIRED"
        assert response.json()["error"]["head"] == head
        async with listen(mae, Last_Event_ID=str(lost)) as stream:
            assert stream.body.startswith(b"retry: 1000\nid: %d\n\n" % lost)
            (received,) = await stream.take(1)
            assert (received.name, received.id, received.data) == ("resync", str(head), {"head": head})
            await mae.ticket("Four")
            (received,) = await stream.take(1)
            assert received.data["id"] == head + 1
            head += 1
    assert len((await pulled(mae, since=2))["events"]) == head - 2
    assert (await pulled(mae, since=head))["events"] == []


@pytest.mark.parametrize("act", ["removed", "deactivated", "banned", "signed out", "unverified"])
async def test_no_events_are_sent_after_the_rights_have_ended(
    mae: Caller, boss: Caller, sql: Sql, company_id: str, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tenants.RIGHTS_SECONDS <= 1
    monkeypatch.setattr(tenants, "RIGHTS_SECONDS", 0.0)
    statements = {
        "removed": "DELETE FROM company_members WHERE user_id = %s",
        "deactivated": "UPDATE company_members SET is_active = false WHERE user_id = %s",
        "banned": "WITH banned AS (UPDATE users SET banned_at = now() WHERE id = %s RETURNING id)"
        " UPDATE sessions s SET ended_at = now() FROM banned WHERE s.user_id = banned.id",
        "signed out": "UPDATE sessions SET ended_at = now() WHERE user_id = %s",
        "unverified": f"UPDATE companies SET verified = false WHERE id = '{company_id}' AND %s <> ''",
    }
    async with listen(mae) as gone, listen(boss) as stays:
        await boss.ticket("Before")
        assert types_of(data_of(await gone.take(2))) == ["project.changed", "ticket.created"]
        sql.execute(statements[act], (mae.id,))
        sql.execute("SELECT log_events(%s)", (an_entry(company_id),))
        received = await gone.rest()
        reason = "unauthenticated" if act == "signed out" else "forbidden"
        assert [(one.name, one.data) for one in received] == [("closed", {"reason": reason})]
        if act != "unverified":
            assert types_of(data_of(await stays.take(3)))[-1] == "ticket.restored"
    async with listen(mae) as refused:
        assert refused.status in (401, 403, 404)


async def test_a_listener_without_rights_is_disconnected_also_without_events(
    mae: Caller, boss: Caller, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenants, "IDLE_RIGHTS_SECONDS", 0.0)
    async with listen(mae) as gone, listen(boss) as stays:
        sql.execute("DELETE FROM company_members WHERE user_id = %s", (mae.id,))
        assert [one.name for one in await gone.rest()] == ["closed"]
        await boss.ticket("Still here")
        assert len(await stays.take(2)) == 2


async def test_an_erased_person_has_no_name_in_what_they_did(mae: Caller, sql: Sql) -> None:
    await mae.ticket("Mine")
    erased = "UPDATE users SET username = 'deleted user', display_name = NULL WHERE id = %s"
    async with listen(mae, f"{STREAM}?since=0") as stream:
        before = (await stream.take(3))[-1].data
        sql.execute(erased, (mae.id,))
    assert before["actor"]["username"] == "mae"
    after = (await pulled(mae))["events"][-1]
    assert after == before | {"actor": {"id": mae.id, "username": "deleted user", "name": "deleted user"}}


def an_entry(company_id: str, **changes: Any) -> str:
    """The argument of log_events(): one event of this company, visible to its members only."""
    entry = {
        "stream": company_id,
        "type": "ticket.restored",
        "visibility": "internal",
        "data": {},
        "cause": {"kind": "user", "chain": []},
        **changes,
    }
    return json.dumps([entry])


async def test_another_tenant_receives_nothing(mae: Caller, others_member: Person, company_id: str) -> None:
    mallory = Caller(mae.client, others_member)
    async with listen(mallory) as stream:
        ticket = await work_on_tickets(mae)
        await mallory.ticket("Ours")
        received = data_of(await stream.take(2))
        assert types_of(received) == ["project.changed", "ticket.created"]
        assert received[1]["ticket"]["id"] != ticket["id"]
    for path in (EVENTS, STREAM):
        response = await mae.client.get(path, headers={**mallory.person.headers, "X-Company-ID": company_id})
        assert response.status_code == 404
    assert (await all_of(mallory, ticket=ticket["id"])) == []


async def test_a_reporter_receives_events_of_visible_tickets_and_the_loss_of_visibility(
    mae: Caller, rita: Caller, boss: Caller
) -> None:
    async with listen(rita) as stream:
        hidden = await mae.ticket("Not for reporters")
        mine = await rita.ticket("My own")
        path = f"tickets/{mine['key']}"
        await mae.call("POST", f"{path}/comments", {"content": "Hm", "isInternal": True})
        await mae.call("PUT", path, {"internalNotes": "Hm", "priority": "high"})
        received = data_of(await stream.take(2))  # each while it is as it was
        await mae.call("PUT", f"tickets/{hidden['key']}", {"assigneeIds": [rita.id]})
        await mae.call("POST", f"tickets/{hidden['key']}/comments", {"content": "For you"})
        received += data_of(await stream.take(2))
        await mae.call("PUT", f"tickets/{hidden['key']}", {"assigneeIds": []})
        await mae.call("POST", f"tickets/{hidden['key']}/comments", {"content": "Between us"})
        await mae.call("PUT", path, {"title": "The last"})
        received += data_of(await stream.take(2))
    assert [(event["type"], event["ticket"]["id"]) for event in received] == [
        ("ticket.created", mine["id"]),
        ("ticket.changed", mine["id"]),
        ("ticket.changed", hidden["id"]),
        ("ticket.commented", hidden["id"]),
        ("ticket.removed", hidden["id"]),
        ("ticket.changed", mine["id"]),
    ]
    assert "internal" not in str(received)
    gone = received[4]
    assert (gone["data"], gone["actor"]) == ({}, None)
    now = await all_of(rita)  # as it is seen now: of the ticket that they see no more, that it has gone
    assert [(event["type"], event["id"]) for event in now if event["ticket"]] == [
        (event["type"], event["id"]) for event in received if event not in received[2:4]
    ]
    await boss.call("DELETE", path)
    assert types_of(await all_of(rita, ticket=mine["id"])) == ["ticket.removed"]
    assert types_of(await all_of(rita, ticket=hidden["id"])) == ["ticket.removed"]


async def test_a_ticket_that_moves_out_of_an_open_project_is_gone_for_reporters(
    mae: Caller, rita: Caller, sql: Sql, company_id: str
) -> None:
    put_project(sql, company_id, "OPN", visibility="company")
    put_project(sql, company_id, "PRV")
    async with listen(rita) as stream:
        ticket = await mae.ticket("Seen by all", projectId=_project(sql, "OPN"))
        received = data_of(await stream.take(1))
        await mae.call("PUT", f"tickets/{ticket['id']}", {"projectId": _project(sql, "PRV")})
        received += data_of(await stream.take(1))
    assert types_of(received) == ["ticket.created", "ticket.removed"]
    assert {event["ticket"]["id"] for event in received} == {ticket["id"]}


async def test_a_filter_by_project_matches_tickets_that_leave_it(
    mae: Caller, sql: Sql, company_id: str
) -> None:
    put_project(sql, company_id, "ONE")
    put_project(sql, company_id, "TWO")
    one, two = _project(sql, "ONE"), _project(sql, "TWO")
    async with listen(mae, f"{STREAM}?project_id={one}") as stream:
        ticket = await mae.ticket("On its way", projectId=one)
        await mae.call("PUT", f"tickets/{ticket['id']}", {"title": "Still here"})
        await mae.call("PUT", f"tickets/{ticket['id']}", {"projectId": two})
        await mae.call("PUT", f"tickets/{ticket['id']}", {"title": "Elsewhere"})
        await mae.ticket("Another", projectId=one)
        received = data_of(await stream.take(4))
    assert types_of(received) == ["ticket.created", "ticket.changed", "ticket.changed", "ticket.created"]
    assert [event["id"] for event in await all_of(mae, project_id=one)] == [event["id"] for event in received]


def _project(sql: Sql, key: str) -> str:
    row = sql.execute("SELECT id::text FROM projects WHERE key = %s", (key,)).fetchone()
    assert row is not None
    return str(row[0])


async def test_a_client_that_does_not_read_delays_nobody(
    mae: Caller, boss: Caller, sql: Sql, company_id: str
) -> None:
    async with listen(mae) as slow, listen(boss) as quick:
        slow.reads.clear()
        count = listeners.MAX_QUEUED + 50
        for _ in range(count // 50 + 1):
            for _ in range(50):
                sql.execute("SELECT log_events(%s)", (an_entry(company_id),))
            head = (await pulled(mae))["head"]
            received = await quick.until(head)
        assert received[-1].name == "message"
        slow.reads.set()
        received = await until_resync(slow)
        assert received[-1].data["head"] <= head
        sql.execute("SELECT log_events(%s)", (an_entry(company_id),))
        after = await slow.until(head + 1)
        assert [one.data["id"] for one in after] == list(range(received[-1].data["head"] + 1, head + 2))


async def test_a_client_that_does_not_read_is_disconnected(
    mae: Caller, sql: Sql, company_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bugrelay.http.event_stream.WRITE_SECONDS", 0.1)
    async with listen(mae) as stream:
        stream.reads.clear()
        sql.execute("SELECT log_events(%s)", (an_entry(company_id),))
        async with asyncio.timeout(30):
            await stream.over.wait()
        hub = mae.client._transport.app.state.live  # type: ignore[attr-defined]
        assert hub.connections.count == 0


async def until_resync(stream: Stream) -> list[StreamEvent]:
    taken = await stream.take(1)
    while taken[-1].name != "resync":
        taken += await stream.take(1)
    return taken


async def test_connections_are_limited(mae: Caller, start_app: StartApp, boss: Caller) -> None:
    async with start_app(live_connections=3) as client:
        hers, his = Caller(client, mae.person), Caller(client, boss.person)
        async with listen(hers) as one, listen(hers) as two:
            async with listen(his) as three:
                assert (one.status, two.status, three.status) == (200, 200, 200)
                async with listen(his) as shed:
                    assert shed.status == 503
                    assert int(shed.headers["retry-after"]) > 0
            async with listen(his) as again:
                assert again.status == 200
    open_streams = [listen(mae) for _ in range(10)]
    streams = [await stream.__aenter__() for stream in open_streams]
    try:
        assert {stream.status for stream in streams} == {200}
        async with listen(mae) as eleventh:
            assert eleventh.status == 429
            assert b"TOO_MANY_STREAMS" in eleventh.body
        async with listen(boss) as other:
            assert other.status == 200
    finally:
        for stream in open_streams:
            await stream.__aexit__(None, None, None)


async def test_a_stream_is_no_request_in_flight_and_has_no_request_timeout(
    mae: Caller, start_app: StartApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bugrelay.http.request_timeout.RESPONSE_SECONDS", 0.3)
    monkeypatch.setattr("bugrelay.http.event_stream.COMMENT_SECONDS", 0.1)
    async with start_app(max_requests_in_flight=1) as client:
        hers = Caller(client, mae.person)

        async def read_beside_streams() -> None:
            async with listen(hers) as one, listen(hers) as two:
                assert (one.status, two.status) == (200, 200)
                await eventually(lambda: one.parsed.comments > 5)
                response = await client.get("/api/v1/bugs")
                assert response.status_code == 200
                assert not one.over.is_set()
            assert (await client.get("/api/v1/bugs")).status_code == 200

        await undisturbed(read_beside_streams, seconds=0.3)
        hub = client._transport.app.state.live  # type: ignore[attr-defined]
        assert hub.connections.count == 0


async def test_a_stream_ends_after_its_lifetime_or_with_its_token(
    mae: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bugrelay.http.event_stream.LIFE_SECONDS", 0.2)
    async with listen(mae) as stream:
        assert await stream.rest() == []
        first, last = stream.parsed.retries
        assert first == 1000
        assert 0 <= last <= 5000
    monkeypatch.undo()
    tokens = mae.client._transport.app.state.platform.tokens  # type: ignore[attr-defined]
    claims = tokens.read(mae.person.access_token)
    monkeypatch.setattr(tokens, "_life", timedelta(seconds=1.5))

    async def listen_until_it_expires() -> None:
        token, _ = tokens.issue(user_id=claims.user_id, session_id=claims.session_id)
        async with opened(mae.client, STREAM, Authorization=f"Bearer {token}") as stream:
            assert stream.status == 200
            assert await stream.rest() == []

    await undisturbed(listen_until_it_expires, seconds=0.4)


async def test_a_server_that_drains_ends_its_streams(mae: Caller) -> None:
    app = mae.client._transport.app  # type: ignore[attr-defined]
    async with listen(mae) as stream:
        app.state.lifecycle.drain()
        assert await stream.rest() == []
        assert len(stream.parsed.retries) == 2
    async with listen(mae) as late:
        assert await late.rest() == []
        assert late.status == 200


async def test_without_redis_one_query_a_second_finds_new_events(
    start_app: StartApp, mae: Caller, boss: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "POLL_SECONDS", 0.1)
    async with start_app(redis_url="unix:///nowhere/at/all") as client:
        hers, his = Caller(client, mae.person), Caller(client, boss.person)
        async with listen(hers) as one, listen(his) as two:
            made = await hers.ticket("Nobody rings")
            for stream in (one, two):
                received = data_of(await stream.take(2))
                assert received[1]["ticket"]["id"] == made["id"]
