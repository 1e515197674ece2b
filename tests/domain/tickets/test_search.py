"""Lists and searches of tickets: who finds what, in which order, whatever plan finds it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.schemas import TicketQuery
from bugrelay.domain.tickets.search import query as plans
from bugrelay.domain.tickets.search.service import list_tickets
from bugrelay.infra import incremental_counts
from bugrelay.infra.db.query import Query, Reader, RowT, Values
from bugrelay.infra.pagination import encoded_cursor
from bugrelay.infra.platform import Platform
from tests.factories import put_project, put_ticket

Sql = psycopg.Connection[Any]
NOW = datetime(2026, 11, 20, tzinfo=UTC)
WORDS = ("login", "crash", "upload", "the", "button", "std::vector")
PEOPLE = 4


class Company:
    """A company with people, an open project and one of its team, and tickets drawn at random, the same each time."""

    def __init__(self, sql: Sql, tickets: int) -> None:
        self.id = str(uuid4())
        domain = f"d{self.id[:8]}.example"
        sql.execute(
            "INSERT INTO companies (id, name, domain, verified) VALUES (%s, 'Paper', %s, true)",
            (self.id, domain),
        )
        self.people = [_person(sql) for _ in range(PEOPLE)]
        self.projects = [
            put_project(sql, self.id, "OPN", visibility="company"),
            put_project(sql, self.id, "TSK", scheme="issues"),
        ]
        draw = random.Random(7)
        self.rows = [self._put(sql, draw, number) for number in range(tickets)]

    def tenant(self, role: Any, person: int = 0) -> Tenant:
        return Tenant(UUID(self.id), UUID(self.people[person]), role)

    def _put(self, sql: Sql, draw: random.Random, number: int) -> dict[str, Any]:
        project = draw.randrange(2)
        status, category = draw.choice((("open", "todo"), ("blocked", "doing"), ("closed", "done")))
        row: dict[str, Any] = {
            "key": f"{('OPN', 'TSK')[project]}-{1001 + number}",
            "title": " ".join(draw.choices(WORDS, k=3)),
            "description": " ".join(draw.choices(WORDS, k=draw.randrange(4))),
            "status": status,
            "category": category,
            "priority": draw.choice(("low", "medium", "high", "critical")),
            "department": draw.choice((None, "Sales", "O'Neill & Sons")),
            "tags": draw.sample(["ui", "^tags", "a b"], k=draw.randrange(3)),
            "created_at": NOW - timedelta(days=draw.randrange(200)),
            "updated_at": NOW + timedelta(days=draw.randrange(9)),
            "internal_notes": "sesame",
        }
        people = {
            "reporter_id": draw.choice(self.people),
            "assignees": draw.sample(self.people, k=draw.randrange(3)),
        }
        row["id"] = put_ticket(sql, self.id, self.projects[project], **people, **row)
        return row | people | {"project_id": self.projects[project]}


def _person(sql: Sql) -> str:
    user_id = str(uuid4())
    name = f"p{user_id[:13]}"
    sql.execute(
        "INSERT INTO users (id, email, email_key, username) VALUES (%s, %s, %s, %s)",
        (user_id, f"{name}@people.example", f"{name}@people.example", name),
    )
    return user_id


@pytest.fixture
def companies(sql: Sql, empty_board: None) -> tuple[Company, Company]:
    """Two with alike tickets: the same words, keys, departments and tags."""
    return Company(sql, 60), Company(sql, 20)


SIZES: dict[str, dict[str, int]] = {
    "few": {},
    "by month": {"MIN_BY_MONTH": 0, "ROWS_BY_MONTH": 1, "MAX_SCORED": 0},
    "many": {"MAX_SORTED": 0, "MAX_BY_MONTH": 0, "MAX_SCORED": 0, "MIN_BEST": 0},
    "very many": {"MAX_SORTED": 0, "MAX_BY_MONTH": 0, "MAX_SCORED": 0, "MIN_BEST": 0, "MAX_WHOLE_TIER": 0},
}


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """As if what is found were few tickets, or so many that they are not read one by one."""
    for name, value in SIZES[request.param].items():
        monkeypatch.setattr(plans, name, value)
    return request.param


def _score(row: dict[str, Any], words: Sequence[str]) -> int:
    """By the rule that the docs state: title 1.0, description 0.1, the number of the key 3.0."""
    return sum(
        10 * (word in row["title"].split())
        + (word in row["description"].split())
        + 30 * row["key"].endswith(f"-{word}")
        for word in words
    )


def expected_rows(company: Company, tenant: Tenant, query: TicketQuery) -> list[dict[str, Any]]:
    """What the list is by its definition."""
    typed = (query.q or "").split()
    excluded = [word[1:] for word in typed if word.startswith("-")]
    asked = " ".join(word for word in typed if not word.startswith("-"))
    words = [word for word in asked.lower().replace("-", " ").split() if word not in ("tsk", "opn")]
    urgency = {"low": 1, "medium": 2, "high": 3, "critical": 4}
    found = [
        row
        for row in company.rows
        if all(
            word in f"{row['title']} {row['description']}".split() or row["key"].endswith(f"-{word}")
            for word in words
        )
        and not any(word in f"{row['title']} {row['description']}".split() for word in excluded)
        and ("-" not in asked or row["key"] == asked)
        and (
            tenant.role != "reporter"
            or str(tenant.user_id) in (row["reporter_id"], *row["assignees"])
            or row["project_id"] == company.projects[0]
        )
        and (query.assignee_id is None or str(query.assignee_id) in row["assignees"])
        and (query.reporter_id is None or str(query.reporter_id) == row["reporter_id"])
        and (query.tag is None or query.tag in row["tags"])
        and (query.scheme is None or row["project_id"] == company.projects[query.scheme == "issues"])
        and (query.created_from is None or row["created_at"] >= query.created_from)
        and (query.created_to is None or row["created_at"] < query.created_to)
        and all(
            getattr(query, name) in (None, row[name])
            for name in ("status", "category", "priority", "department", "project_id")
        )
    ]
    order = query.sort or ("recent" if query.q is None else "relevance")
    keys = {
        "recent": lambda row: (row["created_at"], row["id"]),
        "oldest": lambda row: (row["created_at"], row["id"]),
        "updated": lambda row: (row["updated_at"], row["id"]),
        "priority": lambda row: (urgency[row["priority"]], row["created_at"], row["id"]),
        "relevance": lambda row: (_score(row, words), row["created_at"], row["id"]),
    }
    return sorted(found, key=keys[order], reverse=order != "oldest")


def _queries(company: Company) -> Iterator[dict[str, Any]]:
    filters: list[dict[str, Any]] = [
        {},
        {"status": "blocked"},
        {"category": "todo", "priority": "high"},
        {"project_id": company.projects[1]},
        {"department": "O'Neill & Sons"},
        {"assignee_id": UUID(company.people[1])},
        {"reporter_id": UUID(company.people[2]), "tag": "^tags"},
        {"tag": "a b", "created_from": NOW - timedelta(days=90), "created_to": NOW - timedelta(days=20)},
        {"created_from": NOW - timedelta(days=60)},
        {"scheme": "issues", "category": "todo"},
        {"scheme": "tickets"},
        {"project_id": uuid4()},
    ]
    for one in filters:
        yield from ({**one, "sort": sort} for sort in ("recent", "oldest", "updated", "priority"))
        yield from ({**one, "q": q} for q in ("login", "login crash", "crash -login"))
    yield from ({"q": "crash", "sort": sort} for sort in ("recent", "oldest", "updated", "priority"))
    yield {"q": company.rows[5]["key"]}
    yield {"q": company.rows[7]["key"].partition("-")[2]}


async def test_every_page_is_that_of_the_definition(
    platform: Platform, companies: tuple[Company, Company], size: str
) -> None:
    for company in companies:
        for tenant in (company.tenant("member"), company.tenant("reporter", 3)):
            for wanted in _queries(company):
                query = TicketQuery(**wanted, limit=25)
                expected = expected_rows(company, tenant, query)
                walked, cursor = [], None
                while cursor is not None or not walked:
                    query.cursor = cursor
                    page = await list_tickets(platform.database, platform.counts, tenant, query=query)
                    walked += [ticket.id for ticket in page.tickets] or [None]
                    cursor = page.pagination.next_cursor
                    assert page.pagination.total == len(expected), wanted
                assert [one for one in walked if one] == [row["id"] for row in expected], wanted


async def test_a_later_page_is_found_by_its_number(
    platform: Platform, companies: tuple[Company, Company], size: str
) -> None:
    company, _ = companies
    for wanted in ({"q": "login"}, {"sort": "priority"}, {"q": "crash", "sort": "updated"}):
        query = TicketQuery(**wanted, page=3, limit=7)
        page = await list_tickets(platform.database, platform.counts, company.tenant("member"), query=query)
        expected = expected_rows(company, company.tenant("member"), query)
        assert [ticket.id for ticket in page.tickets] == [row["id"] for row in expected[14:21]]
        past = TicketQuery(**wanted, page=100)
        empty = await list_tickets(platform.database, platform.counts, company.tenant("member"), query=past)
        assert (empty.tickets, empty.pagination.total) == ([], len(expected))


class Recorded(Reader):
    """A reader, and the names of all parameters that its statements have."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.parameters: set[str] = set()

    async def rows(self, query: Query[RowT], values: Values | None = None) -> Sequence[RowT]:
        self.parameters |= set(re.findall(r"%\((\w+)\)s", query.sql))
        return await self._reader.rows(query, values)


