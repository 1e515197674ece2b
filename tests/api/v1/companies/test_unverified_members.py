"""A member whom the team has added has rights from the moment that their address is verified, and not before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx
import pytest
from click.testing import CliRunner

from bugrelay.cli import main
from bugrelay.settings import Rate, Settings
from tests.api.v1.companies.conftest import Sql
from tests.api.v1.companies.test_team import Team
from tests.conftest import TEST_ENVIRONMENT, RunJobs, SignUp, StartApp
from tests.factories import Person, make_member, register, report
from tests.infra.mail.postbox import Postbox, link_in
from tests.responses import refused


@pytest.fixture
async def ida(sign_up: SignUp) -> Person:
    """Registered with an address at the company's domain, which nobody has verified."""
    return await sign_up("ida", email="ida@paper.example")


def verify_address(sql: Sql, person: Person) -> None:
    sql.execute("UPDATE users SET is_email_verified = true WHERE id = %s", (person.id,))


@dataclass
class Rights:
    """What somebody gets from being on the team; tried in turn."""

    client: httpx.AsyncClient
    company: str

    async def of(self, person: Person) -> set[str]:
        """The names of what they may do and see."""
        bug = await report(
            self.client,
            application_name="Paper",
            application_url="https://app.paper.example",
            contact_email="rita@people.example",
        )
        path, company, headers = (
            f"/api/v1/bugs/{bug['id']}",
            f"/api/v1/companies/{self.company}",
            person.headers,
        )
        calls = {
            "dashboard": self.client.get(f"{company}/dashboard", headers=headers),
            "team": self.client.get(f"{company}/members", headers=headers),
            "status": self.client.patch(f"{path}/status", json={"status": "reviewing"}, headers=headers),
            "response": self.client.post(
                f"{path}/company-response", json={"content": "We look into it"}, headers=headers
            ),
            "profile": self.client.patch(company, json={"description": "Paper"}, headers=headers),
            "link": self.client.post(f"{company}/applications/{bug['application_id']}", headers=headers),
            "add": self.client.post(
                f"{company}/members", json={"email": person.email, "role": "member"}, headers=headers
            ),
        }
        rights = {name for name, call in calls.items() if (await call).status_code not in (401, 403, 404)}
        shown = (await self.client.get(path, headers=headers)).json()["bug"]
        comment = await self.client.post(f"{path}/comments", json={"content": "Hello"}, headers=headers)
        public = (await self.client.get(company, headers=headers)).json()["company"]
        if "contact_email" in shown:
            rights.add("contact")
        if comment.json()["comment"]["is_company_response"]:
            rights.add("official comment")
        if person.id in [one["user"]["id"] for one in public["members"]]:
            rights.add("public")
        return rights


MEMBER = {"dashboard", "team", "status", "response", "contact", "official comment", "public"}
ADMIN = MEMBER | {"profile", "link", "add"}


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize(("role", "rights"), [("member", MEMBER), ("admin", ADMIN)])
async def test_an_added_member_has_no_rights_until_the_address_is_verified(
    start_app: StartApp, sql: Sql, required: bool, role: str, rights: set[str]
) -> None:
    async with start_app(require_verified_email=required) as client:
        company = (await report(client, application_url="https://paper.example"))["assigned_company_id"]
        boss = await register(client, "boss", email="boss@paper.example")
        make_member(sql, boss, company, role="admin")
        ida = await register(client, "ida", email="ida@paper.example")
        added = await Team(client, company, boss).add(ida.email, role)
        assert (added.status_code, added.json()["member"]["effective"]) == (201, False)
        if not required:  # else they may not comment, either
            assert await Rights(client, company).of(ida) == set()
        refused(await Team(client, company, ida).list(), 403, "NOT_MEMBER")
        verify_address(sql, ida)
        assert await Rights(client, company).of(ida) == rights


async def test_the_mail_to_an_added_member_verifies_the_address(
    client: httpx.AsyncClient,
    sql: Sql,
    settings: Settings,
    company: str,
    boss: Person,
    ida: Person,
    run_jobs: RunJobs,
) -> None:
    sql.execute("DELETE FROM procrastinate_jobs")  # the link that their registration has asked for
    assert (await Team(client, company, boss).add("IDA@paper.example")).status_code == 201
    assert await run_jobs() == ["accounts.mail_link"]
    (mail,) = Postbox(settings.bugrelay_home).mails(ida.email)
    refused(await Team(client, company, ida).list(), 403, "NOT_MEMBER")
    token = link_in(mail).partition("token=")[2]
    assert (await client.get("/api/v1/auth/verify-email", params={"token": token})).status_code == 200
    assert (await Team(client, company, ida).list()).status_code == 200


