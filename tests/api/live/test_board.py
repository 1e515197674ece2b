"""The public streams: what everybody may see of the board, resumed over all the streams that it lies in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from bugrelay.domain.live.service import board
from tests.api.live.test_events import data_of, types_of
from tests.conftest import SignUp, StartApp
from tests.event_streams import opened
from tests.factories import Person, report

Sql = psycopg.Connection[Any]
BOARD = "/api/v1/bugs/events/stream"


def stream_of(bug_id: str) -> str:
    return f"/api/v1/bugs/{bug_id}/events/stream"


async def comment(client: httpx.AsyncClient, person: Person, bug_id: str) -> None:
    response = await client.post(
        f"/api/v1/bugs/{bug_id}/comments", json={"content": "Here, too"}, headers=person.headers
    )
    assert response.status_code == 201


async def test_everybody_follows_the_board_and_resumes_at_each_point(
    client: httpx.AsyncClient, ada: Person
) -> None:
    async with opened(client, BOARD) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        beginning = stream.parsed.position
        bugs = [await report(client, ada, application_name=f"App {i}") for i in range(4)]
        bugs += [
            await report(client, application_name=f"Other {i}", application_url=f"https://a{i}.example")
            for i in range(3)
        ]
        for bug in bugs:
            await comment(client, ada, bug["id"])
        received = await stream.take(14)
    first = received[0].data
    assert set(first) == {"id", "type", "at", "actor", "bug_id", "data"}
    assert first["actor"] == {"id": ada.id, "username": "ada", "name": "ada"}
    assert len({UUID(one.data["id"][4:40]) for one in received}) > 3  # in as many streams
    assert [one.data["bug_id"] for one in received[:7]] == [bug["id"] for bug in bugs]
    for place, position in enumerate([beginning, *(one.id for one in received)]):
        async with opened(client, BOARD, Last_Event_ID=position) as resumed:
            rest = await resumed.take(14 - place)
            assert data_of(rest) == data_of(received)[place:]
            assert max(len(one.id) for one in rest or received) < 1000
    async with opened(client, f"{BOARD}?since={received[8].id}") as resumed:
        assert data_of(await resumed.take(5)) == data_of(received)[9:]


async def test_a_bug_is_followed_from_stream_to_stream(
    client: httpx.AsyncClient, ada: Person, sign_up: SignUp, admin: Person, sql: Sql
) -> None:
    bug = await report(client, ada, application_name="Loose")
    other = await report(client, ada, application_name="Other")
    company = (await report(client, application_url="https://paper.example"))["assigned_company_id"]
    sql.execute("UPDATE companies SET verified = true WHERE id = %s", (company,))
    async with opened(client, stream_of(bug["id"])) as stream:
        await comment(client, ada, other["id"])
        await comment(client, ada, bug["id"])
        (before,) = await stream.take(1)
        application = bug["application"]["id"]
        response = await client.patch(
            f"/api/v1/admin/applications/{application}",
            json={"company_id": company},
            headers=admin.headers,
        )
        assert response.is_success, response.text
        sql.execute("UPDATE bugs SET assigned_company_id = %s WHERE id = %s", (company, bug["id"]))
        await comment(client, ada, bug["id"])
        await comment(client, ada, other["id"])
        after = await stream.take(1)
        while after[-1].data["type"] != "comment.created":
            after += await stream.take(1)
    streams = {one.data["id"][4:40] for one in (before, after[-1])}
    assert len(streams) == 2
    assert company in streams
    async with opened(client, stream_of(bug["id"]), Last_Event_ID=before.id) as resumed:
        assert data_of(await resumed.take(len(after))) == data_of(after)
        await comment(client, ada, bug["id"])
        assert (await resumed.take(1))[0].data["id"] not in {one.data["id"] for one in after}


async def test_only_public_events_are_sent(
    client: httpx.AsyncClient, ada: Person, admin: Person, bug: dict[str, Any], member: Person
) -> None:
    async with opened(client, BOARD) as stream:
        beginning = stream.parsed.position
        ticket = {"title": "Between us"}
        made = await client.post("/api/v1/tickets", json=ticket, headers=member.headers)
        assert made.status_code == 201
        await comment(client, ada, bug["id"])
        (received,) = data_of(await stream.take(1))
        assert (received["type"], received["bug_id"]) == ("comment.created", bug["id"])
        removed = await client.request(
            "DELETE", f"/api/v1/admin/bugs/{bug['id']}", json={"reason": "Spam"}, headers=admin.headers
        )
        assert removed.is_success, removed.text
        (gone,) = data_of(await stream.take(1))
        assert (gone["type"], gone["actor"]) == ("bug.removed", None)
    async with opened(client, BOARD, Last_Event_ID=beginning) as resumed:
        assert types_of(data_of(await resumed.take(1))) == ["bug.removed"]
    refused = await client.get(stream_of(bug["id"]))
    assert refused.status_code == 404


async def test_a_merged_bug_leads_to_its_survivor(
    client: httpx.AsyncClient, ada: Person, admin: Person
) -> None:
    source, target = await report(client, ada), await report(client, ada, title="The same again")
    ids = {"source_bug_id": source["id"], "target_bug_id": target["id"], "reason": "The same"}
    async with opened(client, stream_of(source["id"])) as stream:
        merged = await client.post("/api/v1/admin/bugs/merge", json=ids, headers=admin.headers)
        assert merged.status_code == 200
        (received,) = await stream.take(1)
        assert received.data["data"] == {"target_id": target["id"]}
    response = await client.get(f"{stream_of(source['id'])}?since=x")
    assert response.status_code == 308
    assert response.headers["location"] == f"{stream_of(target['id'])}?since=x"
    await comment(client, ada, target["id"])
    async with opened(client, stream_of(target["id"]), Last_Event_ID=received.id) as resumed:
        types = types_of(data_of(await resumed.take(1)))
        while types[-1] != "comment.created":  # the survivor's share of the merge may come before
            types += types_of(data_of(await resumed.take(1)))


async def test_a_client_that_missed_too_much_or_was_away_too_long_is_resynced(
    client: httpx.AsyncClient, ada: Person, bug: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(client, BOARD) as stream:
        position = stream.parsed.position
        for _ in range(3):
            await comment(client, ada, bug["id"])
        await stream.take(3)
        monkeypatch.setattr(board, "MAX_MISSED", 2)
        async with opened(client, BOARD, Last_Event_ID=position) as late:
            (received,) = await late.take(1)
            assert (received.name, received.data) == ("resync", {"head": received.id})
            await comment(client, ada, bug["id"])
            assert types_of(data_of(await late.take(1))) == ["comment.created"]
    monkeypatch.undo()
    monkeypatch.setattr(board, "MAX_AGE", board.MAX_AGE * 0)
    async with opened(client, BOARD, Last_Event_ID=position) as old:
        assert (await old.take(1))[0].name == "resync"
    for bad in ("x", "é", "AAAA", "!" * 20_000, "kgCQ" * 9):
        response = await client.get(BOARD, params={"since": bad})
        assert response.status_code == 400, bad[:20]
        assert response.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_one_address_cannot_take_all_connections(start_app: StartApp, ada: Person) -> None:
    async with start_app(live_connections=3, live_connections_per_address=2) as client:
        async with opened(client, BOARD) as one, opened(client, BOARD) as two:
            assert (one.status, two.status) == (200, 200)
            third = await client.get(BOARD)
            assert (third.status_code, third.json()["error"]["code"]) == (429, "TOO_MANY_STREAMS")
        async with opened(client, BOARD) as again:
            assert again.status == 200
    async with start_app(live_connections=1) as client, opened(client, BOARD) as one:
        shed = await client.get(BOARD)
        assert (shed.status_code, shed.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert one.status == 200