@pytest.mark.parametrize("others", ["many", "few"])
async def test_tickets_of_other_companies_are_left_out_with_and_without_the_mark(
    platform: Platform,
    sql: Sql,
    companies: tuple[Company, Company],
    monkeypatch: pytest.MonkeyPatch,
    others: str,
) -> None:
    """Somebody of two companies, and a company that has more documents than all others."""
    company, other = companies
    monkeypatch.setattr(incremental_counts, "MAX_COUNTED_HERE", {"many": 10, "few": 40}[others])
    person = company.people[3]
    put_ticket(sql, other.id, other.projects[1], reporter_id=person, assignees=[person], title="login crash")
    sql.execute("ANALYZE ticket_search")
    marked = {}
    for role, wanted in (
        ("member", {"q": "login"}),
        ("member", {"q": "login crash"}),
        ("member", {"department": "O'Neill & Sons"}),
        ("member", {"assignee_id": UUID(person)}),
        ("reporter", {"q": "login crash"}),
        ("reporter", {"sort": "oldest"}),
        ("reporter", {"assignee_id": UUID(person), "q": "login"}),
        ("reporter", {"project_id": company.projects[0], "tag": "a b"}),
        ("reporter", {"project_id": company.projects[1], "tag": "a b"}),
    ):
        tenant, query = company.tenant(role, 3), TicketQuery(**wanted, limit=60)
        reader = Recorded(platform.database)
        page = await list_tickets(reader, platform.counts, tenant, query=query)
        expected = [row["id"] for row in expected_rows(company, tenant, query)]
        assert expected
        assert ([ticket.id for ticket in page.tickets], page.pagination.total) == (expected, len(expected))
        marked[role, *wanted] = "company" in reader.parameters
    is_needed = others == "many"
    assert marked == {
        ("member", "q"): is_needed,
        ("member", "department"): is_needed,
        ("member", "assignee_id"): False,
        ("reporter", "q"): False,
        ("reporter", "sort"): False,
        ("reporter", "assignee_id", "q"): False,
        ("reporter", "project_id", "tag"): False,
    }


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-20T00:00:00"]
)
async def test_a_made_up_cursor_leads_to_some_page(
    platform: Platform, companies: tuple[Company, Company], size: str, moment: str
) -> None:
    for sort, q in (("recent", None), ("oldest", "login")):
        cursor = encoded_cursor(sort, 2, [moment, str(uuid4())])
        query = TicketQuery(tag="a b", sort=sort, q=q, cursor=cursor)  # type: ignore[arg-type]
        for tenant in (companies[0].tenant("member"), companies[0].tenant("reporter", 3)):
            page = await list_tickets(platform.database, platform.counts, tenant, query=query)
            assert len(page.tickets) <= page.pagination.total