async def test_no_mail_is_sent_to_verified_or_refused_members(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person, ida: Person, sign_up: SignUp
) -> None:
    await sign_up("sub", email="sub@mail.paper.example")
    team = Team(client, company, boss)
    sql.execute("DELETE FROM procrastinate_jobs")
    refused(await team.add("sub@mail.paper.example"), 400, "INVALID_DOMAIN")
    refused(await team.add("nobody@paper.example"), 404, "USER_NOT_FOUND")
    verify_address(sql, ida)
    assert (await team.add(ida.email)).json()["member"]["effective"] is True
    refused(await team.add(ida.email), 409, "ALREADY_MEMBER")
    assert sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)


async def test_a_member_over_the_mail_limit_is_added_without_a_mail(start_app: StartApp, sql: Sql) -> None:
    async with start_app(rate_limit_mail=Rate(2, 3600)) as client:
        company = (await report(client, application_url="https://paper.example"))["assigned_company_id"]
        boss = await register(client, "boss", email="boss@paper.example")
        make_member(sql, boss, company, role="admin")
        ida = await register(client, "ida", email="ida@paper.example")
        team = Team(client, company, boss)
        for _ in range(3):
            sql.execute("DELETE FROM procrastinate_jobs")
            assert (await team.add(ida.email)).status_code == 201
            assert (await team.remove(ida.id)).status_code == 200
        assert sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)


async def test_admins_alone_see_which_members_are_not_effective(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person, member: Person, ida: Person
) -> None:
    await Team(client, company, boss).add(ida.email)
    listed = (await Team(client, company, boss).list()).json()
    assert listed["pagination"]["total"] == 3
    assert {one["user"]["username"]: one["effective"] for one in listed["members"]} == {
        "boss": True,
        "mae": True,
        "ida": False,
    }
    page = (await Team(client, company, boss).list(limit=2, page=2)).json()
    assert [one["user"]["username"] for one in page["members"]] == ["ida"]
    theirs = (await Team(client, company, member).list()).json()
    assert theirs["pagination"]["total"] == 2
    assert [one["user"]["username"] for one in theirs["members"]] == ["boss", "mae"]
    assert all("effective" not in one for one in theirs["members"])
    changed = await Team(client, company, boss).change(ida.id, "admin")
    assert (changed.json()["member"]["role"], changed.json()["member"]["effective"]) == ("admin", False)
    verify_address(sql, ida)
    listed = (await Team(client, company, ida).list()).json()
    assert all(one["effective"] for one in listed["members"])


async def test_a_company_keeps_an_effective_admin(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person, ida: Person
) -> None:
    team = Team(client, company, boss)
    await team.add(ida.email, "admin")
    refused(await team.remove(boss.id), 409, "LAST_ADMIN")
    refused(await team.change(boss.id, "member"), 409, "LAST_ADMIN")
    assert (await team.change(ida.id, "member")).status_code == 200
    await team.change(ida.id, "admin")
    verify_address(sql, ida)
    assert (await team.remove(boss.id)).status_code == 200


@pytest.mark.parametrize(
    "loss", ["is_email_verified = false", "email = 'ida@ink.example', email_key = 'ida@ink.example'"]
)
async def test_a_member_without_the_verified_address_loses_the_rights(
    client: httpx.AsyncClient, sql: Sql, company: str, boss: Person, ida: Person, loss: str
) -> None:
    verify_address(sql, ida)
    await Team(client, company, boss).add(ida.email, "admin")
    assert (await Team(client, company, ida).list()).status_code == 200
    sql.execute(f"UPDATE users SET {loss} WHERE id = %s", (ida.id,))
    assert await Rights(client, company).of(ida) == set()
    refused(await Team(client, company, boss).remove(boss.id), 409, "LAST_ADMIN")


async def test_the_operators_word_needs_no_verified_address(
    client: httpx.AsyncClient, sql: Sql, settings: Settings, company: str, boss: Person, ida: Person
) -> None:
    """`bugrelay add-member` gives rights at once, also to users whom the team has added already."""
    await Team(client, company, boss).add(ida.email)
    refused(await Team(client, company, ida).list(), 403, "NOT_MEMBER")
    environment = TEST_ENVIRONMENT | {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "BUGRELAY_HOME": str(settings.bugrelay_home),
    }
    words = ["add-member", "--company", "paper.example", "--email", ida.email, "--role", "member"]
    done = await asyncio.to_thread(CliRunner().invoke, main, words, env=environment)
    assert done.exit_code == 0, done.output
    assert (await Team(client, company, ida).list()).status_code == 200
