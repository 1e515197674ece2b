"""Hand-written SQL for comparison: a naive search, the full ranking, counts, a bare page."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from msgspec import Struct

Connection = psycopg.AsyncConnection[Any]

_JOINED = """
FROM bugs b JOIN bug_texts t ON t.bug_id = b.id JOIN applications a ON a.id = b.application_id
LEFT JOIN users u ON u.id = b.reporter_id LEFT JOIN companies c ON c.id = b.assigned_company_id
"""
_COLUMNS = """
b.id, b.title, t.description, t.description_html, b.status, b.priority, b.tags, b.application_id, b.reporter_id,
b.assigned_company_id, b.vote_count, b.comment_count, b.created_at, b.updated_at, b.resolved_at, a.name, a.url,
u.username, c.name, c.domain, c.verified
"""
_VISIBLE = "b.removed_at IS NULL AND b.merged_into_id IS NULL"

_NAIVE_FOUND = f"""
{_JOINED} JOIN bug_search s ON s.bug_id = b.id
WHERE {_VISIBLE} AND s.document @@ websearch_to_tsquery('bugrelay', %(search)s)
"""
_NAIVE_COUNT = f"SELECT count(*) {_NAIVE_FOUND}"
_NAIVE_PAGE = f"""
SELECT {_COLUMNS} {_NAIVE_FOUND}
ORDER BY ts_rank_cd(s.document, websearch_to_tsquery('bugrelay', %(search)s)) DESC, b.created_at DESC, b.id DESC
LIMIT 20
"""


async def naive_search(connection: Connection, search: str) -> None:
    """Count all matches, then rank all of them: the obvious query over a stored document and its index."""
    await (await connection.execute(_NAIVE_COUNT, {"search": search}, prepare=True)).fetchall()
    await (await connection.execute(_NAIVE_PAGE, {"search": search}, prepare=True)).fetchall()


async def fully_ranked(connection: Connection, *, search: str, status: str | None = None) -> list[UUID]:
    """The first twenty of all bugs with every word: a word is 1.0 in the title, 0.4 in the name, 0.1 in the text."""
    values: dict[str, Any] = {"search": search, "status": status}
    scores = []
    for i, word in enumerate(search.split()):
        parsed = await connection.execute("SELECT websearch_to_tsquery('bugrelay', %s)::text", (word,))
        lexeme = (await parsed.fetchall())[0][0]
        for label, weight in (("A", 10), ("B", 4), ("D", 1)):
            values[f"word_{i}_{label}"] = f"{lexeme}:{label}"
            scores.append(f"{weight} * (s.document @@ %(word_{i}_{label})s::tsquery)::int")
    ranked = f"""
        SELECT b.id FROM bugs b JOIN bug_search s ON s.bug_id = b.id
        WHERE {_VISIBLE} AND s.document @@ websearch_to_tsquery('bugrelay', %(search)s)
          AND (%(status)s::text IS NULL OR b.status = %(status)s)
        ORDER BY {" + ".join(scores)} DESC, b.created_at DESC, b.id DESC LIMIT 20
    """  # noqa: S608 - names of parameters
    return [row[0] for row in await (await connection.execute(ranked, values)).fetchall()]


_CONDITIONS = {
    "search": "s.document @@ websearch_to_tsquery('bugrelay', %(search)s)",
    "status": "b.status = %(status)s",
    "priority": "b.priority = %(priority)s",
    "tags": "b.tags @> string_to_array(%(tags)s, ',')",
    "application": "b.application_id IN (SELECT id FROM applications WHERE strpos(name_key, %(application)s) > 0)",
}


async def counted(connection: Connection, query: dict[str, Any]) -> int:
    """The number of visible bugs of a list, counted in the source tables."""
    conditions = " AND ".join([_VISIBLE, *(_CONDITIONS[name] for name in query)])
    search = "JOIN bug_search s ON s.bug_id = b.id" if "search" in query else ""
    statement = f"SELECT count(*) FROM bugs b {search} WHERE {conditions}"  # noqa: S608 - our own conditions
    rows = await (await connection.execute(statement, query)).fetchall()
    return int(rows[0][0])


# --- a bare page ------------------------------------------------------------------------------------------------------


class RawApplication(Struct):
    id: UUID
    name: str
    url: str | None


class RawUser(Struct):
    id: UUID
    username: str


class RawCompany(Struct):
    id: UUID
    name: str
    domain: str
    verified: bool


class RawBug(Struct):
    """The keys of a bug in BugRelay's lists."""

    id: UUID
    title: str
    description: str
    description_html: str
    status: str
    priority: str
    tags: list[str]
    application_id: UUID
    reporter_id: UUID | None
    assigned_company_id: UUID | None
    vote_count: int
    comment_count: int
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    application: RawApplication
    reporter: RawUser | None
    assigned_company: RawCompany | None


_AN_APPLICATION = """
SELECT application_id FROM bugs b GROUP BY 1 HAVING count(*) BETWEEN 30 AND 300 ORDER BY count(*) DESC, 1 LIMIT 1
"""
_RAW_COUNT = f"SELECT count(*) FROM bugs b WHERE {_VISIBLE} AND b.application_id = %s"  # noqa: S608
_RAW_PAGE = f"""
SELECT {_COLUMNS} {_JOINED} WHERE {_VISIBLE} AND b.application_id = %s
ORDER BY b.created_at DESC, b.id DESC LIMIT 20
"""


async def an_application(connection: Connection) -> UUID:
    """An application whose bugs fill a page and are counted quickly."""
    rows = await (await connection.execute(_AN_APPLICATION)).fetchall()
    application_id: UUID = rows[0][0]
    return application_id


async def raw_page(connection: Connection, application_id: UUID) -> tuple[int, list[RawBug]]:
    """A total and a page with psycopg alone."""
    total = await (await connection.execute(_RAW_COUNT, (application_id,), prepare=True)).fetchone()
    rows = await (await connection.execute(_RAW_PAGE, (application_id,), prepare=True)).fetchall()
    return (total or (0,))[0], [_raw_bug(row) for row in rows]


def _raw_bug(row: tuple[Any, ...]) -> RawBug:
    *own, application, url, username, company, domain, verified = row
    application_id, reporter_id, company_id = own[7:10]
    related = (
        RawApplication(application_id, application, url),
        RawUser(reporter_id, username) if reporter_id else None,
        RawCompany(company_id, company, domain, verified) if company_id else None,
    )
    values: list[Any] = [*own, *related]
    return RawBug(*values)
