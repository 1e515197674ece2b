"""The company of an application, and that its bugs follow a change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from bugrelay.domain.bugs import reassignment
from bugrelay.domain.companies.errors import ApplicationNotFound, CompanyNotFound
from bugrelay.domain.companies.events import ApplicationAssigned
from bugrelay.domain.companies.service import assign_application
from bugrelay.infra.ids import new_id, parse_id
from bugrelay.infra.platform import Platform
from tests.api.v1.companies.conftest import Sql
from tests.conftest import RunJobs
from tests.factories import Person, report
from tests.responses import ids_of, refused

NOBODY = "00000000-0000-7000-8000-000000000000"


async def link(client: httpx.AsyncClient, person: Person, company: str, application: str) -> httpx.Response:
    return await client.post(
        f"/api/v1/companies/{company}/applications/{application}", headers=person.headers
    )


async def company_of(client: httpx.AsyncClient, person: Person, bug_id: str) -> str | None:
    bug = (await client.get(f"/api/v1/bugs/{bug_id}", headers=person.headers)).json()["bug"]
    assert (bug["assigned_company"] or {"id": None})["id"] == bug["assigned_company_id"]
    company: str | None = bug["assigned_company_id"]
    return company


async def test_a_name_without_a_url_has_no_company_until_a_system_admin_links_it(
    client: httpx.AsyncClient, company: str, root: Person
) -> None:
    earlier = await report(client, application_name="Slack")
    assert earlier["assigned_company_id"] is None
    linked = await link(client, root, company, earlier["application_id"])
    assert linked.status_code == 200
    assert linked.json()["application"]["company"]["domain"] == "paper.example"
    later = await report(client, application_name=" slack ")
    for bug in (earlier, later):
        assert bug["application_id"] == earlier["application_id"]
        assert await company_of(client, root, bug["id"]) == company
    listed = await client.get("/api/v1/bugs", params={"company_id": company}, headers=root.headers)
    assert {earlier["id"], later["id"]} <= set(ids_of(listed))
    stats = (await client.get(f"/api/v1/companies/{company}", headers=root.headers)).json()["company"][
        "bug_stats"
    ]
    assert stats["total"] == 3


async def test_rights_follow_the_link(
    client: httpx.AsyncClient, company: str, boss: Person, other_boss: Person, root: Person
) -> None:
    bug = await report(
        client, application_name="Ink", application_url="https://ink.example", contact_email="a@b.example"
    )
    path = f"/api/v1/bugs/{bug['id']}"
    assert "contact_email" in (await client.get(path, headers=other_boss.headers)).json()["bug"]
    assert (await link(client, root, company, bug["application_id"])).status_code == 200
    assert "contact_email" not in (await client.get(path, headers=other_boss.headers)).json()["bug"]
    assert "contact_email" in (await client.get(path, headers=boss.headers)).json()["bug"]
    refused(
        await client.patch(f"{path}/status", json={"status": "fixed"}, headers=other_boss.headers),
        403,
        "INSUFFICIENT_PERMISSIONS",
    )
    assert (
        await client.patch(f"{path}/status", json={"status": "fixed"}, headers=boss.headers)
    ).status_code == 200


async def test_an_admin_links_what_lies_on_the_proven_domain_and_nothing_else(
    client: httpx.AsyncClient,
    sql: Sql,
    company: str,
    boss: Person,
    member: Person,
    other_boss: Person,
    ada: Person,
) -> None:
    own = await report(client, application_name="Pencil", application_url="https://pencil.paper.example")
    others = await report(client, application_name="Ink", application_url="https://ink.example")
    bare = await report(client, application_name="Paper")
    hosted = await report(client, application_name="Paper", application_url="https://paper.github.io")
    sql.execute("UPDATE applications SET company_id = NULL WHERE id = %s", (own["application_id"],))
    for stranger in (member, other_boss, ada):
        refused(await link(client, stranger, company, own["application_id"]), 403, "INSUFFICIENT_PERMISSIONS")
    for bug in (others, bare, hosted):
        refused(await link(client, boss, company, bug["application_id"]), 403, "INSUFFICIENT_PERMISSIONS")
    assert (await link(client, boss, company, own["application_id"])).status_code == 200
    anonymous = await client.post(f"/api/v1/companies/{company}/applications/{own['application_id']}")
    refused(anonymous, 401, "AUTH_REQUIRED")


async def test_an_admin_whose_company_lost_its_verification_links_nothing(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person
) -> None:
    bug = await report(client, application_name="Pencil", application_url="https://pencil.paper.example")
    sql.execute("UPDATE companies SET verified = false, verified_at = NULL")
    refused(await link(client, boss, company, bug["application_id"]), 403, "INSUFFICIENT_PERMISSIONS")


async def test_missing_resources_are_reported_before_missing_rights(
    client: httpx.AsyncClient, company: str, ada: Person
) -> None:
    bug = await report(client, application_name="Ink")
    refused(await link(client, ada, NOBODY, bug["application_id"]), 404, "COMPANY_NOT_FOUND")
    refused(await link(client, ada, company, NOBODY), 404, "APPLICATION_NOT_FOUND")
    refused(await link(client, ada, "paper", bug["application_id"]), 400, "INVALID_ID")
    refused(await link(client, ada, company, "ink"), 400, "INVALID_ID")


async def test_removed_bugs_follow_as_well(
    client: httpx.AsyncClient, sql: Sql, company: str, root: Person
) -> None:
    bug = await report(client, application_name="Slack")
    sql.execute("UPDATE bugs SET removed_at = now() WHERE id = %s", (bug["id"],))
    await link(client, root, company, bug["application_id"])
    row = sql.execute("SELECT assigned_company_id FROM bugs WHERE id = %s", (bug["id"],)).fetchone()
    assert row is not None
    assert str(row[0]) == company


async def test_more_bugs_than_a_request_has_time_for_are_moved_by_a_job(
    client: httpx.AsyncClient,
    sql: Sql,
    company: str,
    root: Person,
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reassignment, "BATCH", 2)
    bugs = [await report(client, application_name="Slack") for _ in range(7)]

    def moved() -> int:
        row = sql.execute("SELECT count(*) FROM bugs WHERE assigned_company_id = %s", (company,)).fetchone()
        assert row is not None
        return int(row[0]) - 1  # the one that the company was made for

    await link(client, root, company, bugs[0]["application_id"])
    assert moved() == 2
    assert "bugs.follow_application" in await run_jobs()
    assert moved() == 7


class Witness:
    """Subscribes to assignments as a higher domain does."""

    def __init__(self, platform: Platform) -> None:
        self.seen: list[ApplicationAssigned] = []
        platform.bus.subscribe_durable(self._note, ApplicationAssigned)

    async def _note(self, _session: Any, assignments: Sequence[ApplicationAssigned]) -> None:
        self.seen.extend(assignments)


async def test_a_link_records_its_former_company_and_a_repeat_records_nothing(
    client: httpx.AsyncClient, company: str, root: Person, platform: Platform
) -> None:
    witness = Witness(platform)
    bug = await report(client, application_name="Slack")
    application_id, company_id, actor_id = (
        parse_id(one) for one in (bug["application_id"], company, root.id)
    )
    assert application_id
    assert company_id
    assert actor_id
    for to, changed in ((company_id, True), (company_id, False), (None, True), (None, False)):
        async with platform.work() as work:
            assert changed is await assign_application(
                work, application_id=application_id, company_id=to, actor_id=actor_id, reason="a reason"
            )
    assert witness.seen == [
        ApplicationAssigned(
            application_id=application_id,
            company_id=now,
            former_company_id=before,
            reason="a reason",
            actor_id=actor_id,
        )
        for before, now in ((None, company_id), (company_id, None))
    ]
    assert await company_of(client, root, bug["id"]) is None
    for wrong, error in (
        ({"application_id": new_id()}, ApplicationNotFound),
        ({"company_id": new_id()}, CompanyNotFound),
    ):
        async with platform.work() as work:
            arguments: dict[str, Any] = {"application_id": application_id, "company_id": company_id} | wrong
            with pytest.raises(error):
                await assign_application(work, **arguments, actor_id=actor_id, reason=None)
