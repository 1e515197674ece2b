"""`bugrelay check` finds each kind of lie, and nothing on a board that is true."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.domain.tickets.tasks import count_days, fold_counts
from bugrelay.infra.platform import Platform
from bugrelay.integrity_check import problems
from bugrelay.settings import Settings
from tests.commands.runner import Commands
from tests.conftest import SignUp
from tests.factories import Person, make_member, report

KEY = "bugs/a-picture.png"
PICTURE = b"twelve bytes"


@pytest.fixture
async def bug_id(
    client: httpx.AsyncClient, sign_up: SignUp, sql: psycopg.Connection[Any], settings: Settings
) -> str:
    """A bug with a vote, a comment, a response, a status and a picture, all made by requests but the picture."""
    ada, grace = await sign_up("ada"), await sign_up("grace")
    bug = await report(client, ada, application_url="https://app.paper.example")
    make_member(sql, grace, bug["assigned_company_id"])
    path = f"/api/v1/bugs/{bug['id']}"
    for person in (ada, grace):
        await client.post(f"{path}/vote", headers=person.headers)
        await client.post(f"{path}/comments", json={"content": "Same here"}, headers=person.headers)
    await client.patch(f"{path}/status", json={"status": "fixed"}, headers=grace.headers)
    sql.execute(
        "INSERT INTO attachments (id, bug_id, user_id, filename, storage_key, file_size, mime_type)"
        " VALUES (gen_random_uuid(), %s, %s, 'a.png', %s, %s, 'image/png')",
        (bug["id"], ada.id, KEY, len(PICTURE)),
    )
    _store(settings, KEY, PICTURE)
    return str(bug["id"])


def _store(settings: Settings, key: str, content: bytes, *, age_seconds: int = 0) -> Path:
    path = settings.bugrelay_home / "uploads" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age_seconds,) * 2)
    return path


async def _found(platform: Platform) -> list[str]:
    return [problem async for problem in problems(platform)]


@pytest.fixture
def without_triggers(sql: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """As a restore that went wrong may write: no trigger and no foreign key is looked at."""
    sql.execute("SET session_replication_role = replica")
    yield sql
    sql.execute("SET session_replication_role = origin")


async def test_a_true_board_has_no_problems(bug_id: str, commands: Commands) -> None:
    outcome = commands.run("check")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "0 problems\n", "")


LIES = {
    "vote_count is 7, its counted votes are 2": "UPDATE bugs SET vote_count = 7",
    "recent_vote_count is 0, its recent counted votes are 2": "UPDATE bugs SET recent_vote_count = 0",
    "comment_count is 3, its visible comments are 2": "UPDATE bugs SET comment_count = 3",
    "is fixed, but resolved_at is empty": "UPDATE bugs SET resolved_at = NULL",
    "is open, but resolved_at is 20": "UPDATE bugs SET status = 'open'; SELECT search_refresh(id) FROM bugs",
    "belongs to no company": "UPDATE applications SET company_id = NULL",
    "has no text": "DELETE FROM bug_texts",
    "cannot be searched": "DELETE FROM bug_search",
    "its search document is not that of its text": "UPDATE bug_texts SET description = 'Quite another story'",
    "what a search filters by is not what the bug says": "UPDATE bugs SET priority = 'low'",
    "cannot be seen, but can be searched": "UPDATE bugs SET removed_at = now()",
    "does not count, but the user is not banned": (
        "UPDATE bug_votes SET counted = false WHERE user_id = (SELECT id FROM users WHERE username = 'ada');"
        " UPDATE bugs SET vote_count = 1, recent_vote_count = 1"
    ),
    "counts, but the user is banned": "UPDATE users SET banned_at = now() WHERE username = 'ada'",
    "is merged into itself, by way of others": (
        "UPDATE bugs SET merged_into_id = id; SELECT search_refresh(id) FROM bugs"
    ),
    "comments.user_id ": "DELETE FROM users WHERE username = 'ada'; DELETE FROM bug_votes;"
    " UPDATE bugs SET vote_count = 0, recent_vote_count = 0, reporter_id = NULL;"
    " SELECT search_refresh(id) FROM bugs; DELETE FROM sessions; DELETE FROM refresh_tokens;"
    " UPDATE attachments SET user_id = NULL",
    "its events are 3 of the numbers 1 to 4": "DELETE FROM events WHERE seq = 2",
    "its last number is 5, its events are 4 of the numbers 1 to 4": "UPDATE event_streams SET last_seq = 5",
    "has read up to 5 of stream": (
        "INSERT INTO event_cursors (consumer, stream, seq) SELECT 'a', stream, last_seq + 1 FROM event_streams"
    ),
    " 3 times: of its own": (
        "INSERT INTO event_cursors (consumer, stream, attempts, error)"
        " SELECT 'a', stream, 3, 'of its own' FROM event_streams"
    ),
    "has other values for its change of status": "UPDATE status_changes SET from_status = 'reviewing'",
    "does not have its change of status": "UPDATE status_changes SET id = gen_random_uuid();"
    " UPDATE events SET type = 'other' WHERE type = 'status.changed'",
    "that the bug does not have": "DELETE FROM status_changes",
    "has a receipt, but was reported with an account": "UPDATE bug_texts SET receipt_hash = 'x'",
    f"its file {KEY} has 12 bytes, not 13": "UPDATE attachments SET file_size = 13",
    "its file bugs/nowhere.png is missing": (
        "INSERT INTO attachments (id, bug_id, filename, storage_key, file_size, mime_type)"
        " SELECT gen_random_uuid(), id, 'b.png', 'bugs/nowhere.png', 1, 'image/png' FROM bugs"
    ),
}


@pytest.mark.parametrize("sentence", LIES)
async def test_each_planted_lie_is_found(
    sentence: str, bug_id: str, platform: Platform, without_triggers: psycopg.Connection[Any]
) -> None:
    for statement in LIES[sentence].split(";"):
        without_triggers.execute(statement)  # type: ignore[arg-type]
    (problem,) = await _found(platform)
    assert sentence in problem
    assert problem.startswith(("bug ", "vote of user ", "attachment ", "comments.", "stream ", "consumer "))


TICKET_LIES = {
    "for no department: 1, counted are 2": "UPDATE ticket_counts SET count = 2",
    "for no department: 1, counted are 0": "DELETE FROM ticket_counts",
    "cannot be searched": "DELETE FROM ticket_search",
    "what a search filters by is not what the ticket says": "UPDATE ticket_search SET priority = 'low'",
    "its search document is not that of its text": "UPDATE ticket_search SET document = ''",
    "have 2 tickets (1 by stage, 1 by priority), the event log 1": "UPDATE daily_stats SET total_issues = 2",
}


async def test_each_planted_lie_about_tickets_is_found(
    client: httpx.AsyncClient, member: Person, platform: Platform, sql: psycopg.Connection[Any]
) -> None:
    made = await client.post("/api/v1/tickets", json={"title": "A ticket"}, headers=member.headers)
    assert made.status_code == 201
    await count_days(platform)
    await fold_counts(platform)
    assert await _found(platform) == []
    for sentence, statement in TICKET_LIES.items():
        sql.execute(
            f"SET session_replication_role = replica; {statement}; SET session_replication_role = origin"
        )
        (problem,) = await _found(platform)
        assert sentence in problem
        sql.execute("SELECT ticket_search_rebuild()")


FAN_OUTS = """
INSERT INTO notice_fan_outs (id, type, at, levels, stream, seq, bug_id, comment_id, actor_id)
SELECT gen_random_uuid(), 'x', now(), '{all}', e.stream, lie.seq, lie.bug_id, lie.comment_id, lie.actor_id
FROM (SELECT DISTINCT stream, bug_id FROM events) e, LATERAL (VALUES
    (1000, e.bug_id, NULL::uuid, NULL::uuid),
    (1, gen_random_uuid(), NULL, NULL),
    (2, '00000000-0000-4000-8000-000000000000', NULL, NULL),
    (3, e.bug_id, gen_random_uuid(), NULL),
    (4, e.bug_id, NULL, gen_random_uuid())
) lie (seq, bug_id, comment_id, actor_id)
"""
NOBODYS = """
UPDATE events SET bug_id = '00000000-0000-4000-8000-000000000000' WHERE seq = 2;
INSERT INTO notice_mails (id, user_id, kind, due_at)
SELECT gen_random_uuid(), id, 'digest', now() FROM users WHERE username = 'ada';
INSERT INTO notices (id, fan_out_id, user_id, mail_id)
SELECT gen_random_uuid(), f.id, u.id, m.id
FROM notice_fan_outs f, notice_mails m, users u WHERE f.seq = 1 AND u.username = 'grace';
INSERT INTO notices (id, fan_out_id, contact_id)
SELECT gen_random_uuid(), id, gen_random_uuid() FROM notice_fan_outs WHERE seq = 1;
INSERT INTO notices (id, fan_out_id, user_id, mail_id)
SELECT gen_random_uuid(), lie.fan_out_id, lie.user_id, lie.mail_id
FROM notice_fan_outs f, users u, LATERAL (VALUES
    (gen_random_uuid(), u.id, NULL::uuid), (f.id, gen_random_uuid(), NULL), (f.id, u.id, gen_random_uuid())
) lie (fan_out_id, user_id, mail_id)
WHERE f.seq = 1 AND u.username = 'ada';
INSERT INTO users (id, email, email_key, username, erased_at)
VALUES (gen_random_uuid(), '', '', 'deleted user', now());
INSERT INTO notices (id, fan_out_id, user_id)
SELECT gen_random_uuid(), f.id, u.id FROM notice_fan_outs f, users u WHERE f.seq = 1 AND u.erased_at IS NOT NULL;
INSERT INTO bug_subscriptions (bug_id, user_id, level) SELECT id, gen_random_uuid(), 'all' FROM bugs;
INSERT INTO report_contacts (id, bug_id, email, level)
SELECT gen_random_uuid(), id, 'owner@people.example', 'all' FROM bugs;
"""
NOBODYS_PROBLEMS = (
    "_1000 is not in the event log",
    "its event is of another bug",
    "there is no bug 00000000-0000-4000-8000-000000000000",
    "there is no comment ",
    "there is no user ",
    "which goes to somebody else",
    "names fan-out ",
    ", who is not there",
    ", whose account was erased",
    "names mail ",
    "notices.contact_id ",
    "bug_subscriptions.user_id ",
    "its receipt is gone, but address ",
)


async def test_notices_subscriptions_and_addresses_of_what_is_not_there_are_problems(
    bug_id: str, platform: Platform, without_triggers: psycopg.Connection[Any]
) -> None:
    without_triggers.execute(FAN_OUTS)
    without_triggers.execute(NOBODYS)
    found = await _found(platform)
    for sentence in NOBODYS_PROBLEMS:
        assert len([problem for problem in found if sentence in problem]) == 1, (sentence, found)
    assert len(found) == len(NOBODYS_PROBLEMS)


async def test_lies_about_tickets_are_found(
    client: httpx.AsyncClient, member: Person, platform: Platform, without_triggers: psycopg.Connection[Any]
) -> None:
    made = await client.post("/api/v1/tickets", json={"title": "x"}, headers=member.headers)
    path = f"/api/v1/tickets/{made.json()['ticket']['key']}"
    for is_internal in (False, True):
        body = {"content": "x", "isInternal": is_internal}
        await client.post(f"{path}/comments", json=body, headers=member.headers)
    await client.patch(f"{path}/status", json={"status": "in_progress"}, headers=member.headers)
    assert await _found(platform) == []
    # The status with triggers: what is counted and searched is then true, and the event log alone knows better.
    without_triggers.execute(
        "SET session_replication_role = origin; UPDATE tickets SET status = 'blocked';"
        " SET session_replication_role = replica; UPDATE tickets SET comment_count = 2;"
        " UPDATE ticket_numbers SET last_number = 7; UPDATE ticket_keys SET key = 'TSK-1'"
    )
    assert await _found(platform) == [
        "ticket TSK-1001: counts 2 public and 1 internal comments, it has 1 and 1",
        f"ticket {made.json()['ticket']['id']}: its key does not lead to it",
        "project TSK: has given numbers up to 7, a ticket of it has 1001",
        "ticket TSK-1001: is blocked, in the event log it is in_progress",
    ]


async def test_a_file_that_no_row_names_is_a_problem_once_it_is_an_hour_old(
    bug_id: str, platform: Platform, settings: Settings
) -> None:
    _store(settings, "bugs/upload-under-way.png", b"x", age_seconds=3500)
    assert await _found(platform) == []
    _store(settings, "bugs/forgotten.png", b"x", age_seconds=3700)
    assert await _found(platform) == ["file bugs/forgotten.png: no attachment names it"]


async def test_every_problem_is_printed_and_the_number_comes_last(
    bug_id: str, client: httpx.AsyncClient, commands: Commands, sql: psycopg.Connection[Any]
) -> None:
    await report(client)
    sql.execute("UPDATE bugs SET vote_count = vote_count + 1, comment_count = comment_count + 1")
    outcome = commands.run("check")
    assert (outcome.code, len(outcome.lines), outcome.lines[-1]) == (1, 5, "4 problems")
    assert f"bug {bug_id}: vote_count is 3, its counted votes are 2" in outcome.lines


async def test_a_bug_that_was_merged_away_may_keep_its_counters(
    bug_id: str, client: httpx.AsyncClient, platform: Platform, sql: psycopg.Connection[Any]
) -> None:
    target = await report(client)
    sql.execute("UPDATE bugs SET merged_into_id = %s, vote_count = 9 WHERE id = %s", (target["id"], bug_id))
    assert await _found(platform) == []
