"""The main job, end to end: report, find, vote, comment, answer, fix."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg

from tests.conftest import SignUp
from tests.factories import make_member, report


async def test_a_bug_is_reported_found_voted_commented_answered_and_fixed(
    client: httpx.AsyncClient, sign_up: SignUp, sql: psycopg.Connection[Any]
) -> None:
    bug = await report(client, title="Export to PDF hangs", application_url="https://app.paper.example")
    path = f"/api/v1/bugs/{bug['id']}"

    found = (await client.get("/api/v1/bugs", params={"search": "pdf exports"})).json()
    assert [one["id"] for one in found["bugs"]] == [bug["id"]]
    assert found["match"] == "all"

    ada = await sign_up("ada")
    voted = await client.post(f"{path}/vote", headers=ada.headers)
    assert (voted.status_code, voted.json()["vote_count"]) == (201, 1)
    comment = await client.post(f"{path}/comments", json={"content": "Same here"}, headers=ada.headers)
    assert (comment.status_code, comment.json()["comment"]["is_company_response"]) == (201, False)

    grace = await sign_up("grace")
    refused = await client.patch(f"{path}/status", json={"status": "fixed"}, headers=grace.headers)
    assert refused.status_code == 403
    make_member(sql, grace, bug["assigned_company_id"])
    response = await client.post(
        f"{path}/company-response", json={"content": "Fixed in **2.1**"}, headers=grace.headers
    )
    assert response.json()["comment"]["is_company_response"] is True
    fixed = await client.patch(f"{path}/status", json={"status": "fixed"}, headers=grace.headers)
    assert fixed.json()["bug"]["resolved_at"] is not None

    detail = (await client.get(path)).json()["bug"]
    assert (detail["status"], detail["vote_count"], detail["comment_count"]) == ("fixed", 1, 2)
    assert [one["content"] for one in detail["comments"]] == ["Same here", "Fixed in **2.1**"]
    assert detail["assigned_company"]["verified"] is True
    history = (await client.get(f"{path}/history")).json()["history"]
    assert [(one["kind"], one["from_status"], one["to_status"]) for one in history] == [
        ("status", "open", "fixed")
    ]
