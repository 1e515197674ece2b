"""Invitations: who may be invited to a company, and that nobody belongs to it before accepting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest

from bugrelay.domain.companies.service.invitations import invitation_token
from bugrelay.settings import Settings
from bugrelay.worker import all_tasks
from tests.api.v1.companies.conftest import Sql
from tests.api.v1.companies.test_tenant_users import Users, found
from tests.conftest import RunJobs, SignUp, StartApp
from tests.factories import Person, make_member, register, report
from tests.infra.mail.postbox import Postbox, link_in
from tests.responses import bad_fields, refused

REX = "Rex@Customer.example"


class Invitations:
    """Calls about invitations, as one person."""

    def __init__(self, client: httpx.AsyncClient, person: Person) -> None:
        self._client = client
        self._headers = person.headers

    async def add(self, email: str, role: str = "reporter") -> httpx.Response:
        body = {"email": email, "role": role}
        return await self._client.post("/api/v1/users", json=body, headers=self._headers)

    async def list(self, **query: Any) -> list[dict[str, Any]]:
        response = await self._client.get("/api/v1/invitations", params=query, headers=self._headers)
        assert response.status_code == 200, response.text
        invitations: list[dict[str, Any]] = response.json()["invitations"]
        return invitations

    async def withdraw(self, invitation_id: str) -> httpx.Response:
        return await self._client.delete(f"/api/v1/invitations/{invitation_id}", headers=self._headers)

    async def accept(self, token: str) -> httpx.Response:
        return await self._client.post(
            "/api/v1/invitations/accept", json={"token": token}, headers=self._headers
        )


@pytest.fixture
def by_boss(client: httpx.AsyncClient, boss: Person) -> Invitations:
    return Invitations(client, boss)


Invite = Callable[..., Awaitable[str]]


@pytest.fixture
def invite(by_boss: Invitations, settings: Settings) -> Invite:
    """`await invite(address)` gives the token of an invitation."""

    async def invite(email: str = REX, role: str = "reporter") -> str:
        response = await by_boss.add(email, role)
        assert response.status_code == 202, response.text
        return invitation_token(settings.signing_key, UUID(response.json()["invitation"]["id"]))

    return invite


SignUpVerified = Callable[[str, str], Awaitable[Person]]


@pytest.fixture
def verified(sign_up: SignUp, sql: Sql) -> SignUpVerified:
    """`await verified("rex", address)` is somebody who has verified that address."""

    async def verified(username: str, email: str) -> Person:
        person = await sign_up(username, email=email)
        sql.execute("UPDATE users SET is_email_verified = true WHERE id = %s", (person.id,))
        return person

    return verified


async def roles(client: httpx.AsyncClient, person: Person) -> list[str]:
    user = (await client.get("/api/v1/users/me", headers=person.headers)).json()["user"]
    return [membership["role"] for membership in user["company_memberships"]]


async def test_who_accepts_an_invitation_reports_to_the_company_from_then_on(
    client: httpx.AsyncClient,
    by_boss: Invitations,
    boss: Person,
    company: str,
    verified: SignUpVerified,
    run_jobs: RunJobs,
    postbox: Postbox,
    sql: Sql,
) -> None:
    rex = await verified("rex", REX.lower())
    answer = await by_boss.add(REX, "user")
    assert answer.status_code == 202, answer.text
    assert answer.json()["user"] is None
    (invitation,) = await by_boss.list()
    assert invitation == answer.json()["invitation"]
    assert (invitation["email"], invitation["role"], invitation["company_role"]) == (
        "Rex@customer.example", "user", "reporter",
    )  # fmt: skip
    assert invitation["inviter"] == {"id": boss.id, "username": "boss"}
    assert await roles(client, rex) == []
    assert "companies.mail_invitation" in await run_jobs()
    mail = await postbox.next("Rex@customer.example", subject="Invitation to paper.example")
    (token,) = parse_qs(urlsplit(link_in(mail)).query)["token"]
    assert token not in str(
        sql.execute("SELECT i, j FROM company_invitations i, procrastinate_jobs j").fetchall()
    )
    accepted = await Invitations(client, rex).accept(token)
    assert accepted.status_code == 200, accepted.text
    assert accepted.json()["company_id"] == company
    assert await roles(client, rex) == ["reporter"]
    assert await by_boss.list() == []
    refused(await Invitations(client, rex).accept(token), 400, "INVALID_LINK_TOKEN")
    events = sql.execute("SELECT data, actor_id::text FROM events WHERE type = 'member.changed'").fetchall()
    assert events == [({"change": "added", "user_id": rex.id, "role": "reporter"}, rex.id)]


async def test_the_page_of_the_link_has_a_button_and_accepts_for_the_account_at_the_address(
    client: httpx.AsyncClient, invite: Invite, verified: SignUpVerified, sql: Sql
) -> None:
    token = await invite()
    path, form = "/invitations/accept", {"token": token}
    shown = await client.get(path, params=form)
    assert shown.status_code == 200, shown.text
    assert "paper.example" in shown.text
    assert token in shown.text
    assert shown.headers["referrer-policy"] == "no-referrer"
    nobody = await client.post(path, data=form)
    assert (nobody.status_code, "no account" in nobody.text) == (404, True)
    rex = await verified("rex", REX)
    sql.execute("UPDATE users SET is_email_verified = false WHERE id = %s", (rex.id,))
    assert (await client.post(path, data=form)).status_code == 403
    assert await roles(client, rex) == []
    sql.execute("UPDATE users SET is_email_verified = true WHERE id = %s", (rex.id,))
    done = await client.post(path, data=form)
    assert done.status_code == 200, done.text
    assert await roles(client, rex) == ["reporter"]
    for again in (await client.get(path, params=form), await client.post(path, data=form)):
        assert again.status_code == 400
        assert "paper.example" not in again.text


async def test_users_at_the_domain_are_added_and_all_others_invited_with_the_same_response(
    client: httpx.AsyncClient,
    by_boss: Invitations,
    sign_up: SignUp,
    member: Person,
    ada: Person,
    other_boss: Person,
    run_jobs: RunJobs,
) -> None:
    cleo = await sign_up("cleo", email="cleo@paper.example")
    added = await by_boss.add("CLEO@paper.example", "MAINTAINER")
    assert added.status_code == 201, added.text
    assert added.json()["invitation"] is None
    assert (added.json()["user"]["id"], added.json()["user"]["role"]) == (cleo.id, "MAINTAINER")
    assert (await by_boss.add("new@paper.example", "admin")).status_code == 202
    unlike = [await by_boss.add(address) for address in (ada.email, "nobody@people.example")]
    assert [answer.status_code for answer in unlike] == [202, 202]
    assert [set(answer.json()["invitation"]) for answer in unlike] == [
        set(unlike[0].json()["invitation"])
    ] * 2
    for role in ("admin", "manager", "member"):
        for address in (other_boss.email, "nobody@elsewhere.example", "eve@mail.paper.example"):
            refused(await by_boss.add(address, role), 400, "INVALID_DOMAIN")
    for address in (member.email, "cleo@paper.example"):
        refused(await by_boss.add(address), 409, "ALREADY_MEMBER")
    assert bad_fields(await by_boss.add("nobody", "owner")) == ["email", "role"]
    refused(await Invitations(client, member).add("x@people.example"), 403, "INSUFFICIENT_PERMISSIONS")


async def test_a_link_is_good_for_its_own_verified_address_alone(
    client: httpx.AsyncClient, invite: Invite, verified: SignUpVerified, sign_up: SignUp, root: Person
) -> None:
    token = await invite()
    thief = await verified("thief", "thief@customer.example")
    refused(await Invitations(client, thief).accept(token), 400, "INVALID_LINK_TOKEN")
    squatter = await sign_up("squatter", email=REX)
    refused(await Invitations(client, squatter).accept(token), 403, "EMAIL_NOT_VERIFIED")
    refused(await Invitations(client, thief).accept("x" * 43), 400, "INVALID_LINK_TOKEN")
    for person in (thief, squatter):
        assert await roles(client, person) == []


async def test_a_newer_invitation_replaces_the_older(
    client: httpx.AsyncClient,
    invite: Invite,
    by_boss: Invitations,
    verified: SignUpVerified,
    run_jobs: RunJobs,
    postbox: Postbox,
) -> None:
    older, newer = await invite(REX), await invite(REX.lower())
    assert len(await by_boss.list()) == 1
    await run_jobs()
    assert len([mail for mail in postbox.mails() if "Invitation" in mail["Subject"]]) == 1
    rex = await verified("rex", REX)
    refused(await Invitations(client, rex).accept(older), 400, "INVALID_LINK_TOKEN")
    assert (await Invitations(client, rex).accept(newer)).status_code == 200


@pytest.mark.parametrize(
    "lost",
    [
        "UPDATE company_invitations SET expires_at = now()",
        "UPDATE companies SET verified = false",
        "UPDATE company_members SET role = 'member' WHERE role = 'admin'",
        "UPDATE company_members SET is_active = false",
        "UPDATE users SET banned_at = now() WHERE username = 'boss'",
        "DELETE FROM company_members",
    ],
)
async def test_an_invitation_counts_while_its_sender_may_invite(
    client: httpx.AsyncClient, invite: Invite, verified: SignUpVerified, sql: Sql, run_jobs: RunJobs,
    postbox: Postbox, lost: str,
) -> None:  # fmt: skip
    rex = await verified("rex", REX)
    token = await invite()
    sql.execute(lost)
    refused(await Invitations(client, rex).accept(token), 400, "INVALID_LINK_TOKEN")
    assert (await client.get("/invitations/accept", params={"token": token})).status_code == 400
    await run_jobs()
    assert not [mail for mail in postbox.mails() if "Invitation" in mail["Subject"]]
    assert await roles(client, rex) == []


async def test_a_former_invitation_does_not_restore_a_membership(
    client: httpx.AsyncClient, invite: Invite, boss: Person, by_boss: Invitations, verified: SignUpVerified,
    sql: Sql, company: str, root: Person,
) -> None:  # fmt: skip
    """For users who were removed or deactivated since, and for users whom a former team invited."""
    users = Users(client, boss)
    cleo_token = await invite("cleo@paper.example", "admin")
    cleo = await verified("cleo", "cleo@paper.example")
    assert (await by_boss.add(cleo.email)).status_code == 201
    refused(await Invitations(client, cleo).accept(cleo_token), 400, "INVALID_LINK_TOKEN")
    rex = await verified("rex", REX)
    assert (await Invitations(client, rex).accept(await invite())).status_code == 200
    sql.execute("UPDATE company_members SET email_key = NULL WHERE user_id = %s", (rex.id,))
    refused(await by_boss.add(REX), 409, "ALREADY_MEMBER")
    for person, token in ((cleo, cleo_token), (rex, "")):
        await users.change(person.id, is_active=False)
        refused(await by_boss.add(person.email), 409, "ALREADY_MEMBER")
        await users.remove(person.id)
        refused(await Invitations(client, person).accept(token or "x"), 400, "INVALID_LINK_TOKEN")
    assert found(await users.list()) == [("boss", "admin")]
    token = await invite()
    act = await client.post(
        f"/api/v1/admin/companies/{company}/unverify", json={"reason": "A doubt"}, headers=root.headers
    )
    assert act.status_code == 200, act.text
    refused(await Invitations(client, rex).accept(token), 400, "INVALID_LINK_TOKEN")


async def test_two_invitations_accepted_at_once_make_one_membership(
    client: httpx.AsyncClient, invite: Invite, verified: SignUpVerified, sql: Sql, rounds: int
) -> None:
    for round_ in range(rounds):
        rex = await verified(f"rex{round_}", f"rex{round_}@customer.example")
        token = await invite(rex.email)
        answers = await asyncio.gather(
            *(Invitations(client, rex).accept(token) for _ in range(3)),
            client.post("/invitations/accept", data={"token": token}),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
        assert await roles(client, rex) == ["reporter"]
    assert sql.execute("SELECT count(*) FROM events WHERE type = 'member.changed'").fetchone() == (rounds,)


async def test_an_admin_who_is_demoted_while_inviting_has_invited_nobody(
    client: httpx.AsyncClient, boss: Person, member: Person, by_boss: Invitations, sql: Sql
) -> None:
    """Whichever comes first: no invitation of theirs can be accepted afterwards."""
    sql.execute("UPDATE company_members SET role = 'admin'")
    by_mae = Invitations(client, member)
    for round_ in range(10):
        demoted, invited = await asyncio.gather(
            Users(client, boss).change(member.id, role="manager"), by_mae.add(f"p{round_}@customer.example")
        )
        assert demoted.status_code == 200, demoted.text
        assert invited.status_code in (202, 403, 404)
        assert await by_boss.list() == []
        assert (await Users(client, boss).change(member.id, role="admin")).status_code == 200
        sql.execute("DELETE FROM company_invitations")


async def test_the_banned_accept_nothing(
    client: httpx.AsyncClient, invite: Invite, verified: SignUpVerified, sql: Sql
) -> None:
    rex = await verified("rex", REX)
    token = await invite()
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (rex.id,))
    refused(await Invitations(client, rex).accept(token), 403, "ACCOUNT_BANNED")
    assert (await client.post("/invitations/accept", data={"token": token})).status_code == 403
    assert sql.execute("SELECT count(*) FROM company_members WHERE user_id = %s", (rex.id,)).fetchone() == (
        0,
    )


async def test_admins_withdraw_what_their_own_company_has_sent(
    client: httpx.AsyncClient,
    invite: Invite,
    by_boss: Invitations,
    member: Person,
    other_boss: Person,
    verified: SignUpVerified,
) -> None:
    token = await invite()
    (invitation,) = await by_boss.list()
    by_other = Invitations(client, other_boss)
    assert await by_other.list() == []
    refused(await by_other.withdraw(invitation["id"]), 404, "INVITATION_NOT_FOUND")
    by_member = await Invitations(client, member).withdraw(invitation["id"])
    refused(by_member, 403, "INSUFFICIENT_PERMISSIONS")
    assert (await by_boss.withdraw(invitation["id"])).status_code == 200
    refused(await by_boss.withdraw(invitation["id"]), 404, "INVITATION_NOT_FOUND")
    rex = await verified("rex", REX)
    refused(await Invitations(client, rex).accept(token), 400, "INVALID_LINK_TOKEN")


async def test_two_companies_invite_one_person_who_then_names_the_one_they_mean(
    client: httpx.AsyncClient,
    invite: Invite,
    other_boss: Person,
    verified: SignUpVerified,
    settings: Settings,
) -> None:
    rex = await verified("rex", REX)
    sent = await Invitations(client, other_boss).add(REX)
    other = invitation_token(settings.signing_key, UUID(sent.json()["invitation"]["id"]))
    for token in (await invite(), other):
        assert (await Invitations(client, rex).accept(token)).status_code == 200
    assert await roles(client, rex) == ["reporter", "reporter"]
    refused(await Users(client, rex).list(), 400, "COMPANY_REQUIRED")


async def test_invitations_are_limited_by_address_and_by_sender(
    start_app: StartApp, fresh_counts: None, sql: Sql
) -> None:
    """By the limit of mails, and three a day from one company to one address."""
    async with start_app() as client:
        boss = await register(client, "boss", email="boss@paper.example")
        bug = await report(client, application_name="Paper", application_url="https://app.paper.example")
        make_member(sql, boss, bug["assigned_company_id"], role="admin")
        invitations = Invitations(client, boss)
        answers = [await invitations.add(REX) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
        refused(answers[-1], 429, "RATE_LIMIT_EXCEEDED")
        assert int(answers[-1].headers["retry-after"]) > 3600
        assert len(await invitations.list()) == 1
        assert (await invitations.add("another@customer.example")).status_code == 202


async def test_expired_invitations_are_deleted(invite: Invite, sql: Sql, platform: Any) -> None:
    await invite()
    await invite("another@customer.example")
    sql.execute("UPDATE company_invitations SET expires_at = now() WHERE email_key = lower(%s)", (REX,))
    await all_tasks().periodic["companies.delete_expired_invitations"].task(platform)
    assert sql.execute("SELECT email FROM company_invitations").fetchall() == [("another@customer.example",)]
