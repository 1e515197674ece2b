"""Reports through the support API: sent, listed, shown, commented on; who sees them, and how refusals look."""

from __future__ import annotations

import httpx
import pytest
from redis import Redis

from bugrelay.settings import Rate
from tests.api.support.conftest import Join, Reporter, Sql, a_support_report
from tests.conftest import Servers, StartApp
from tests.factories import make_member, register, report

FIELDS = {
    *("id", "ticket_number", "company_id", "user_id", "user_name", "category", "severity", "status", "title"),
    *(
        "description",
        "steps_to_reproduce",
        "expected_behavior",
        "actual_behavior",
        "browser_info",
        "page_url",
    ),
    *("page_title", "viewport_size", "screen_resolution", "github_issue_id", "github_issue_number"),
    *("github_issue_url", "github_sync_status", "github_sync_error", "github_synced_at", "created_at"),
    *("updated_at", "resolved_at", "assigned_to", "resolution_notes", "internal_notes", "email_sent"),
    "email_sent_at",
}


async def test_a_report_is_worked_on_as_a_ticket_until_it_is_resolved(
    rita: Reporter, mae: Reporter, sql: Sql
) -> None:
    sent = await rita.call(
        "POST",
        "report",
        a_support_report(category="help", severity="high", steps_to_reproduce="Click *Export*"),
    )
    assert sent.status_code == 201
    year = sql.execute("SELECT extract(year FROM now() AT TIME ZONE 'UTC')::int").fetchone()
    assert year is not None
    number = f"BUG-{year[0]}-0001"
    answer = sent.json()
    assert answer["report"].keys() == {"id", "status", "github_sync_status"}
    assert answer | {"report": None} == {
        "success": True,
        "ticket_number": number,
        "message": "Your issue has been reported successfully",
        "report": None,
    }
    assert (answer["report"]["status"], answer["report"]["github_sync_status"]) == ("new", None)

    change = {"assigneeIds": [mae.id], "internalNotes": "The quota again", "resolutionNotes": "More space"}
    await mae.ticket("PUT", f"tickets/{number}", change)
    await mae.ticket("PATCH", f"tickets/{number}/status", {"status": "resolved"})
    shown = await rita.shown(number.lower())
    assert shown.keys() >= FIELDS
    assert {
        name: shown[name] for name in ("id", "user_id", "company_id", "status", "category", "severity")
    } == {
        "id": answer["report"]["id"],
        "user_id": rita.id,
        "company_id": rita.company_id,
        "status": "resolved",
        "category": "help",
        "severity": "high",
    }
    assert shown["user_name"] == "rita"
    assert shown["steps_to_reproduce"] == "Click *Export*"
    assert "<strong>export</strong>" in shown["description_html"]
    assert shown["assigned_to"] == mae.id
    assert shown["resolved_at"] is not None
    assert (shown["resolution_notes"], shown["internal_notes"]) == ("More space", None)
    assert (await mae.shown(number))["internal_notes"] == "The quota again"


async def test_a_list_has_ones_own_reports_the_newest_first(rita: Reporter, mae: Reporter) -> None:
    numbers = [await rita.report(title=f"Number {i}") for i in range(3)]
    await mae.report(title="A colleague's")
    await mae.ticket("PATCH", f"tickets/{numbers[1]}/status", {"status": "in_review"})
    listed = await rita.done("GET", "reports?per_page=2")
    assert [one["ticket_number"] for one in listed["reports"]] == [numbers[2], numbers[1]]
    assert listed["pagination"] == {"page": 1, "per_page": 2, "total": 3, "pages": 2}
    assert listed["reports"][0].keys() == {
        *("id", "ticket_number", "category", "severity", "status", "title", "created_at", "github_issue_url"),
    }
    second = await rita.done("GET", "reports?per_page=2&page=2")
    assert [one["ticket_number"] for one in second["reports"]] == [numbers[0]]
    reviewed = await rita.done("GET", "reports?status=in_review")
    assert [one["ticket_number"] for one in reviewed["reports"]] == [numbers[1]]
    assert [one["title"] for one in (await mae.done("GET", "reports"))["reports"]] == ["A colleague's"]


async def test_reporters_see_neither_reports_of_colleagues_nor_of_other_companies(
    rita: Reporter, mae: Reporter, join: Join, second_company_id: str
) -> None:
    colleague = await join("carl")
    theirs = await join("otto", "admin", company=second_company_id)
    assert await rita.report(title="Of ours") == await theirs.report(title="Of theirs")
    number = await colleague.report()
    for path in (f"report/{number}", f"report/{number}/comments"):
        await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "GET", path)
        await theirs.refused(404, "REPORT_NOT_FOUND", "GET", path)
        await mae.done("GET", path)
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", f"report/{number}/comments", {"comment": "x"})
    # A colleague who works on it, or whom all tickets are open to, sees the ticket; what the browser knew is not theirs.
    await mae.ticket("PUT", f"tickets/{number}", {"assigneeIds": [rita.id]})
    await mae.ticket("PUT", "projects/BUG", {"visibility": "company"})
    await rita.ticket("GET", f"tickets/{number}")
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "GET", f"report/{number}")
    assert (await theirs.shown("BUG-" + number.split("-")[1] + "-0001"))["title"] == "Of theirs"
    for none in ("BUG-2020-0001", "nonsense", "BUG-2026-99999999999"):
        await rita.refused(404, "REPORT_NOT_FOUND", "GET", f"report/{none}")


