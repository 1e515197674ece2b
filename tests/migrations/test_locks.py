"""A migration never makes readers wait for other readers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from bugrelay.migrate import MigrationError, migrate
from bugrelay.settings import load_settings
from tests.conftest import Servers
from tests.migrations.conftest import NewDatabase, migrate_to

WAITING = """SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE datname = current_database() AND relation = %s::regclass AND NOT granted"""


@dataclass(frozen=True)
class OldDatabase:
    """A database whose next migration adds a column to `table`."""

    url: str
    table: str = "idempotency_keys"

    @contextmanager
    def reader(self) -> Iterator[psycopg.Connection[Any]]:
        """A transaction that has read the table, and is not over."""
        with psycopg.connect(self.url) as connection:
            connection.execute(f"SELECT FROM {self.table}")
            yield connection


@pytest.fixture
def old(new_database: NewDatabase) -> OldDatabase:
    url = new_database()
    migrate_to("0005", url)
    return OldDatabase(url)


def test_readers_of_a_table_do_not_wait_for_a_migration(old: OldDatabase, servers: Servers) -> None:
    with old.reader() as first, psycopg.connect(old.url, autocommit=True) as second:
        migrating = _migrate_command(old.url, servers)
        _wait_until_queued(second, old.table, migrating)
        second.execute("SET lock_timeout = '20s'")
        second.execute(f"SELECT FROM {old.table}")  # while the first still reads
        assert migrating.poll() is None
        first.rollback()
        stdout, stderr = migrating.communicate(timeout=120)
        assert (migrating.returncode, stdout) == (0, "the database is up to date\n"), stderr
        second.execute(f"SELECT sender_id FROM {old.table}")


def test_a_reader_that_never_ends_is_reported_in_one_line(old: OldDatabase) -> None:
    settings = load_settings({"DATABASE_URL": old.url})
    with (
        old.reader() as reader,
        pytest.raises(MigrationError, match=r"^a transaction that stays open [^\n]+$"),
    ):
        migrate(settings, patience_seconds=0)
    reader.close()
    migrate(settings, patience_seconds=0)


def _migrate_command(url: str, servers: Servers) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bugrelay", "migrate"],
        env={**os.environ, "DATABASE_URL": url, "REDIS_URL": servers.redis_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_until_queued(
    connection: psycopg.Connection[Any], table: str, migrating: subprocess.Popen[str]
) -> None:
    """Return when the migration waits for the table; it tries again and again, a moment each time."""
    while connection.execute(WAITING, (table,)).rowcount == 0:
        assert migrating.poll() is None, migrating.communicate()
        time.sleep(0.005)
