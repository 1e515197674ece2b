"""Lists of companies and applications: results, totals, and which requests are answered from the cache."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest

from bugrelay.infra.redis.local_cache import LOCAL_SECONDS
from tests.api.v1.companies.conftest import Sql
from tests.factories import Person, make_member, report
from tests.pace import undisturbed
from tests.responses import bad_fields


async def reported(client: httpx.AsyncClient, *hosts: str) -> dict[str, dict[str, Any]]:
    """One bug for each host, by host."""
    return {
        host: await report(client, application_name=f"App {host}", application_url=f"https://{host}")
        for host in hosts
    }


def domains(response: httpx.Response) -> list[str]:
    return [one["domain"] for one in response.json()["companies"]]


async def test_companies_are_listed_by_name_each_exactly_once(client: httpx.AsyncClient, sql: Sql) -> None:
    await reported(client, "ink.example", "chalk.example", "paper.example")
    sql.execute("UPDATE companies SET name = 'Same'")
    seen = []
    for page in (1, 2, 3):
        answer = (await client.get("/api/v1/companies", params={"page": page, "limit": 1})).json()
        assert answer["pagination"] == {
            "page": page, "limit": 1, "total": 3, "total_pages": 3, "has_next": page < 3, "has_prev": page > 1,
        }  # fmt: skip
        seen += [one["domain"] for one in answer["companies"]]
    assert sorted(seen) == ["chalk.example", "ink.example", "paper.example"]
    beyond = (await client.get("/api/v1/companies", params={"page": 9})).json()
    assert (beyond["companies"], beyond["pagination"]["total"]) == ([], 3)
    sql.execute("UPDATE companies SET name = upper(domain) WHERE domain = 'ink.example'")
    sql.execute("UPDATE companies SET name = domain WHERE domain <> 'ink.example'")
    answer = await client.get("/api/v1/companies", params={"limit": 50})
    assert domains(answer) == ["chalk.example", "ink.example", "paper.example"]


async def test_a_search_finds_part_of_the_name_or_the_domain_without_case(
    client: httpx.AsyncClient, sql: Sql
) -> None:
    await reported(client, "ink.example", "chalk.example")
    sql.execute("UPDATE companies SET name = '100% Inkwell_Ltd' WHERE domain = 'ink.example'")

    async def found(search: str) -> list[str]:
        return domains(await client.get("/api/v1/companies", params={"search": search}))

    assert await found("INKWELL") == ["ink.example"]
    assert await found("CHALK.ex") == ["chalk.example"]
    assert await found("example") == ["ink.example", "chalk.example"]
    assert await found("0%") == ["ink.example"]
    assert await found("l_l") == ["ink.example"]
    assert await found("%") == ["ink.example"]
    assert await found("c_alk") == []
    assert await found("\\") == []


async def test_companies_are_filtered_by_verification(
    client: httpx.AsyncClient, sql: Sql, ada: Person
) -> None:
    bugs = await reported(client, "ink.example", "chalk.example")
    make_member(sql, ada, bugs["ink.example"]["assigned_company_id"])
    assert domains(await client.get("/api/v1/companies?verified=true")) == ["ink.example"]
    assert domains(await client.get("/api/v1/companies?verified=false")) == ["chalk.example"]
    both = await client.get("/api/v1/companies?verified=true&search=chalk")
    assert (both.json()["companies"], both.json()["pagination"]["total"]) == ([], 0)


@pytest.mark.parametrize("thing", ["companies", "applications"])
async def test_queries_that_do_not_fit_are_refused(client: httpx.AsyncClient, thing: str) -> None:
    query = {"page": "0", "limit": "101", "search": "x" * 256, "verified": "maybe", "company_id": "paper"}
    extra = {"companies": ["verified"], "applications": ["company_id"]}[thing]
    response = await client.get(f"/api/v1/{thing}", params=query)
    assert bad_fields(response) == sorted(["limit", "page", "search", *extra])
    assert bad_fields(await client.get(f"/api/v1/{thing}", params={"page": 10**18})) == ["page"]


async def test_counts_are_of_visible_bugs_by_status(client: httpx.AsyncClient, sql: Sql, ada: Person) -> None:
    bugs = [
        await report(client, application_name="Ink", application_url="https://ink.example") for _ in range(7)
    ]
    other = await report(client, application_name="Chalk", application_url="https://chalk.example")
    for bug, status in zip(
        bugs, ["open", "open", "reviewing", "fixed", "wont_fix", "fixed", "fixed"], strict=True
    ):
        sql.execute("UPDATE bugs SET status = %s WHERE id = %s", (status, bug["id"]))
    sql.execute("UPDATE bugs SET removed_at = now() WHERE id = %s", (bugs[5]["id"],))
    sql.execute("UPDATE bugs SET merged_into_id = %s WHERE id = %s", (bugs[0]["id"], bugs[6]["id"]))
    expected = {"total": 5, "open": 2, "reviewing": 1, "fixed": 1, "wont_fix": 1}

    listed = (await client.get("/api/v1/companies", headers=ada.headers)).json()["companies"]
    assert {one["domain"]: one["bug_stats"]["total"] for one in listed} == {
        "ink.example": 5,
        "chalk.example": 1,
    }
    one = await client.get(f"/api/v1/companies/{bugs[0]['assigned_company_id']}", headers=ada.headers)
    assert one.json()["company"]["bug_stats"] == expected
    applications = (await client.get("/api/v1/applications", headers=ada.headers)).json()["applications"]
    assert [(one["name"], one["bug_stats"]["total"]) for one in applications] == [("Chalk", 1), ("Ink", 5)]
    single = await client.get(f"/api/v1/applications/{bugs[0]['application_id']}", headers=ada.headers)
    assert single.json()["application"]["bug_stats"] == expected
    assert other["application_id"] != bugs[0]["application_id"]


async def test_an_application_is_shown_with_its_company(client: httpx.AsyncClient, ada: Person) -> None:
    with_url = await report(client, application_name="Ink", application_url="https://app.ink.example/x")
    without = await report(client, application_name="Ink")
    shown = (await client.get(f"/api/v1/applications/{with_url['application_id']}")).json()["application"]
    assert shown["name"] == "Ink"
    assert (shown["url"], shown["domain"]) == ("https://app.ink.example/x", "ink.example")
    assert shown["company"] == with_url["assigned_company"]
    assert shown["company_id"] == with_url["assigned_company_id"]
    bare = (await client.get(f"/api/v1/applications/{without['application_id']}")).json()["application"]
    assert (bare["url"], bare["domain"], bare["company_id"], bare["company"]) == (None, None, None, None)


async def test_applications_are_found_by_part_of_the_name_and_by_company(client: httpx.AsyncClient) -> None:
    for name in ("Straße 100%", "Pencil", "pencil case"):
        bug = await report(client, application_name=name, application_url="https://paper.example")
    await report(client, application_name="Pencil")

    async def found(**query: str) -> list[str]:
        response = await client.get("/api/v1/applications", params=query)
        answer = response.json()
        assert answer["pagination"]["total"] == len(answer["applications"])
        return [one["name"] for one in answer["applications"]]

    assert await found(search="PENCIL") == ["Pencil", "Pencil", "pencil case"]
    assert await found(search="STRASSE") == ["Straße 100%"]
    assert await found(search="0%") == ["Straße 100%"]
    assert await found(search="e_c") == []
    assert await found(company_id=bug["assigned_company_id"]) == ["Pencil", "pencil case", "Straße 100%"]


async def test_a_company_shows_its_first_hundred_applications(
    client: httpx.AsyncClient, sql: Sql, company: str
) -> None:
    sql.execute(
        "INSERT INTO applications (id, name, name_key, domain, company_id)"
        " SELECT gen_random_uuid(), 'a' || n, 'a' || n, 'paper.example', %s FROM generate_series(1000, 1149) n",
        (company,),
    )
    shown = (await client.get(f"/api/v1/companies/{company}")).json()["company"]["applications"]
    assert [one["name"] for one in shown] == [f"a{n}" for n in range(1000, 1100)]
    rest = await client.get("/api/v1/applications", params={"company_id": company, "limit": 100, "page": 2})
    assert (len(rest.json()["applications"]), rest.json()["pagination"]["total"]) == (51, 151)


async def test_the_anonymous_are_served_from_the_cache_until_something_changes(
    client: httpx.AsyncClient, company: str, ada: Person
) -> None:
    paths = ["/api/v1/companies", f"/api/v1/companies/{company}", "/api/v1/applications"]

    async def read(path: str, **options: Any) -> tuple[str | None, str]:
        response = await client.get(path, **options)
        return response.headers.get("x-cache"), response.text

    async def miss_and_hit(path: str) -> None:
        await report(client, application_name=f"Paper {uuid4()}", application_url="https://app.paper.example")
        assert [(await read(path))[0] for _ in range(2)] == ["MISS", "HIT"]

    for path in paths:
        await undisturbed(partial(miss_and_hit, path), seconds=LOCAL_SECONDS)
        assert (await read(path, headers=ada.headers))[0] is None
    former = [(await read(path))[1] for path in paths]
    await report(client, application_name="Paper", application_url="https://app.paper.example")
    for path, text in zip(paths, former, strict=True):
        _, now = await read(path)
        assert now != text
        assert now == (await read(path, headers=ada.headers))[1]
