"""The figures of the dashboard."""

from __future__ import annotations

import httpx

from tests.api.v1.moderation.acts import Moderator, Sql, comment, vote
from tests.factories import Person, make_member
from tests.factories import report as report_bug

NOTHING = {
    "total_bugs": 0, "open_bugs": 0, "flagged_bugs": 0, "removed_bugs": 0, "total_users": 1, "banned_users": 0,
    "total_companies": 0, "verified_companies": 0, "bugs_24h": 0, "votes_24h": 0, "comments_24h": 0,
}  # fmt: skip


async def test_an_empty_board_has_nothing_but_its_admin(client: httpx.AsyncClient, admin: Person) -> None:
    answer = (await Moderator(client, admin).get("dashboard")).json()
    assert answer == {"stats": NOTHING, "recent_activity": []}


async def test_figures_count_what_the_public_sees_and_what_moderators_do(
    client: httpx.AsyncClient, admin: Person, ada: Person, bob: Person, sql: Sql
) -> None:
    moderator = Moderator(client, admin)
    bugs = [await report_bug(client, application_url=f"https://ink{i}.example") for i in range(5)]
    shown, fixed, merged, removed, old = (bug["id"] for bug in bugs)
    make_member(sql, ada, bugs[0]["assigned_company_id"])
    await client.patch(f"/api/v1/bugs/{fixed}/status", json={"status": "fixed"}, headers=admin.headers)
    for person, where in ((ada, shown), (ada, merged), (bob, merged)):
        await vote(client, person, where)
    await comment(client, ada, shown, "hello")
    await client.post(f"/api/v1/bugs/{shown}/flag", json={"reason": "spam"}, headers=bob.headers)
    await client.post(f"/api/v1/bugs/{removed}/flag", json={"reason": "spam"}, headers=bob.headers)
    await moderator.merge(merged, shown)
    await moderator.remove(removed)
    sql.execute("UPDATE bugs SET created_at = now() - interval '25 hours' WHERE id = %s", (old,))
    await moderator.ban(bob.id)
    answer = (await moderator.get("dashboard")).json()
    assert answer["stats"] == {
        "total_bugs": 3, "open_bugs": 2, "flagged_bugs": 1, "removed_bugs": 1, "total_users": 3, "banned_users": 1,
        "total_companies": 5, "verified_companies": 1, "bugs_24h": 2, "votes_24h": 2, "comments_24h": 2,
    }  # fmt: skip
    assert [one["action"] for one in answer["recent_activity"]] == [
        "user_ban",
        "bug_remove",
        "bug_merge",
        "bug_status_change",
    ]
    sql.execute("UPDATE users SET banned_until = now() - interval '1 second' WHERE id = %s", (bob.id,))
    assert (await moderator.get("dashboard")).json()["stats"]["banned_users"] == 0
