"""Counts of tickets: what triggers add and a job folds is exact at any moment."""

from __future__ import annotations

import random
from typing import Any
from uuid import uuid4

import psycopg

from bugrelay.domain.tickets.tasks import clean_up, fold_counts
from bugrelay.infra.platform import Platform
from tests.domain.tickets.test_search import Company

Sql = psycopg.Connection[Any]

_BOTH = """
SELECT project_id, status, category, priority, department, sum(count) FROM (
    SELECT * FROM ticket_counts UNION ALL SELECT * FROM ticket_count_changes
) AS counts WHERE company_id = %s GROUP BY 1, 2, 3, 4, 5 HAVING sum(count) <> 0 ORDER BY 1, 2, 3, 4, 5
"""
_TRUTH = """
SELECT project_id, status, category, priority, coalesce(department, ''), count(*) FROM tickets
WHERE company_id = %s AND removed_at IS NULL GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""
_CHANGES = (
    "UPDATE tickets SET removed_at = now() WHERE id = %s",
    "UPDATE tickets SET removed_at = NULL WHERE id = %s",
    "UPDATE tickets SET status = 'in_progress', category = 'doing', resolved_at = NULL WHERE id = %s",
    "UPDATE tickets SET priority = 'critical', department = 'Legal' WHERE id = %s",
    "UPDATE tickets SET department = NULL WHERE id = %s",
    "UPDATE tickets SET title = 'Counted as before' WHERE id = %s",
    "DELETE FROM tickets WHERE id = %s",
)


async def test_counts_and_changes_together_are_the_recount(
    platform: Platform, sql: Sql, empty_board: None
) -> None:
    company, draw = Company(sql, 40), random.Random(3)
    with psycopg.connect(sql.info.dsn, password=sql.info.password) as other:
        for number in range(60):
            row = draw.choice(company.rows)
            connection = other if number % 3 == 0 else sql
            if connection is sql:
                other.commit()  # its rows are locked
            connection.execute(draw.choice(_CHANGES), (row["id"],))
            if number % 10 == 0:
                await fold_counts(platform)
            assert (
                sql.execute(_BOTH, (company.id,)).fetchall() == sql.execute(_TRUTH, (company.id,)).fetchall()
            )
            other.commit()
    await fold_counts(platform)
    assert sql.execute("SELECT count(*) FROM ticket_count_changes").fetchone() == (0,)
    assert sql.execute(_BOTH, (company.id,)).fetchall() == sql.execute(_TRUTH, (company.id,)).fetchall()


async def test_documents_follow_every_change(platform: Platform, sql: Sql, empty_board: None) -> None:
    company, draw = Company(sql, 20), random.Random(4)
    for row in company.rows:
        sql.execute(draw.choice(_CHANGES), (row["id"],))
    assert (
        sql.execute(
            "SELECT t.id FROM tickets t FULL JOIN ticket_search s ON s.ticket_id = t.id WHERE CASE WHEN t.removed_at IS NULL"
            " THEN (s.document, s.status, s.category, s.priority, s.created_at) IS DISTINCT FROM"
            " (ticket_document(t, ARRAY(SELECT user_id FROM ticket_assignees WHERE ticket_id = t.id)),"
            " t.status, t.category, t.priority, t.created_at) ELSE s.ticket_id IS NOT NULL END"
        ).fetchall()
        == []
    )


async def test_the_log_of_changes_keeps_an_hour(platform: Platform, sql: Sql, empty_board: None) -> None:
    Company(sql, 3)
    sql.execute("UPDATE ticket_search_changes SET at = now() - interval '2 hours' WHERE id % 2 = 0")
    await clean_up(platform)
    assert sql.execute("SELECT bool_and(id % 2 = 1), count(*) > 0 FROM ticket_search_changes").fetchone() == (
        True,
        True,
    )


def test_another_company_counts_for_itself(sql: Sql, empty_board: None) -> None:
    one, other = Company(sql, 5), Company(sql, 3)
    for company, count in ((one, 5), (other, 3), (None, 0)):
        rows = sql.execute(_BOTH, (company.id if company else uuid4(),)).fetchall()
        assert sum(row[-1] for row in rows) == count
