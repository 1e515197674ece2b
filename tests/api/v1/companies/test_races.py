"""What must hold when many do it at once; one violation fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import httpx
import pytest

from bugrelay.domain.bugs.schemas import ReportBug
from bugrelay.domain.bugs.service.reporting import report_bug
from bugrelay.domain.companies.repository import lock_role_of
from bugrelay.domain.companies.service.claims import claim_token
from bugrelay.domain.companies.service.team import remove_from_team
from bugrelay.infra.platform import Platform
from bugrelay.infra.viewer import ANONYMOUS
from bugrelay.settings import Settings
from tests.api.v1.companies.conftest import Sql
from tests.conftest import SignUp
from tests.factories import Person, make_member, report
from tests.locks import until_somebody_waits_for_a_lock


def counted(statuses: list[int]) -> dict[int, int]:
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def members_of(sql: Sql, company: str) -> list[tuple[str, str]]:
    rows = sql.execute("SELECT user_id, role FROM company_members WHERE company_id = %s", (company,))
    return [(str(user_id), role) for user_id, role in rows]


@pytest.fixture
async def ten(sign_up: SignUp) -> list[Person]:
    return [await sign_up(f"person{n}", email=f"person{n}@paper.example") for n in range(10)]


async def test_ten_valid_claims_verified_at_once_make_one_first_admin(
    client: httpx.AsyncClient, sql: Sql, settings: Settings, company: str, ten: list[Person], rounds: int
) -> None:
    path = f"/api/v1/companies/{company}"

    async def claim(person: Person) -> str:
        response = await client.post(f"{path}/claim", json={"email": person.email}, headers=person.headers)
        return claim_token(settings.signing_key, UUID(response.json()["claim"]["id"]))

    async def verify(person: Person, token: str) -> int:
        return (
            await client.post(f"{path}/verify", json={"token": token}, headers=person.headers)
        ).status_code

    for _ in range(rounds):
        tokens = await asyncio.gather(*(claim(person) for person in ten))
        statuses = await asyncio.gather(*(verify(*pair) for pair in zip(ten, tokens, strict=True)))
        assert counted(statuses) == {200: 1, 409: 9}
        assert members_of(sql, company) == [(ten[statuses.index(200)].id, "admin")]
        sql.execute("DELETE FROM company_members")
        sql.execute("UPDATE companies SET verified = false, verified_at = NULL")


async def test_one_token_sent_ten_times_at_once_is_good_once(
    client: httpx.AsyncClient, sql: Sql, settings: Settings, company: str, ten: list[Person], rounds: int
) -> None:
    ada, path = ten[0], f"/api/v1/companies/{company}"
    for _ in range(rounds):
        opened = await client.post(f"{path}/claim", json={"email": ada.email}, headers=ada.headers)
        token = claim_token(settings.signing_key, UUID(opened.json()["claim"]["id"]))
        answers = await asyncio.gather(
            *(client.post(f"{path}/verify", json={"token": token}, headers=ada.headers) for _ in range(10))
        )
        assert counted([answer.status_code for answer in answers]) == {200: 1, 400: 9}
        sql.execute("UPDATE companies SET verified = false, verified_at = NULL")


async def test_claims_of_one_user_at_once_leave_one(
    client: httpx.AsyncClient, sql: Sql, company: str, ten: list[Person], rounds: int
) -> None:
    ada, path = ten[0], f"/api/v1/companies/{company}/claim"
    for _ in range(rounds):
        answers = await asyncio.gather(
            *(client.post(path, json={"email": ada.email}, headers=ada.headers) for _ in range(5))
        )
        assert counted([answer.status_code for answer in answers]) == {200: 5}
        assert sql.execute("SELECT count(*) FROM company_claims").fetchone() == (1,)


Change = Callable[[httpx.AsyncClient, str, Person, Person], Awaitable[httpx.Response]]


def remove(
    client: httpx.AsyncClient, company: str, actor: Person, target: Person
) -> Awaitable[httpx.Response]:
    path = f"/api/v1/companies/{company}/members"
    return client.request("DELETE", path, json={"user_id": target.id}, headers=actor.headers)


def demote(
    client: httpx.AsyncClient, company: str, actor: Person, target: Person
) -> Awaitable[httpx.Response]:
    path = f"/api/v1/companies/{company}/members/{target.id}"
    return client.patch(path, json={"role": "member"}, headers=actor.headers)


@pytest.mark.parametrize("change", [remove, demote])
@pytest.mark.parametrize(
    "targets", [(1, 0), (0, 1), (0, 0)], ids=["each other", "themselves", "the same one"]
)
async def test_two_admins_at_once_leave_one(
    client: httpx.AsyncClient,
    sql: Sql,
    company: str,
    ten: list[Person],
    change: Change,
    targets: tuple[int, int],
    rounds: int,
) -> None:
    two = ten[:2]
    for _ in range(rounds):
        sql.execute("DELETE FROM company_members")
        for person in two:
            make_member(sql, person, company, role="admin")
        answers = await asyncio.gather(
            *(change(client, company, actor, two[at]) for actor, at in zip(two, targets, strict=True))
        )
        admins = [user_id for user_id, role in members_of(sql, company) if role == "admin"]
        assert len(admins) == 1
        assert {answer.status_code for answer in answers} <= {200, 403, 404, 409}
        assert 200 in {answer.status_code for answer in answers}


async def test_one_user_added_twenty_times_at_once_is_one_member(
    client: httpx.AsyncClient, sql: Sql, company: str, ten: list[Person], rounds: int
) -> None:
    boss, ida = ten[:2]
    make_member(sql, boss, company, role="admin")
    path = f"/api/v1/companies/{company}/members"
    for _ in range(rounds):
        answers = await asyncio.gather(
            *(
                client.post(path, json={"email": ida.email, "role": "member"}, headers=boss.headers)
                for _ in range(20)
            )
        )
        assert counted([answer.status_code for answer in answers]) == {201: 1, 409: 19}
        assert sorted(members_of(sql, company)) == sorted([(boss.id, "admin"), (ida.id, "member")])
        sql.execute("DELETE FROM company_members WHERE user_id = %s", (ida.id,))


async def test_bugs_reported_while_their_application_is_linked_all_follow(
    client: httpx.AsyncClient, sql: Sql, company: str, root: Person, rounds: int
) -> None:
    for position in range(rounds):
        name = f"Slack {position}"
        first = await report(client, application_name=name)
        path = f"/api/v1/companies/{company}/applications/{first['application_id']}"
        linked, *_ = await asyncio.gather(
            client.post(path, headers=root.headers),
            *(report(client, application_name=name) for _ in range(5)),
        )
        assert linked.status_code == 200
        rows = sql.execute(
            "SELECT assigned_company_id, count(*) FROM bugs WHERE application_id = %s GROUP BY 1",
            (first["application_id"],),
        ).fetchall()
        assert [(str(company_id), count) for company_id, count in rows] == [(company, 6)]


async def test_a_member_who_answers_while_being_removed_does_it_before_or_not_at_all(
    client: httpx.AsyncClient, sql: Sql, company: str, ten: list[Person], rounds: int
) -> None:
    boss, ida = ten[:2]
    (bug,) = (await client.get("/api/v1/bugs")).json()["bugs"]
    make_member(sql, boss, company, role="admin")
    for _ in range(rounds):
        make_member(sql, ida, company)
        removed, *changed = await asyncio.gather(
            client.request(
                "DELETE",
                f"/api/v1/companies/{company}/members",
                json={"user_id": ida.id},
                headers=boss.headers,
            ),
            *(
                client.patch(f"/api/v1/bugs/{bug['id']}/status", json={"status": status}, headers=ida.headers)
                for status in ("fixed", "open", "reviewing")
            ),
        )
        assert removed.status_code == 200
        assert {answer.status_code for answer in changed} <= {200, 403}
        late = await client.patch(
            f"/api/v1/bugs/{bug['id']}/status", json={"status": "open"}, headers=ida.headers
        )
        assert late.status_code == 403


async def test_a_link_waits_for_a_report_that_is_under_way(
    client: httpx.AsyncClient, company: str, root: Person, platform: Platform
) -> None:
    """The same as above, held at the one moment that matters."""
    first = await report(client, application_name="Slack")
    path = f"/api/v1/companies/{company}/applications/{first['application_id']}"
    wanted = ReportBug(title="Under way", description="While it is linked", application_name="Slack")
    async with platform.work() as work:
        reported = await report_bug(work, ANONYMOUS, wanted)
        linking = asyncio.create_task(client.post(path, headers=root.headers))
        await asyncio.sleep(0.3)
        assert not linking.done()
    assert (await linking).status_code == 200
    shown = (await client.get(f"/api/v1/bugs/{reported.id}", headers=root.headers)).json()["bug"]
    assert shown["assigned_company_id"] == company


async def test_a_removal_waits_for_an_answer_that_is_under_way(
    client: httpx.AsyncClient, sql: Sql, company: str, ten: list[Person], platform: Platform
) -> None:
    boss, ida = ten[:2]
    make_member(sql, boss, company, role="admin")
    make_member(sql, ida, company)
    async with platform.work() as work:
        role = await lock_role_of(work, user_id=UUID(ida.id), company_id=UUID(company))
        assert role == "member"
        removing = asyncio.create_task(
            client.request(
                "DELETE",
                f"/api/v1/companies/{company}/members",
                json={"user_id": ida.id},
                headers=boss.headers,
            )
        )
        await asyncio.sleep(0.3)
        assert not removing.done()
    assert (await removing).status_code == 200


async def test_a_response_is_corrected_before_its_author_leaves_or_not_at_all(
    client: httpx.AsyncClient, sql: Sql, company: str, ten: list[Person], platform: Platform
) -> None:
    """Held at the one moment that matters: the removal is under way, and not committed."""
    boss, ida = ten[:2]
    make_member(sql, boss, company, role="admin")
    make_member(sql, ida, company)
    (bug,) = (await client.get("/api/v1/bugs")).json()["bugs"]
    written = await client.post(
        f"/api/v1/bugs/{bug['id']}/comments", json={"content": "We look into it"}, headers=ida.headers
    )
    path = f"/api/v1/comments/{written.json()['comment']['id']}"
    async with platform.work() as work:
        await remove_from_team(work, UUID(company), actor_id=UUID(boss.id), user_id=UUID(ida.id))
        changes = [
            asyncio.create_task(client.patch(path, json={"content": "We do not"}, headers=ida.headers)),
            asyncio.create_task(client.delete(path, headers=ida.headers)),
        ]
        await until_somebody_waits_for_a_lock(sql)
    assert {(await change).status_code for change in changes} == {403}
    (comment,) = (await client.get(f"/api/v1/bugs/{bug['id']}/comments")).json()["comments"]
    assert comment["content"] == "We look into it"
