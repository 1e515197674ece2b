"""`bugrelay demo` as a command: what it says, that it is made once and whole, and where it refuses."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.commands.conftest import PRODUCTION
from tests.commands.runner import Commands

COUNTS = (
    "SELECT (SELECT count(*) FROM bugs), (SELECT count(*) FROM users), (SELECT sum(vote_count) FROM bugs)"
)


def test_the_demo_is_created_once_and_says_how_to_sign_in(
    commands: Commands, sql: psycopg.Connection[Any]
) -> None:
    first = commands.run("demo")
    assert (first.code, first.stderr) == (0, "")
    assert "mira.okafor@papertrail.example" in first.stdout
    assert "/api/v1/bugs?sort=trending" in first.stdout
    before = sql.execute(COUNTS).fetchone()
    assert sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)

    again = commands.run("demo")
    assert (again.code, again.stdout) == (0, "the demo is on the board already; nothing was changed\n")
    assert sql.execute(COUNTS).fetchone() == before


def test_production_refuses_it(commands: Commands, sql: psycopg.Connection[Any]) -> None:
    outcome = commands.run("demo", **PRODUCTION)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == "Error: the demo is not for ENVIRONMENT=production\n"
    assert sql.execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_a_name_that_somebody_has_leaves_the_board_as_it_was(
    commands: Commands, sql: psycopg.Connection[Any]
) -> None:
    sql.execute(
        "INSERT INTO users (id, email, email_key, username)"
        " VALUES (gen_random_uuid(), 'x@people.example', 'x@people.example', 'viktor.danek')"
    )
    outcome = commands.run("demo")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert sql.execute("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM bugs)").fetchone() == (
        1,
        0,
    )
