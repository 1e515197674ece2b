"""Captures over HTTP: shown redacted, refused only for their type, gone after their time and with the account."""

from __future__ import annotations

import json
from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest

from bugrelay.domain.support.tasks import delete_old
from bugrelay.infra.platform import Platform
from tests.api.support.conftest import Join, Reporter, Sql, a_support_report
from tests.conftest import RunJobs
from tests.factories import PASSWORD
from tests.infra.mail.postbox import Postbox
from tests.roles.world import all_rows

SECRETS = {
    "a password": "correct-horse-9",
    "a token": "ghp_" + "Zq9X" * 9,
    "a bearer token": "5f2c8e77aa01bb34cc",
    "a JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJyaXRhIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
    "a card": "4111111111111111",
    "an address": "someone.else@private.example",
    "a user of a URL": "svc:hush-hush",
    "a key": "AKIAIOSFODNN7EXAMPLE",
}


def capture_with_secrets() -> dict[str, Any]:
    """Each secret in a place of its own kind, and all of them in a console error."""
    s = SECRETS
    return {
        "console_errors": [
            {
                "message": f"failed: {' '.join(s.values())}".replace(
                    "correct-horse-9", "password=correct-horse-9"
                )
                .replace("5f2c", "Bearer 5f2c")
                .replace("svc:", "https://svc:")
                .replace("hush-hush", "hush-hush@db.example/")
            }
        ],
        "api_history": [
            {
                "url": f"https://api.example/pay?access_token={s['a bearer token']}",
                "headers": [["Authorization", f"Bearer {s['a JWT']}"], ["X-Author", "Rita"]],
                "body": json.dumps({"user": {"password": s["a password"]}, "card": s["a card"]}),
            }
        ],
        "user_actions": [{"type": "input", "selector": "#password", "value": s["a password"]}],
        "local_storage_data": {"auth": json.dumps({"jwt": s["a JWT"]}), "owner": s["an address"]},
        "session_storage_data": {"aws": s["a key"], "theme": "dark"},
        "browser_info": {"name": "Firefox", "session_token": s["a token"]},
        "page_url": f"https://{s['a user of a URL']}@app.example/#access_token={s['a bearer token']}",
        "page_title": f"Inbox of {s['an address']}",
    }


JSON = {"Content-Type": "application/json"}