@pytest.mark.parametrize(
    "q", ["sesame", "^t", "nothing-has-this", "-login -crash -upload -the -button", '"', "'"]
)
async def test_notes_and_marks_are_no_words(
    platform: Platform, companies: tuple[Company, Company], q: str
) -> None:
    company, _ = companies
    page = await list_tickets(
        platform.database, platform.counts, company.tenant("admin"), query=TicketQuery(q=q)
    )
    assert page.tickets == [] or q.startswith("-")


async def test_a_total_follows_each_change(
    platform: Platform, sql: Sql, companies: tuple[Company, Company]
) -> None:
    company, _ = companies
    member, reporter = company.tenant("member"), company.tenant("reporter", 0)
    opened, mine = company.projects[1], company.people[0]

    async def totals() -> list[int]:
        pages = [
            await list_tickets(platform.database, platform.counts, tenant, query=TicketQuery(**wanted))
            for tenant, wanted in (
                (member, {}),
                (member, {"q": "zebra"}),
                (reporter, {}),
                (reporter, {"q": "zebra"}),
            )
        ]
        return [page.pagination.total for page in pages]

    everything, zebras, seen, seen_zebras = before = await totals()
    put = put_ticket(sql, company.id, opened, reporter_id=company.people[1], title="A zebra", key="TSK-9001")
    assert await totals() == [everything + 1, zebras + 1, seen, seen_zebras]
    sql.execute(
        "INSERT INTO ticket_assignees (company_id, ticket_id, user_id, position) VALUES (%s, %s, %s, 0)",
        (company.id, put, mine),
    )
    assert await totals() == [everything + 1, zebras + 1, seen + 1, seen_zebras + 1]
    sql.execute("DELETE FROM ticket_assignees WHERE ticket_id = %s", (put,))
    sql.execute("UPDATE projects SET visibility = 'company' WHERE id = %s", (opened,))
    assert (await totals())[2:] == [everything + 1, zebras + 1]
    sql.execute("UPDATE projects SET visibility = 'team' WHERE id = %s", (opened,))
    sql.execute("UPDATE tickets SET removed_at = now() WHERE id = %s", (put,))
    assert await totals() == before
