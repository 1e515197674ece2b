"""Each change is recorded as a fact, once, where it is made: a subscriber could rebuild the board from them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from bugrelay.domain.accounts.events import AccountErased, PasswordChanged, ProfileChanged
from bugrelay.domain.bugs.events import (
    AttachmentRemoved,
    BugEdited,
    BugMerged,
    BugReassigned,
    BugRemoved,
    BugReported,
    BugUnmerged,
    CommentRemoved,
    ResponseAdded,
    StatusChanged,
    VotesReinstated,
    VotesSuspended,
)
from bugrelay.domain.companies.events import (
    ApplicationAssigned,
    CompanyClaimed,
    CompanyEdited,
    MemberAdded,
    MemberLeft,
    MemberRoleChanged,
)
from bugrelay.domain.companies.repository import open_claim
from bugrelay.domain.companies.service.claims import complete_by_proof
from bugrelay.domain.moderation.events import UserBanned
from bugrelay.infra.platform import Platform
from tests.api.v1.moderation.acts import WHY, Moderator, comment, picture, vote
from tests.conftest import SignUp
from tests.domain.conftest import Heard
from tests.factories import PASSWORD, Person, make_member, report

Sql = psycopg.Connection[Any]


@pytest.fixture
def client(listened_client: httpx.AsyncClient) -> httpx.AsyncClient:
    return listened_client


@pytest.fixture
def moderator(client: httpx.AsyncClient, admin: Person) -> Moderator:
    return Moderator(client, admin)


async def call(
    client: httpx.AsyncClient, person: Person, method: str, path: str, body: Any = None
) -> dict[str, Any]:
    response = await client.request(method, f"/api/v1{path}", json=body, headers=person.headers)
    assert response.is_success, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_the_first_report_adds_a_company_an_application_and_a_bug(
    client: httpx.AsyncClient, ada: Person, heard: Heard
) -> None:
    bug = await report(client, ada, application_url="https://app.paper.example", tags=["draft"])
    fact = heard.last(BugReported)
    assert fact == BugReported(
        bug_id=UUID(bug["id"]),
        company_id=UUID(bug["assigned_company_id"]),
        application_id=UUID(bug["application_id"]),
        title=bug["title"],
        status="open",
        priority="medium",
        tags=("draft",),
        actor_id=UUID(ada.id),
    )
    assert heard.names() == ["AccountRegistered", "CompanyAdded", "ApplicationAdded", "BugReported"]
    await report(client, application_url="https://app.paper.example")
    assert heard.last(BugReported).actor_id is None
    assert heard.names() == ["BugReported"]


async def test_an_edit_has_its_fields_and_short_former_values(
    client: httpx.AsyncClient, ada: Person, heard: Heard, sql: Sql
) -> None:
    bug = await report(client, ada, description="long " * 60, tags=["a", "b"])
    heard.names()
    change = {
        "title": "Another title",
        "description": "It is short now",
        "tags": ["c"],
        "device_type": "phone",
    }
    await call(client, ada, "PATCH", f"/bugs/{bug['id']}", change)
    fact = heard.last(BugEdited)
    assert set(fact.fields) == set(change)
    assert fact.former == {"title": bug["title"], "tags": ["a", "b"], "device_type": None}
    assert sql.execute("SELECT count(*) FROM bug_edits WHERE id = %s", (fact.edit_id,)).fetchone() == (1,)
    assert heard.names() == ["BugEdited"]
    await call(client, ada, "PATCH", f"/bugs/{bug['id']}", change)
    assert heard.names() == []


async def test_a_status_has_a_former_one_and_the_same_one_is_no_fact(
    client: httpx.AsyncClient, member: Person, bug: dict[str, Any], heard: Heard
) -> None:
    heard.names()
    for status in ("fixed", "fixed"):
        await call(client, member, "PATCH", f"/bugs/{bug['id']}/status", {"status": status})
    fact = heard.last(StatusChanged)
    assert (fact.old, fact.new, fact.actor_id) == ("open", "fixed", UUID(member.id))
    assert fact.company_id == fact.answering_company_id == UUID(bug["assigned_company_id"])
    assert heard.names() == ["StatusChanged"]


async def test_comments_and_responses_are_added_edited_and_withdrawn(
    client: httpx.AsyncClient, ada: Person, member: Person, bug: dict[str, Any], heard: Heard
) -> None:
    heard.names()
    said = await comment(client, ada, bug["id"], "Me too")
    answered = await comment(client, member, bug["id"], "We are on it")
    fact = heard.last(ResponseAdded)
    assert fact.comment_id == UUID(answered)
    assert fact.company_id == fact.answering_company_id == UUID(bug["assigned_company_id"])
    await call(client, ada, "PATCH", f"/comments/{said}", {"content": "Me too!"})
    await call(client, ada, "DELETE", f"/comments/{said}")
    assert {fact.bug_id for fact in heard.facts} == {UUID(bug["id"])}
    assert {fact.company_id for fact in heard.facts} == {UUID(bug["assigned_company_id"])}
    assert heard.names() == ["CommentAdded", "ResponseAdded", "CommentEdited", "CommentWithdrawn"]


async def test_pictures_come_and_go(client: httpx.AsyncClient, ada: Person, heard: Heard) -> None:
    bug = await report(client, ada)
    heard.names()
    files = {"file": ("a.png", picture(), "image/png")}
    path = f"/api/v1/bugs/{bug['id']}/attachments"
    added = (await client.post(path, files=files, headers=ada.headers)).json()["attachment"]
    await call(client, ada, "DELETE", f"/bugs/{bug['id']}/attachments/{added['id']}")
    assert heard.last(AttachmentRemoved).attachment_id == UUID(added["id"])
    assert heard.names() == ["AttachmentAdded", "AttachmentRemoved"]


async def test_moderation_of_bugs_and_comments_names_the_chain(
    client: httpx.AsyncClient, ada: Person, moderator: Moderator, admin: Person, heard: Heard
) -> None:
    source, target = [(await report(client, ada))["id"] for _ in range(2)]
    said = await comment(client, ada, source, "Me too")
    await vote(client, ada, source)
    heard.names()
    await moderator.merge(source, target)
    merged = heard.last(BugMerged)
    assert (merged.bug_id, merged.target_id, merged.actor_id) == (
        *map(UUID, (source, target)),
        UUID(admin.id),
    )
    await moderator.remove(source)
    assert heard.last(BugRemoved).chain == (UUID(source), UUID(target))
    await moderator.restore(source)
    await moderator.unmerge(source)
    assert heard.last(BugUnmerged).chain == (UUID(source), UUID(target))
    await moderator.done("DELETE", f"comments/{said}", WHY)
    assert heard.last(CommentRemoved).bug_id == UUID(source)
    await moderator.done("POST", f"comments/{said}/restore", WHY)
    await moderator.done("POST", f"bugs/{source}/flag", WHY)
    assert heard.names() == [
        "BugMerged",
        "BugRemoved",
        "BugRestored",
        "BugUnmerged",
        "CommentRemoved",
        "CommentRestored",
        "BugFlagged",
    ]


async def test_a_ban_suspends_votes_and_its_end_reinstates_them(
    client: httpx.AsyncClient, ada: Person, moderator: Moderator, admin: Person, heard: Heard
) -> None:
    bugs = {UUID((await report(client))["id"]) for _ in range(2)}
    for bug_id in bugs:
        await vote(client, ada, str(bug_id))
    heard.names()
    await moderator.ban(ada.id)
    suspended = heard.last(VotesSuspended)
    assert (suspended.user_id, set(suspended.bug_ids)) == (UUID(ada.id), bugs)
    await moderator.ban(ada.id, until="2126-01-01T00:00:00Z")
    assert heard.last(UserBanned).until is not None
    await moderator.unban(ada.id)
    assert set(heard.last(VotesReinstated).bug_ids) == bugs
    await moderator.unban(ada.id)
    assert heard.names() == ["UserBanned", "VotesSuspended", "UserBanned", "UserUnbanned", "VotesReinstated"]


async def test_a_team_and_a_profile_change(
    client: httpx.AsyncClient, sign_up: SignUp, bug: dict[str, Any], sql: Sql, heard: Heard
) -> None:
    company_id = UUID(bug["assigned_company_id"])
    boss, mae = [await sign_up(name, email=f"{name}@paper.example") for name in ("boss", "mae")]
    make_member(sql, boss, str(company_id), role="admin")
    heard.names()
    path = f"/companies/{company_id}"
    await call(client, boss, "POST", f"{path}/members", {"email": mae.email, "role": "member"})
    added = heard.last(MemberAdded)
    assert (added.user_id, added.role, added.counts_at_once) == (UUID(mae.id), "member", False)
    await call(client, boss, "PATCH", f"{path}/members/{mae.id}", {"role": "admin"})
    assert heard.last(MemberRoleChanged).role == "admin"
    await call(client, boss, "DELETE", f"{path}/members", {"user_id": mae.id})
    left = heard.last(MemberLeft)
    assert (left.user_id, left.actor_id) == (UUID(mae.id), UUID(boss.id))
    await call(client, boss, "PATCH", path, {"name": "Paper Inc."})
    assert heard.last(CompanyEdited).fields == ("name",)
    assert heard.names() == ["MemberAdded", "MemberRoleChanged", "MemberLeft", "CompanyEdited"]


async def test_a_claim_begins_a_new_team(
    client: httpx.AsyncClient,
    platform: Platform,
    ada: Person,
    sign_up: SignUp,
    bug: dict[str, Any],
    heard: Heard,
    sql: Sql,
) -> None:
    company_id, former = bug["assigned_company_id"], await sign_up("former")
    make_member(sql, former, company_id)
    sql.execute("UPDATE companies SET verified = false WHERE id = %s", (company_id,))
    heard.names()
    opened = await call(client, ada, "POST", f"/companies/{company_id}/claim", {"method": "dns"})
    assert heard.names() == ["ClaimOpened"]
    claim = await open_claim(platform.database, UUID(opened["claim"]["id"]))
    assert claim is not None
    heard.listen(platform.bus)
    async with platform.work() as work:
        await complete_by_proof(work, claim)
    assert heard.last(MemberLeft).user_id == UUID(former.id)
    assert heard.last(MemberAdded).user_id == heard.last(CompanyClaimed).actor_id == UUID(ada.id)
    assert heard.names() == ["MemberLeft", "CompanyVerified", "MemberAdded", "CompanyClaimed"]


async def test_a_company_is_verified_unverified_and_linked(
    client: httpx.AsyncClient, bug: dict[str, Any], moderator: Moderator, heard: Heard
) -> None:
    heard.names()
    company = f"companies/{bug['assigned_company_id']}"
    await moderator.done("POST", f"{company}/verify", WHY)
    await moderator.done("POST", f"{company}/unverify", WHY)
    body = WHY | {"company_id": None}
    await moderator.done("PATCH", f"applications/{bug['application_id']}", body)
    fact = heard.last(ApplicationAssigned)
    assert (fact.company_id, fact.former_company_id) == (None, UUID(bug["assigned_company_id"]))
    followed = heard.last(BugReassigned)
    assert (followed.bug_id, followed.company_id) == (UUID(bug["id"]), None)
    assert heard.names() == ["CompanyVerified", "CompanyUnverified", "ApplicationAssigned", "BugReassigned"]


async def test_an_account_lives_and_is_erased(client: httpx.AsyncClient, ada: Person, heard: Heard) -> None:
    await call(client, ada, "PUT", "/auth/profile", {"display_name": "Ada", "username": "ada2"})
    assert set(heard.last(ProfileChanged).fields) == {"display_name", "username"}
    new = "another horse battery staple"
    body = {"current_password": PASSWORD, "new_password": new}
    await call(client, ada, "PUT", "/auth/password", body)
    assert heard.last(PasswordChanged) == PasswordChanged(user_id=UUID(ada.id), by_link=False)
    await call(client, ada, "DELETE", "/users/me", {"password": new})
    assert heard.last(AccountErased).user_id == UUID(ada.id)
    assert heard.names() == ["AccountRegistered", "ProfileChanged", "PasswordChanged", "AccountErased"]


async def test_what_a_subscriber_refuses_is_not_done(
    client: httpx.AsyncClient, ada: Person, bug: dict[str, Any], heard: Heard, sql: Sql
) -> None:
    heard.refuses = True
    path = f"/api/v1/bugs/{bug['id']}/comments"
    response = await client.post(path, json={"content": "Me too"}, headers=ada.headers)
    assert response.status_code == 500
    assert sql.execute("SELECT count(*) FROM comments").fetchone() == (0,)
