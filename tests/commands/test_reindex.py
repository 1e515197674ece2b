"""`bugrelay reindex` rebuilds an index and shows its progress."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.conftest import Commands
from tests.factories import put_application, put_bug


def test_the_index_of_similar_bugs_is_rebuilt(commands: Commands, sql: psycopg.Connection[Any]) -> None:
    application_id = put_application(sql)
    for title in ("A quasar flickers", "A pulsar is silent", "Of nebulae"):
        put_bug(sql, application_id, title=title)
    outcome = commands.run("reindex", "similar")
    assert (outcome.code, outcome.stdout) == (0, "3 bugs indexed\n"), outcome.stderr
    assert outcome.stderr.splitlines() == [
        "50 % of documents and postings",
        "100 % of documents and postings",
    ]
    assert commands.run("check").lines == ["0 problems"]
    assert sql.execute("SELECT count(*) FROM similar_docs").fetchone() == (3,)
    assert sql.execute("SELECT count(*) FROM similar_pending").fetchone() == (0,)


def test_an_empty_board_has_an_empty_index(commands: Commands) -> None:
    assert commands.run("reindex", "similar").stdout == "0 bugs indexed\n"


def test_what_is_no_index_is_refused(commands: Commands) -> None:
    assert commands.run("reindex", "everything").code == 2
