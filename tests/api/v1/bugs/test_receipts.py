"""Receipts of anonymous reports: with the link the owner reads the report, follows it and withdraws it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.domain.notifications.tasks import mail_contact_link
from bugrelay.infra.platform import Platform
from bugrelay.settings import Rate, Settings
from tests.conftest import RunJobs, StartApp
from tests.factories import Person, a_report, make_member
from tests.infra.mail.postbox import Postbox, parts_of, token_in
from tests.locks import until_somebody_waits_for_a_lock
from tests.responses import bad_fields, refused

BUGS = "/api/v1/bugs"
OWNER = "owner@people.example"
KEY = {"Idempotency-Key": "a key of a client, long enough"}
Sql = psycopg.Connection[Any]
Answer = dict[str, Any]


async def reported(client: httpx.AsyncClient, **changes: Any) -> Answer:
    response = await client.post(BUGS, json=a_report(**changes))
    assert response.status_code == 201, response.text
    answer: Answer = response.json()
    return answer


def path_of(answer: Answer) -> str:
    path: str = answer["receipt"]["url"].removeprefix("http://127.0.0.1:8000")
    assert path.startswith("/api/v1/receipts/")
    return path


async def receipt_of(client: httpx.AsyncClient, answer: Answer) -> Answer:
    response = await client.get(path_of(answer))
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    receipt: Answer = response.json()["receipt"]
    return receipt


async def withdraw(client: httpx.AsyncClient, answer: Answer) -> bool:
    response = await client.post(f"{path_of(answer)}/withdraw")
    assert response.status_code == 200, response.text
    return bool(response.json()["removed"])


async def act(client: httpx.AsyncClient, admin: Person, method: str, path: str, **body: Any) -> None:
    response = await client.request(
        method, f"/api/v1/admin/{path}", json={"reason": "It must be", **body}, headers=admin.headers
    )
    assert response.status_code == 200, response.text


async def merge(client: httpx.AsyncClient, admin: Person, source: Answer, target: Answer) -> None:
    ids = {"source_bug_id": source["bug"]["id"], "target_bug_id": target["bug"]["id"]}
    await act(client, admin, "POST", "bugs/merge", **ids)


# --- who is given one -----------------------------------------------------------------------------------------------


async def test_the_anonymous_are_given_a_receipt_and_the_signed_in_are_not(
    client: httpx.AsyncClient, ada: Person
) -> None:
    answers = [await reported(client) for _ in range(2)]
    assert len({path_of(answer) for answer in answers}) == 2
    assert all(set(answer) == {"message", "bug", "receipt"} for answer in answers)
    signed_in = await client.post(BUGS, json=a_report(contact_email=OWNER), headers=ada.headers)
    assert set(signed_in.json()) == {"message", "bug"}


async def test_a_repeat_is_given_the_same_receipt_which_is_stored_nowhere(
    client: httpx.AsyncClient, sql: Sql
) -> None:
    first = await client.post(BUGS, json=a_report(), headers=KEY)
    again = await client.post(BUGS, json=a_report(), headers=KEY)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    secret = path_of(first.json()).rpartition("/")[2]
    assert secret not in every_value(sql)
    await withdraw(client, first.json())
    late = await client.post(BUGS, json=a_report(), headers=KEY)
    assert late.status_code == 201
    assert "receipt" not in late.json()
    assert late.json()["bug"] == first.json()["bug"]


def every_value(sql: Sql) -> str:
    """The whole database as text, with bytes as they would read."""
    tables = sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    rows = [row for (table,) in tables for row in sql.execute(f"SELECT * FROM {table}").fetchall()]
    return "\n".join(
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for row in rows
        for value in row
    )


@pytest.mark.parametrize("secret", ["x", "x" * 43, "%00", "%F0%9F%90%9E", "..", "x" * 3000])
async def test_what_is_no_receipt_is_not_found(client: httpx.AsyncClient, secret: str) -> None:
    await reported(client)
    path = f"/api/v1/receipts/{secret}"
    for response in (
        await client.get(path),
        await client.put(f"{path}/subscription", json={"level": "all", "email": OWNER}),
        await client.post(f"{path}/withdraw"),
    ):
        assert response.status_code == 404


async def test_the_link_is_in_no_log(
    client: httpx.AsyncClient, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await reported(client, contact_email=OWNER)
    path, secret = path_of(answer), path_of(answer).rpartition("/")[2]
    await client.get(path)
    await client.put(f"{path}/subscription", json={"level": "nothing"})
    await client.get(f"{path}/nothing")

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("bugrelay.domain.bugs.service.receipts.read_receipt", fail)
    refused(await client.get(path), 500, "INTERNAL_ERROR")
    await asyncio.sleep(0)
    out, err = capfd.readouterr()
    assert "unforeseen_error" in out + err
    assert "/api/v1/receipts/{secret}" in out + err
    assert secret not in out + err


# --- look -----------------------------------------------------------------------------------------------------------


async def test_a_receipt_shows_the_state_of_the_report(
    client: httpx.AsyncClient, sign_up: Any, sql: Sql
) -> None:
    answer = await reported(client, application_url="https://paper.example")
    bug = answer["bug"]
    before = await receipt_of(client, answer)
    assert before == {
        "bug_id": bug["id"],
        "reported_at": bug["created_at"],
        "state": "listed",
        "merged_into": None,
        "bug": {
            "title": bug["title"],
            "status": "open",
            "vote_count": 0,
            "comment_count": 0,
            "updated_at": bug["updated_at"],
            "resolved_at": None,
        },
        "responses": [],
        "subscription": None,
    }
    grace = await sign_up("grace")
    make_member(sql, grace, bug["assigned_company_id"])
    await client.post(
        f"{BUGS}/{bug['id']}/company-response", json={"content": "We *see* it"}, headers=grace.headers
    )
    await client.patch(f"{BUGS}/{bug['id']}/status", json={"status": "fixed"}, headers=grace.headers)
    after = await receipt_of(client, answer)
    assert (after["bug"]["status"], after["bug"]["comment_count"]) == ("fixed", 1)
    assert after["bug"]["resolved_at"] is not None
    (response,) = after["responses"]
    assert (response["content"], response["company"]["name"]) == ("We *see* it", "paper.example")
    assert response["content_html"] == "<p>We <em>see</em> it</p>\n"


async def test_a_receipt_shows_the_survivor_of_a_merged_report_and_nothing_of_a_removed_one(
    client: httpx.AsyncClient, admin: Person
) -> None:
    answer, target, last = [await reported(client, title=f"Number {i} is broken") for i in range(3)]
    await merge(client, admin, answer, target)
    await merge(client, admin, target, last)
    merged = await receipt_of(client, answer)
    assert merged["state"] == "merged"
    assert merged["merged_into"] == {"id": last["bug"]["id"], "title": "Number 2 is broken"}
    assert merged["bug"]["title"] == "Number 2 is broken"
    await act(client, admin, "DELETE", f"bugs/{last['bug']['id']}")
    removed = await receipt_of(client, answer)
    assert (removed["state"], removed["merged_into"], removed["bug"]) == ("removed", None, None)
    await act(client, admin, "POST", f"bugs/{last['bug']['id']}/restore")
    await act(client, admin, "DELETE", f"bugs/{answer['bug']['id']}")
    own = await receipt_of(client, answer)
    assert (own["state"], own["merged_into"], own["bug"]) == ("removed", None, None)
    assert (await receipt_of(client, last))["state"] == "listed"


# --- withdraw -------------------------------------------------------------------------------------------------------


async def test_withdrawing_removes_a_report_without_votes_and_comments(
    client: httpx.AsyncClient, sql: Sql
) -> None:
    answer = await reported(client, contact_email=OWNER)
    bug_id = answer["bug"]["id"]
    await client.get(BUGS)
    assert await withdraw(client, answer) is True
    refused(await client.get(f"{BUGS}/{bug_id}"), 404, "BUG_NOT_FOUND")
    assert (await client.get(BUGS)).json()["bugs"] == []
    refused(await client.get(path_of(answer)), 404, "RECEIPT_NOT_FOUND")
    refused(await client.post(f"{path_of(answer)}/withdraw"), 404, "RECEIPT_NOT_FOUND")
    assert OWNER not in every_value(sql)


@pytest.mark.parametrize("shared", ["vote", "comment", "merged into", "merged away", "removed"])
async def test_withdrawing_keeps_a_report_with_votes_or_comments_and_erases_its_owner(
    client: httpx.AsyncClient, ada: Person, admin: Person, sql: Sql, shared: str
) -> None:
    answer, other = await reported(client, contact_email=OWNER), await reported(client)
    path = f"{BUGS}/{answer['bug']['id']}"
    if shared == "vote":
        await client.post(f"{path}/vote", headers=ada.headers)
    elif shared == "comment":
        await client.post(f"{path}/comments", json={"content": "Here, too"}, headers=ada.headers)
    elif shared == "merged into":
        await merge(client, admin, other, answer)
    elif shared == "merged away":
        await merge(client, admin, answer, other)
    else:
        await act(client, admin, "DELETE", f"bugs/{answer['bug']['id']}")
    before = await client.get(path, headers=admin.headers)
    assert await withdraw(client, answer) is False
    after = await client.get(path, headers=admin.headers)
    assert (after.status_code, after.headers.get("location")) == (
        before.status_code,
        before.headers.get("location"),
    )
    assert OWNER not in every_value(sql)
    refused(await client.get(path_of(answer)), 404, "RECEIPT_NOT_FOUND")


async def test_a_withdrawn_vote_does_not_prevent_the_removal(client: httpx.AsyncClient, ada: Person) -> None:
    answer = await reported(client)
    for method in ("PUT", "DELETE"):
        await client.request(method, f"{BUGS}/{answer['bug']['id']}/vote", headers=ada.headers)
    assert await withdraw(client, answer) is True


async def test_a_withdrawal_and_a_comment_at_once_leave_no_comment_on_a_removed_bug(
    client: httpx.AsyncClient, ada: Person, sql: Sql
) -> None:
    for _ in range(10):
        answer = await reported(client)
        path = f"{BUGS}/{answer['bug']['id']}"
        comment, vote, withdrawal, follow = await asyncio.gather(
            client.post(f"{path}/comments", json={"content": "Here, too"}, headers=ada.headers),
            client.put(f"{path}/vote", headers=ada.headers),
            client.post(f"{path_of(answer)}/withdraw"),
            client.put(f"{path_of(answer)}/subscription", json={"level": "all", "email": OWNER}),
        )
        assert withdrawal.status_code == 200
        assert follow.status_code in (200, 404)
        removed = withdrawal.json()["removed"]
        assert {comment.status_code, vote.status_code} == ({404} if removed else {201})
        assert (await client.get(path)).status_code == (404 if removed else 200)
    assert OWNER not in every_value(sql)


async def test_withdrawals_at_once_are_one(client: httpx.AsyncClient) -> None:
    answer = await reported(client)
    responses = await asyncio.gather(*(client.post(f"{path_of(answer)}/withdraw") for _ in range(8)))
    assert sorted(response.status_code for response in responses) == [200, *[404] * 7]


# --- follow ---------------------------------------------------------------------------------------------------------


async def confirm(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/contact/confirm", data={"token": token})


async def follow(client: httpx.AsyncClient, answer: Answer, **wanted: Any) -> httpx.Response:
    return await client.put(f"{path_of(answer)}/subscription", json=wanted)


async def test_an_address_is_mailed_a_link_and_counts_once_its_button_is_pressed(
    client: httpx.AsyncClient, run_jobs: RunJobs, postbox: Postbox
) -> None:
    answer = await reported(client, title="Attention: you have won a prize", contact_email=OWNER)
    assert (await receipt_of(client, answer))["subscription"] == {"level": "all", "contact": "unconfirmed"}
    assert await run_jobs() == ["notifications.mail_contact_link"]
    mail = await postbox.next(OWNER)
    text, html = parts_of(mail)
    assert "prize" not in f"{mail['Subject']}{text}{html}"
    assert mail["Auto-Submitted"] == "auto-generated"
    token = token_in(mail)
    assert token in html
    page = await client.get("/contact/confirm", params={"token": token})
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "no-referrer"
    assert (await receipt_of(client, answer))["subscription"]["contact"] == "unconfirmed"
    for _ in range(2):
        assert (await confirm(client, token)).status_code == 200
    assert (await receipt_of(client, answer))["subscription"] == {"level": "all", "contact": "confirmed"}
    assert OWNER not in (await client.get(path_of(answer))).text


async def test_a_stranger_who_types_an_address_has_one_link_a_day_mailed_to_it(
    client: httpx.AsyncClient, run_jobs: RunJobs, postbox: Postbox, sql: Sql
) -> None:
    for spelling in ("victim@people.example", "victim+1@people.example", "VICTIM@People.Example"):
        await reported(client, contact_email=spelling)
    answer = await reported(client)
    assert (await follow(client, answer, level="all", email="victim+a@people.example")).status_code == 200
    assert (await follow(client, answer, level="all", email="victim@people.example")).status_code == 200
    await run_jobs()
    assert len(postbox.mails()) == 1
    sql.execute("UPDATE contact_mails SET mailed_at = mailed_at - interval '1 day'")
    assert (await follow(client, answer, level="all", email="victim@people.example")).status_code == 200
    await run_jobs()
    assert len(postbox.mails()) == 2
    assert sql.execute("SELECT email FROM report_contacts WHERE confirmed_at IS NOT NULL").fetchall() == []


async def test_many_reports_at_once_mail_one_link(
    client: httpx.AsyncClient, platform: Platform, settings: Settings, postbox: Postbox, sql: Sql
) -> None:
    await asyncio.gather(*(reported(client, contact_email=OWNER) for _ in range(8)))
    ids = [str(one) for (one,) in sql.execute("SELECT id FROM report_contacts").fetchall()]
    await asyncio.gather(*(mail_contact_link(platform, contact_id=one) for one in [*ids, *ids]))
    assert len({mail["Message-ID"] for mail in postbox.mails()}) == 1


async def test_a_receipt_is_no_way_to_mail_strangers(client: httpx.AsyncClient, fresh_counts: None) -> None:
    answer = await reported(client)
    statuses = [
        (await follow(client, answer, level="all", email=f"victim{i}@people.example")).status_code
        for i in range(6)
    ]
    assert statuses == [200] * 5 + [429]


async def test_who_asks_for_too_many_mails_still_reports(
    start_app: StartApp, fresh_counts: None, run_jobs: RunJobs, postbox: Postbox
) -> None:
    async with start_app(rate_limit_mail=Rate(1, 60)) as client:
        answers = [await reported(client, contact_email=f"owner{i}@people.example") for i in range(2)]
        await run_jobs()
        assert [mail["To"] for mail in postbox.mails()] == ["owner0@people.example"]
        states = [(await receipt_of(client, answer))["subscription"]["contact"] for answer in answers]
        assert states == ["unconfirmed", "unconfirmed"]


async def test_a_link_that_is_wrong_expired_or_replaced_confirms_nothing(
    client: httpx.AsyncClient, run_jobs: RunJobs, postbox: Postbox, sql: Sql
) -> None:
    answer = await reported(client, contact_email=OWNER)
    await run_jobs()
    token = token_in(await postbox.next(OWNER))
    for wrong in ("x" * 43, token[:-1], token.swapcase()):
        assert (await confirm(client, wrong)).status_code == 400
    sql.execute("UPDATE report_contacts SET expires_at = now() - interval '1 second'")
    assert (await confirm(client, token)).status_code == 400
    sql.execute("UPDATE report_contacts SET expires_at = now() + interval '1 minute'")
    await follow(client, answer, level="all", email="another@people.example")
    assert (await confirm(client, token)).status_code == 400
    await run_jobs()
    newer = token_in(await postbox.next("another@people.example"))
    await withdraw(client, answer)
    assert (await confirm(client, newer)).status_code == 400
    assert (await client.get("/contact/confirm")).status_code == 400
    assert (await client.post("/contact/confirm", json={"token": newer})).status_code == 415


async def test_an_address_that_is_unsubscribed_at_the_same_moment_gets_no_mail(
    client: httpx.AsyncClient, sql: Sql, database_url: str
) -> None:
    answer = await reported(client, contact_email=OWNER)
    with psycopg.connect(database_url) as unsubscribing:
        unsubscribing.execute("DELETE FROM report_contacts")
        following = asyncio.create_task(follow(client, answer, level="official"))
        await until_somebody_waits_for_a_lock(sql)
    assert bad_fields(await following) == ["email"]


async def test_a_new_level_needs_no_confirmation_and_a_new_address_does(
    client: httpx.AsyncClient, run_jobs: RunJobs, postbox: Postbox
) -> None:
    answer = await reported(client, contact_email=OWNER)
    await run_jobs()
    await confirm(client, token_in(await postbox.next(OWNER)))
    for wanted in ({"level": "official"}, {"level": "resolved", "email": OWNER}):
        response = await follow(client, answer, **wanted)
        assert response.json()["subscription"] == {"level": wanted["level"], "contact": "confirmed"}
    assert await run_jobs() == []
    moved = await follow(client, answer, level="resolved", email="new@people.example")
    assert moved.json()["subscription"] == {"level": "resolved", "contact": "unconfirmed"}
    assert await run_jobs() == ["notifications.mail_contact_link"]
    await confirm(client, token_in(await postbox.next("new@people.example")))
    assert (await receipt_of(client, answer))["subscription"] == {"level": "resolved", "contact": "confirmed"}


async def test_what_does_not_fit_is_refused(client: httpx.AsyncClient) -> None:
    answer = await reported(client)
    assert bad_fields(await follow(client, answer, level="all")) == ["email"]
    assert bad_fields(await follow(client, answer, level="some", email="nobody")) == ["email", "level"]
    assert bad_fields(await follow(client, answer)) == ["level"]


async def test_nothing_is_mailed_of_a_bug_that_was_removed_meanwhile(
    client: httpx.AsyncClient, admin: Person, run_jobs: RunJobs, postbox: Postbox
) -> None:
    answer = await reported(client, contact_email=OWNER)
    await act(client, admin, "DELETE", f"bugs/{answer['bug']['id']}")
    await run_jobs()
    assert postbox.mails(OWNER) == []


async def test_an_address_for_a_merged_report_is_mailed_a_link(
    client: httpx.AsyncClient, admin: Person, run_jobs: RunJobs, postbox: Postbox
) -> None:
    answer, survivor = await reported(client), await reported(client)
    await merge(client, admin, answer, survivor)
    assert (await follow(client, answer, level="all", email=OWNER)).status_code == 200
    await run_jobs()
    await confirm(client, token_in(await postbox.next(OWNER)))
    receipt = await receipt_of(client, answer)
    assert (receipt["state"], receipt["subscription"]["contact"]) == ("merged", "confirmed")
    await act(client, admin, "DELETE", f"bugs/{survivor['bug']['id']}")
    assert (await follow(client, answer, level="all", email="new@people.example")).status_code == 200
    await run_jobs()
    assert postbox.mails("new@people.example") == []


async def test_the_address_is_shown_to_nobody_else(
    client: httpx.AsyncClient, ada: Person, run_jobs: RunJobs, postbox: Postbox
) -> None:
    answer = await reported(client, contact_email=OWNER)
    await follow(client, answer, level="all", email="private@people.example")
    await run_jobs()
    for headers in ({}, ada.headers):
        text = (await client.get(f"{BUGS}/{answer['bug']['id']}", headers=headers)).text
        assert OWNER not in text
        assert "private@people.example" not in text
    assert "private@people.example" not in json.dumps(await receipt_of(client, answer))
