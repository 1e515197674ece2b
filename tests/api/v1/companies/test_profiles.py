"""What a company says of itself, and what anybody sees of it."""

from __future__ import annotations

import httpx
import pytest

from tests.factories import Person, report
from tests.responses import bad_fields, refused

COMPANY_KEYS = {
    "id", "name", "domain", "verified", "verified_at", "url", "description", "created_at", "updated_at", "applications",
    "bug_stats",
}  # fmt: skip


async def test_a_company_is_shown_with_its_applications_and_bugs_by_status(
    client: httpx.AsyncClient, company: str, boss: Person
) -> None:
    bug = await report(client, application_name="Pencil", application_url="https://paper.example/pencil")
    await client.patch(f"/api/v1/bugs/{bug['id']}/status", json={"status": "fixed"}, headers=boss.headers)
    answer = (await client.get(f"/api/v1/companies/{company}")).json()
    assert set(answer) == {"company"}
    shown = answer["company"]
    assert set(shown) >= COMPANY_KEYS
    assert (shown["id"], shown["domain"], shown["url"]) == (company, "paper.example", "https://paper.example")
    assert [(one["name"], one["url"]) for one in shown["applications"]] == [
        ("Paper", "https://app.paper.example"),
        ("Pencil", "https://paper.example/pencil"),
    ]
    assert set(shown["applications"][0]) == {"id", "name", "url"}
    assert shown["bug_stats"] == {"total": 2, "open": 1, "reviewing": 0, "fixed": 1, "wont_fix": 0}
    assert shown["members"] == [{"user": {"id": boss.id, "username": "boss"}, "role": "admin"}]


async def test_admins_change_the_profile_and_what_is_absent_stays(
    client: httpx.AsyncClient, company: str, boss: Person
) -> None:
    path = f"/api/v1/companies/{company}"
    first = await client.patch(
        path,
        json={"name": "Paper", "url": "https://www.paper.example/about", "description": "We make *paper*."},
        headers=boss.headers,
    )
    assert first.status_code == 200
    second = (await client.patch(path, json={"url": ""}, headers=boss.headers)).json()["company"]
    assert (second["name"], second["url"], second["description"]) == ("Paper", None, "We make *paper*.")
    assert second["description_html"] == "<p>We make <em>paper</em>.</p>\n"
    assert (await client.get(path)).json()["company"] == second
    third = (await client.patch(path, json={"description": None}, headers=boss.headers)).json()["company"]
    assert (third["description"], third["description_html"]) == (None, None)


async def test_the_profile_runs_nothing(client: httpx.AsyncClient, company: str, boss: Person) -> None:
    path = f"/api/v1/companies/{company}"
    body = {
        "name": "<img src=x onerror=alert(1)>",
        "description": "<script>alert(1)</script> a < b && List<String>",
    }
    await client.patch(path, json=body, headers=boss.headers)
    shown = (await client.get(path)).json()["company"]
    assert shown["name"] == "<\u2060img src=x onerror=alert(1)>"
    assert shown["description"].startswith("<\u2060script>")
    assert shown["description"].endswith("a < b && List<String>")
    assert "<script" not in shown["description_html"]


async def test_only_the_companys_admins_change_its_profile(
    client: httpx.AsyncClient,
    company: str,
    boss: Person,
    member: Person,
    ada: Person,
    other_boss: Person,
    root: Person,
) -> None:
    path = f"/api/v1/companies/{company}"
    refused(await client.patch(path, json={"name": "X"}), 401, "AUTH_REQUIRED")
    refused(
        await client.patch(path, json={"name": "X"}, headers=member.headers), 403, "INSUFFICIENT_PERMISSIONS"
    )
    for stranger in (ada, other_boss, root):
        refused(await client.patch(path, json={"name": "X"}, headers=stranger.headers), 403, "NOT_MEMBER")
    assert (await client.get(path)).json()["company"]["name"] == "paper.example"


async def test_what_a_profile_cannot_hold(client: httpx.AsyncClient, company: str, boss: Person) -> None:
    path = f"/api/v1/companies/{company}"
    bad = {"name": "x" * 256, "url": "javascript:alert(1)", "description": "x" * 5001}
    response = await client.patch(path, json=bad, headers=boss.headers)
    assert bad_fields(response) == ["description", "name", "url"]
    assert (await client.patch(path, json={"name": "x" * 255}, headers=boss.headers)).status_code == 200


@pytest.mark.parametrize("thing", ["companies", "applications"])
async def test_what_does_not_exist_is_not_found(client: httpx.AsyncClient, thing: str) -> None:
    code = {"companies": "COMPANY_NOT_FOUND", "applications": "APPLICATION_NOT_FOUND"}[thing]
    refused(await client.get(f"/api/v1/{thing}/00000000-0000-7000-8000-000000000000"), 404, code)
    refused(await client.get(f"/api/v1/{thing}/paper"), 400, "INVALID_ID")