async def test_a_report_that_was_moved_is_found_by_its_number_and_a_removed_one_is_gone(
    rita: Reporter, join: Join
) -> None:
    boss = await join("boss", "admin")
    first, second = await rita.report(), await rita.report()
    project = (await boss.ticket("POST", "projects", {"key": "WEB", "name": "Web"}))["project"]
    await boss.ticket("PUT", f"tickets/{first}", {"projectId": project["id"]})
    assert (await rita.shown(first))["ticket_number"] == "WEB-1001"
    await boss.ticket("DELETE", f"tickets/{second}")
    await rita.refused(404, "REPORT_NOT_FOUND", "GET", f"report/{second}")
    listed = (await rita.done("GET", "reports"))["reports"]
    assert [one["ticket_number"] for one in listed] == ["WEB-1001"]


async def test_comments_are_visible_to_users_who_see_the_report(rita: Reporter, mae: Reporter) -> None:
    number = await rita.report()
    path = f"report/{number}/comments"
    written = await rita.call("POST", path, {"comment": "It is *back*"})
    assert written.status_code == 201
    comment = written.json()["comment"]
    assert {name: comment[name] for name in ("user_id", "user_name", "comment", "is_internal")} == {
        "user_id": rita.id,
        "user_name": "rita",
        "comment": "It is *back*",
        "is_internal": False,
    }
    assert comment["issue_id"] == (await rita.shown(number))["id"]
    await mae.done("POST", path, {"comment": "The quota, as ever", "is_internal": True})
    await rita.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", path, {"comment": "x", "is_internal": True})
    assert [one["comment"] for one in (await rita.done("GET", path))["comments"]] == ["It is *back*"]
    seen = await mae.done("GET", f"{path}?per_page=1&page=2")
    assert [one["comment"] for one in seen["comments"]] == ["The quota, as ever"]
    assert seen["pagination"] == {"page": 2, "per_page": 1, "total": 2, "pages": 2}
    refused = await rita.refused(400, "VALIDATION_ERROR", "POST", path, {"comment": "x" * 10_001})
    assert [one["field"] for one in refused["fields"]] == ["comment"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "x" * 256),
        ("title", None),
        ("description", " "),
        ("description", "x" * 20_001),
        ("category", "crash"),
        ("severity", "HIGH"),
        ("steps_to_reproduce", "x" * 10_001),
        ("expected_behavior", 5),
        ("actual_behavior", "NUL \0"),
    ],
)
async def test_an_invalid_field_is_named(rita: Reporter, field: str, value: object) -> None:
    error = await rita.refused(400, "VALIDATION_ERROR", "POST", "report", a_support_report(**{field: value}))
    assert [one["field"] for one in error["fields"]] == [field]


async def test_every_layer_refuses_in_the_form_of_the_support_api(
    rita: Reporter, client: httpx.AsyncClient, start_app: StartApp
) -> None:
    await rita.refused(404, "NOT_FOUND", "GET", "nothing/there")
    await rita.refused(405, "METHOD_NOT_ALLOWED", "DELETE", "report")
    await rita.refused(400, "VALIDATION_ERROR", "POST", "report", content=b"{", headers=JSON)
    await rita.refused(
        415, "UNSUPPORTED_MEDIA_TYPE", "POST", "report", content=b"x", headers={"Content-Type": "a/b"}
    )
    await rita.refused(401, "INVALID_TOKEN", "GET", "reports", headers={"Authorization": "Bearer none"})
    await rita.refused(404, "COMPANY_NOT_FOUND", "GET", "reports", headers={"X-Company-ID": "chalk.example"})
    await rita.refused(400, "VALIDATION_ERROR", "GET", "reports?per_page=101")
    await rita.refused(400, "VALIDATION_ERROR", "GET", "reports?status=open")
    anonymous = await client.get("http://board.example//api//support/reports")
    assert (anonymous.status_code, anonymous.json()["success"]) == (401, False)
    async with start_app(allowed_hosts=("elsewhere.example",)) as elsewhere:
        refused = await elsewhere.get("/api/support/reports")
        assert (refused.status_code, refused.json()["success"]) == (400, False)


JSON = {"Content-Type": "application/json"}


async def test_a_repeat_with_the_same_key_makes_no_second_report(rita: Reporter, sql: Sql) -> None:
    headers = {"Idempotency-Key": "a key of the product"}
    first = await rita.call("POST", "report", a_support_report(), headers=headers)
    again = await rita.call("POST", "report", a_support_report(), headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = a_support_report(title="Another")
    await rita.refused(409, "IDEMPOTENCY_CONFLICT", "POST", "report", other, headers=headers)
    assert sql.execute("SELECT count(*) FROM support_reports").fetchone() == (1,)


async def test_reports_of_a_user_are_rate_limited(start_app: StartApp, sql: Sql, servers: Servers) -> None:
    async with start_app(issue_report_rate_limit=Rate(2, 3600), rate_limit_general=Rate(1000, 60)) as client:
        bug = await report(client, application_name="Paper", application_url="https://paper.example")
        people = [
            Reporter(client, await register(client, name), bug["assigned_company_id"])
            for name in ("rita", "carl")
        ]
        for one in people:
            make_member(sql, one.person, one.company_id, role="reporter")
        rita, carl = people
        first = await rita.call("POST", "report", a_support_report())
        assert first.headers.get_list("x-ratelimit-remaining") == ["1"]
        await rita.report()
        refused = await rita.call("POST", "report", a_support_report())
        assert (refused.status_code, refused.json()["success"]) == (429, False)
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers.get_list("x-ratelimit-limit") == ["2"]
        listed = await rita.call("GET", "reports")
        assert listed.headers["x-ratelimit-limit"] == "1000"
        assert listed.headers["cache-control"] == "private, no-store"
        await carl.report()
    with Redis.from_url(servers.redis_url) as redis:
        for one in people:
            redis.delete(f"bugrelay:limit:{{user:{one.id}}}:issue_reports")
