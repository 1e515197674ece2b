"""Factories: people, reports and rows that tests begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg

PASSWORD = "correct horse battery staple"  # of every user in tests


@dataclass(frozen=True)
class Person:
    """A registered user, and the headers that say so."""

    id: str
    username: str
    email: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


async def register(client: httpx.AsyncClient, username: str, *, email: str | None = None) -> Person:
    """Make an account and sign in to it."""
    address = email or f"{username}@people.example"
    body = {"email": address, "username": username, "password": PASSWORD}
    response = await client.post("/api/v1/auth/register", json=body)
    assert response.status_code == 201, response.text
    answer = response.json()
    return Person(answer["user"]["id"], username, address, answer["access_token"], answer["refresh_token"])


def a_report(**changes: Any) -> dict[str, Any]:
    """A report that fits; `changes` replace fields."""
    return {
        "title": "Crash when saving a draft",
        "description": "Saving a draft closes the window at once.",
        "application_name": "Notebook",
        "recaptcha_token": "a token that passes in development",
        **changes,
    }


async def report(client: httpx.AsyncClient, person: Person | None = None, **changes: Any) -> dict[str, Any]:
    """Report a bug and give it as it was answered."""
    headers = person.headers if person else {}
    response = await client.post("/api/v1/bugs", json=a_report(**changes), headers=headers)
    assert response.status_code == 201, response.text
    bug: dict[str, Any] = response.json()["bug"]
    return bug


def make_admin(sql: psycopg.Connection[Any], person: Person) -> None:
    sql.execute("UPDATE users SET is_admin = true WHERE id = %s", (person.id,))


def make_member(
    sql: psycopg.Connection[Any], person: Person, company_id: str, *, role: str = "member"
) -> None:
    """Put the person into the company, and verify the company."""
    sql.execute("UPDATE companies SET verified = true, verified_at = now() WHERE id = %s", (company_id,))
    sql.execute(
        "INSERT INTO company_members (id, company_id, user_id, role) VALUES (gen_random_uuid(), %s, %s, %s)",
        (company_id, person.id, role),
    )


Sql = psycopg.Connection[Any]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def put_application(sql: Sql, name: str = "Stocked") -> UUID:
    """An application without domain and company."""
    application_id = uuid4()
    sql.execute(
        "INSERT INTO applications (id, name, name_key, domain) VALUES (%s, %s, %s, '')",
        (application_id, name, name.lower()),
    )
    return application_id


def put_bug(
    sql: Sql,
    application_id: UUID,
    *,
    title: str = "A stocked bug",
    description: str = "Nothing to see here",
    votes: int = 0,
    recent: int = 0,
    at: datetime = EPOCH,
    **columns: Any,
) -> str:
    """A visible bug; its counters are what is asked for, whatever rows there are."""
    bug_id = uuid4()
    values = {
        "id": bug_id,
        "title": title,
        "application_id": application_id,
        "vote_count": votes,
        "recent_vote_count": recent,
        "created_at": at,
        **columns,
    }
    sql.execute(
        f"INSERT INTO bugs ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})",
        list(values.values()),
    )
    sql.execute(
        "INSERT INTO bug_texts (bug_id, description, description_html) VALUES (%s, %s, '')",
        (bug_id, description),
    )
    return str(bug_id)


def put_bugs(sql: Sql, count: int, *, same_moment: bool) -> list[str]:
    """Bugs that differ in little: every third has one vote; the newest last, unless all are of one moment."""
    application_id = put_application(sql)
    return [
        put_bug(
            sql,
            application_id,
            votes=int(i % 3 == 0),
            recent=int(i % 6 == 0),
            at=EPOCH if same_moment else EPOCH + timedelta(minutes=i),
        )
        for i in range(count)
    ]


def put_comments(sql: Sql, bug_id: str, count: int) -> None:
    """Comments of nobody, numbered from 0, one each second."""
    sql.execute(
        "INSERT INTO comments (id, bug_id, content, content_html, created_at)"
        " SELECT gen_random_uuid(), %s, 'number ' || i, '', %s + i * interval '1 second'"
        " FROM generate_series(0, %s - 1) AS i",
        (bug_id, EPOCH, count),
    )
    sql.execute("UPDATE bugs SET comment_count = comment_count + %s WHERE id = %s", (count, bug_id))


def merge_into(sql: Sql, source: str, target: str) -> None:
    """The source is merged away, as far as readers can tell."""
    sql.execute("UPDATE bugs SET merged_into_id = %s WHERE id = %s", (target, source))


def remove(sql: Sql, bug_id: str) -> None:
    sql.execute("UPDATE bugs SET removed_at = now() WHERE id = %s", (bug_id,))


def put_project(sql: Sql, company_id: str, key: str = "TSK", **columns: Any) -> UUID:
    """A project whose tickets its company's reporters do not all see."""
    values = {
        "id": uuid4(),
        "company_id": company_id,
        "key": key,
        "name": key,
        "scheme": "tickets",
        **columns,
    }
    _insert(sql, "projects", values)
    return UUID(str(values["id"]))


def put_ticket(
    sql: Sql,
    company_id: str,
    project_id: UUID,
    *,
    reporter_id: str,
    assignees: Sequence[str] = (),
    **columns: Any,
) -> UUID:
    """A ticket with a key of its own, as it is asked for; it writes no event."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "number": 0,
        "key": f"TSK-{uuid4().int % 10**9}",
        "kind": "ticket",
        "title": "A ticket",
        "status": "open",
        "category": "todo",
        "priority": "medium",
        **columns,
    }
    if values["category"] == "done":
        values.setdefault("resolved_at", datetime.now(UTC))
    _insert(
        sql,
        "tickets",
        {"company_id": company_id, "project_id": project_id, "reporter_id": reporter_id, **values},
    )
    for place, user_id in enumerate(assignees):
        assigned = {
            "company_id": company_id,
            "ticket_id": values["id"],
            "user_id": user_id,
            "position": place,
        }
        _insert(sql, "ticket_assignees", assigned)
    return UUID(str(values["id"]))


def _insert(sql: Sql, table: str, values: dict[str, Any]) -> None:
    sql.execute(
        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})",
        list(values.values()),
    )
