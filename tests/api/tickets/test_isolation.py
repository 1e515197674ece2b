"""One company's rows are met by no statement about another: as it is written, as it is run, and with row level security
as an oracle."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import psycopg
import pytest

from bugrelay.domain import links, rules, support, tickets
from bugrelay.domain.links import repository as of_links
from bugrelay.domain.rules import repository
from bugrelay.domain.tickets.repository import reports
from bugrelay.domain.tickets.search.query import KEYS, Plan, QuerySpec
from bugrelay.domain.tickets.search.statements import keys_query, page_query, total_query
from bugrelay.infra.db.models import Base
from bugrelay.infra.db.query import Query
from tests.api.tickets.conftest import Caller, Join
from tests.api.tickets.files.desk import picture

Sql = psycopg.Connection[Any]
TABLES = [
    name
    for name, table in Base.metadata.tables.items()
    if name.startswith(("ticket", "project", "daily_stats", "support", "workflow"))
    and "company_id" in table.c
]
_NAMES = "|".join(TABLES)
_READS = re.compile(
    rf"\b(?:FROM|JOIN|UPDATE|USING)\s+({_NAMES})\b(?:\s+AS\s+(\w+)|\s+(?!SET\b|JOIN\b|WHERE\b|ON\b|LEFT\b)(\w+)\b)?"
)
BY_WORKERS = {repository._IDLE.sql, of_links._LINKED_TO.sql, of_links._WITH_LINKS.sql}
"""What a worker asks of all companies: which of them have something to do by the clock, or because of a public bug."""
_INSERTS = re.compile(rf"INSERT INTO ({_NAMES}) \(([^)]*)\)")


def without_the_company(statement: str) -> list[str]:
    """The tables of companies in a statement that it does not hold to one company."""
    named = [(one[1], one[2] or one[3] or one[1]) for one in _READS.finditer(statement)]
    unheld = [
        table
        for table, alias in named
        if not re.search(rf"\b(?:{alias}|{table})\.company_id = %\(company_id\w*\)s", statement)
    ]
    return unheld + [one[1] for one in _INSERTS.finditer(statement) if "company_id" not in one[2]]


def test_a_statement_that_names_no_company_is_found() -> None:
    held = "SELECT 1 FROM tickets AS t JOIN projects ON true WHERE t.company_id = %(company_id)s::UUID"
    assert without_the_company(held) == ["projects"]
    assert without_the_company("UPDATE tickets SET title = 'x'") == ["tickets"]
    assert without_the_company("INSERT INTO ticket_keys (key) SELECT 1") == ["ticket_keys"]


def test_every_compiled_statement_names_the_company() -> None:
    found = {query.sql for query in _queries()}
    assert len(found) > 40
    assert any("ticket_numbers" in sql for sql in found)
    assert any("support_screenshots" in sql for sql in found)
    assert {sql: tables for sql in found - BY_WORKERS if (tables := without_the_company(sql))} == {}


def _queries() -> Iterator[Query[Any]]:
    for domain in (tickets, support, rules, links):
        for module in pkgutil.walk_packages(domain.__path__, f"{domain.__name__}."):
            for value in vars(importlib.import_module(module.name)).values():
                yield from _inside(value)
    for order, sees_all, words in itertools.product(KEYS, (True, False), (0, 1, 2)):
        for name in ("status", "project_id", "scheme", "department", "created_from"):
            spec = QuerySpec((name,), order, sees_all, searching=words > 0, words=words)
            ways = [Plan(keyset=True), Plan(index_scan=True, keyset=True), Plan(months=True, keyset=True)]
            if order == "relevance":
                ways = [Plan(keyset=True), Plan(tier="best", months=True), Plan(tier="top")]
            yield from (keys_query(spec, plan) for plan in ways)
            for incremental in (False, True):
                yield total_query(replace(spec, order="", words=0), incremental=incremental)
                yield from (page_query(spec, plan, incremental=incremental) for plan in ways)
    for names in ((), ("project_id", "scheme", "first", "last")):
        for make in (
            reports._counts_by_now,
            reports._counts_of_days,
            reports._flow,
            reports._newest,
            reports._days,
            reports._activity,
        ):
            yield make(names)


def _inside(value: Any) -> Iterator[Query[Any]]:
    if isinstance(value, Query):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _inside(one)
    elif isinstance(value, dict):
        yield from _inside(list(value.values()))
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _inside([getattr(value, field.name) for field in fields(value)])


Run = list[tuple[str, Any]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The statements that the applications of this process send from now on, with their values."""
    sent: Run = []
    execute = psycopg.AsyncCursor.execute

    async def noting(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        if isinstance(query, str):
            sent.append((query, params))
        return await execute(self, query, params, **options)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", noting)
    return sent


@pytest.fixture
async def neighbours(join: Join, others_member: Any, sql: Sql) -> tuple[list[Caller], list[Caller]]:
    """The people of two companies, who call everything alike."""
    row = sql.execute(
        "SELECT company_id FROM company_members WHERE user_id = %s", (others_member.id,)
    ).fetchone()
    assert row is not None
    ours = [await join(f"our{role}", role) for role in ("admin", "member", "reporter")]
    theirs = [
        await join(f"their{role}", role, company=str(row[0])) for role in ("admin", "member", "reporter")
    ]
    return ours, theirs


async def use_everything(admin: Caller, member: Caller, reporter: Caller, *, word: str) -> list[str]:
    """Call each route of projects and tickets; gives the paths of what was made."""
    project = await member.done("POST", "projects", {"key": "WEB", "name": word, "description": word})
    await member.done("PUT", "projects/WEB", {"visibility": "company"})
    ticket = await reporter.ticket(word, description=word, tags=[word])
    path = f"tickets/{ticket['key']}"
    change = {"assigneeIds": [reporter.id], "internalNotes": word * 40, "department": word}
    await member.done("PUT", path, change)
    await member.call("PUT", path, {"title": "x", "version": 1})
    await reporter.done("PATCH", f"{path}/status", {"status": "closed"})
    await reporter.done("PATCH", f"{path}/status", {"status": "open"})
    comment = await reporter.done("POST", f"{path}/comments", {"content": word})
    await member.done("POST", f"{path}/comments", {"content": word, "isInternal": True})
    await reporter.done("PATCH", f"{path}/comments/{comment['id']}", {"content": word})
    await member.done("PUT", path, {"projectId": project["id"]})
    path = f"tickets/{ticket['id']}"
    for who in (admin, member, reporter):
        for one in (
            path,
            "tickets/WEB-1001",
            f"{path}/comments",
            f"{path}/history",
            "projects",
            "projects/web",
        ):
            await who.done("GET", one)
        for query in (
            "",
            "?sort=priority&status=open",
            f"?tag={word}&assigneeId={reporter.id}",
            "?category=todo",
        ):
            assert len(await who.done("GET", f"tickets{query}")) == 1
    await use_support(member, reporter, word=word)
    await admin.done("DELETE", path)
    await admin.done("POST", f"{path}/restore")
    await reporter.done("DELETE", f"{path}/comments/{comment['id']}")
    return [path, f"projects/{project['id']}", f"{path}/comments/{comment['id']}"]


async def use_support(member: Caller, reporter: Caller, *, word: str) -> None:
    """Call each route of support reports."""
    client = reporter.client
    files = {"screenshot": ("shot.png", picture())}
    path = "/api/support"
    upload = await client.post(f"{path}/upload-screenshot", files=files, headers=reporter.person.headers)
    body = {
        "title": word,
        "description": word,
        "console_errors": [{"message": word}],
        "screenshot_path": upload.json()["path"],
    }
    sent = await client.post(f"{path}/report", json=body, headers=reporter.person.headers)
    assert sent.status_code == 201, sent.text
    number = sent.json()["ticket_number"]
    for who in (reporter, member):
        assert word in (await client.get(f"{path}/report/{number}", headers=who.person.headers)).text
        listed = await client.get(f"{path}/reports", headers=who.person.headers)
        assert listed.json()["pagination"]["total"] == (1 if who is reporter else 0)
    url = f"{path}/report/{number}/comments"
    assert (await client.post(url, json={"comment": word}, headers=member.person.headers)).is_success


async def test_what_is_run_for_one_company_reads_no_row_of_another(
    neighbours: tuple[list[Caller], list[Caller]], sql: Sql, run: Run
) -> None:
    ours, theirs = neighbours
    made = await use_everything(*theirs, word="canarytheirs")
    del run[:]
    await use_everything(*ours, word="canaryours")
    sent = [(query, values) for query, values in run if re.search(rf"\b(?:{_NAMES})\b", query)]
    assert {query: tables for query, _ in sent if (tables := without_the_company(query))} == {}
    row = sql.execute("SELECT company_id FROM company_members WHERE user_id = %s", (ours[0].id,)).fetchone()
    assert row is not None
    reads = [(q, v) for q, v in sent if q.startswith(("SELECT", "\nSELECT")) and " FOR " not in q]
    assert len({query for query, _ in reads}) > 20
    for (query, values), rows in zip(reads, _under_row_level_security(sql, row[0], reads), strict=True):
        assert rows == _rows(sql, query, values), query

    for path in made:
        for who in ours:
            for method, body in (
                ("GET", None),
                ("PUT", {"title": "x"}),
                ("PATCH", {"content": "x"}),
                ("DELETE", None),
            ):
                response = await who.call(method, path, body)
                assert response.status_code in (404, 405), (method, path)
                assert "canarytheirs" not in response.text
    for who in ours:
        for query in (
            "tickets",
            "projects",
            "tickets?tag=canarytheirs",
            f"tickets?reporterId={theirs[2].id}",
        ):
            assert "canarytheirs" not in (await who.call("GET", query)).text


def _rows(sql: Sql, query: str, values: Any) -> list[Any]:
    """What it reads, but for the snapshot of a total, which is another in each transaction."""
    query = query.replace("pg_current_snapshot()", "NULL")
    return sorted(map(repr, sql.execute(query, values).fetchall()))  # type: ignore[arg-type]


def _under_row_level_security(sql: Sql, company_id: Any, reads: Run) -> list[list[Any]]:
    """What each statement reads where the database itself shows the rows of one company alone."""
    with sql.transaction(force_rollback=True):
        sql.execute("CREATE ROLE one_company")
        sql.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO one_company")
        for table in TABLES:
            sql.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")  # type: ignore[arg-type]
            sql.execute(
                f"CREATE POLICY own ON {table} TO one_company USING (company_id = '{company_id}')"  # type: ignore[arg-type]
            )
        sql.execute("SET LOCAL ROLE one_company")
        return [_rows(sql, query, values) for query, values in reads]