async def test_planted_secrets_are_nowhere(
    rita: Reporter,
    mae: Reporter,
    sql: Sql,
    platform: Platform,
    run_jobs: RunJobs,
    postbox: Postbox,
    job_log: Sequence[MutableMapping[str, Any]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not in any table, the jobs and kept responses among them, nor in logs, mails or responses."""
    headers = {"Idempotency-Key": "with secrets"}
    sent = await rita.call("POST", "report", a_support_report(**capture_with_secrets()), headers=headers)
    assert sent.status_code == 201, sent.text
    number = sent.json()["ticket_number"]
    # A body that does not fit is not repeated, either.
    bad = await rita.call("POST", "report", {**capture_with_secrets(), "title": 5})
    assert bad.status_code == 400
    shown = [await who.shown(number) for who in (rita, mae)]
    tables = all_rows(sql)
    assert "support.mail_confirmation" in await run_jobs()
    assert [number in mail["Subject"] for mail in postbox.mails(rita.person.email)].count(True) == 1
    places = {
        "database": json.dumps(tables) + json.dumps(all_rows(sql)),
        "log": repr(list(job_log)) + "".join(capfd.readouterr()),
        "mail": "".join(mail.as_string() for mail in postbox.mails()),
        "responses": sent.text + bad.text + json.dumps(shown),
    }
    found = [
        (place, name) for place, text in places.items() for name, secret in SECRETS.items() if secret in text
    ]
    assert found == []
    assert shown[0]["api_history"][0]["headers"] == [
        ["Authorization", "[redacted:auth]"],
        ["X-Author", "Rita"],
    ]
    assert shown[0]["session_storage_data"] == {"aws": "[redacted:aws_key]", "theme": "dark"}
    assert shown[0]["redactions"] is None
    kinds = {one["kind"] for one in shown[1]["redactions"]}
    assert {"password", "jwt", "card", "email", "auth", "aws_key"} <= kinds


async def test_what_was_typed_is_never_altered(rita: Reporter, mae: Reporter) -> None:
    typed = {
        "title": "password=hunter2 is refused",
        "description": "I am someone@private.example, card 4111 1111 1111 1111",
        "steps_to_reproduce": "token: ghp_" + "a" * 36,
        "screenshot_annotations": [{"type": "text", "text": "my password: hunter2", "pin": 3}],
    }
    shown = await mae.shown(await rita.report(**typed))
    assert {name: shown[name] for name in typed} == typed
    assert (shown["redactions"], shown["truncated"]) == ([], False)


async def test_a_capture_is_shown_as_it_was_sent(rita: Reporter) -> None:
    sent: dict[str, Any] = {
        "console_errors": [{"message": "x is not a function", "line": 3, "nested": {"a": [1, None, True]}}],
        "api_history": [{"url": "/api/items", "status": 500}],
        "user_actions": [{"type": "click"}],
        "local_storage_data": {"theme": "dark"},
        "session_storage_data": {},
        "browser_info": {"name": "Firefox", "version": "131.0", "platform": "Linux", "language": "en"},
        "page_url": "https://app.paper.example/reports?tab=2",
        "viewport_size": "1280x720",
    }
    shown = await rita.shown(await rita.report(**sent))
    assert {name: shown[name] for name in sent} == sent
    bare = await rita.shown(await rita.report(page_url="javascript:alert(1)"))
    assert {bare[name] for name in ("console_errors", "local_storage_data", "page_url", "browser_info")} == {
        None
    }


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("console_errors", {"a": 1}, "console_errors"),
        ("console_errors", [{"a": 1}, "text", 5], "console_errors[1]"),
        ("user_actions", "clicked", "user_actions"),
        ("local_storage_data", [["a", "b"]], "local_storage_data"),
        ("browser_info", "Firefox", "browser_info"),
        ("screenshot_annotations", [{}] * 101, "screenshot_annotations"),
        ("screenshot_annotations", ["x" * 17_000], "screenshot_annotations"),
        ("screenshot_annotations", [[[[[[[[[]]]]]]]]], "screenshot_annotations"),
    ],
)
async def test_only_values_of_a_wrong_type_are_refused(
    rita: Reporter, field: str, value: Any, named: str
) -> None:
    error = await rita.refused(400, "VALIDATION_ERROR", "POST", "report", a_support_report(**{field: value}))
    assert error["fields"][0]["field"] == named


async def test_no_depth_of_nesting_is_an_internal_error(rita: Reporter) -> None:
    """What can be read at all is kept, in part, or refused; also just before the depth that cannot be read."""
    seen = set()
    for depth in (*range(800, 1000, 3), 5000, 100_000):
        nested = "[" * depth + "]" * depth
        body = f'{{"title": "t", "description": "d", "console_errors": [{{"deep": {nested}}}]}}'
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"depth {depth}"}
        sent = await rita.call("POST", "report", content=body, headers=headers)
        assert sent.status_code in (201, 400), (depth, sent.text)
        seen.add(sent.status_code)
    assert seen == {201, 400}


async def test_a_lone_surrogate_in_a_capture_loses_no_report(rita: Reporter) -> None:
    """A front end that cuts a text at a length may cut an emoji; what somebody typed is refused for that."""
    half = '"title": "t", "description": "d", "console_errors": [{"message": "so \\ud83d"}], "page_title": "\\uDE00"'
    headers = {"Content-Type": "application/json", "Idempotency-Key": "half"}
    sent = await rita.call("POST", "report", content=f"{{{half}}}", headers=headers)
    assert sent.status_code == 201, sent.text
    shown = await rita.shown(sent.json()["ticket_number"])
    assert shown["console_errors"] == [{"message": "so \N{REPLACEMENT CHARACTER}"}]
    assert shown["page_title"] == "\N{REPLACEMENT CHARACTER}"
    typed = half.replace('"d"', '"\\ud83d"')
    error = await rita.refused(
        400, "VALIDATION_ERROR", "POST", "report", content=f"{{{typed}}}", headers=JSON
    )
    assert [one["field"] for one in error["fields"]] == ["description"]
    for broken in (f"{{{half}", f'[{half[9:12]}, "\\ud83d"]'):
        await rita.refused(400, "VALIDATION_ERROR", "POST", "report", content=broken, headers=JSON)


async def test_a_body_of_two_mebibytes_is_taken_and_a_larger_one_is_not(
    rita: Reporter, mae: Reporter
) -> None:
    mebibyte = [{"message": "x" * 2000, "n": n} for n in range(500)]
    number = await rita.report(console_errors=mebibyte, user_actions=mebibyte[:470])
    shown = await mae.shown(number)
    assert shown["truncated"] is True
    assert shown["console_errors"][-1]["n"] == 499
    too_large = a_support_report(console_errors=mebibyte, user_actions=mebibyte * 2)
    await rita.refused(413, "PAYLOAD_TOO_LARGE", "POST", "report", too_large)


async def test_captures_are_deleted_after_their_retention_and_reports_stay(
    rita: Reporter, sql: Sql, platform: Platform
) -> None:
    recorded = {"console_errors": [{"a": 1}], "page_title": "Reports", "screenshot_annotations": [{"a": 1}]}
    old, new = await rita.report(**recorded), await rita.report(**recorded)
    sql.execute(
        "UPDATE support_reports r SET created_at = now() - interval '91 days' FROM tickets t"
        " WHERE t.id = r.ticket_id AND t.key = %s",
        (old,),
    )
    await delete_old(platform)
    await delete_old(platform)
    gone, there = await rita.shown(old), await rita.shown(new)
    assert (gone["console_errors"], gone["screenshot_annotations"], gone["page_title"]) == (
        None,
        None,
        "Reports",
    )
    assert there["console_errors"] == [{"a": 1}]


async def test_captures_are_deleted_with_the_account(rita: Reporter, mae: Reporter) -> None:
    number = await rita.report(
        console_errors=[{"a": 1}], browser_info={"name": "Firefox"}, page_title="Reports"
    )
    export = await rita.client.get("/api/v1/users/me/export", headers=rita.headers)
    (exported,) = export.json()["support_reports"]
    assert exported["capture"] == {"console_errors": [{"a": 1}]}
    erased = await rita.client.request(
        "DELETE", "/api/v1/users/me", json={"password": PASSWORD}, headers=rita.headers
    )
    assert erased.status_code == 200, erased.text
    shown = await mae.shown(number)
    assert {shown[name] for name in ("console_errors", "browser_info", "page_title")} == {None}
    assert shown["title"] == "Export fails"


async def test_a_member_who_left_sees_no_capture(rita: Reporter, join: Join, sql: Sql) -> None:
    former = await join("fred", "member")
    number = await rita.report(console_errors=[{"a": 1}])
    await former.shown(number)
    sql.execute("UPDATE company_members SET is_active = false WHERE user_id = %s", (former.id,))
    await former.refused(404, "COMPANY_NOT_FOUND", "GET", f"report/{number}")
