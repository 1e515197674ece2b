"""Migrates a database to the newest schema, by the scripts in `migrations/`."""

from __future__ import annotations

import time

from alembic import command, op
from alembic.config import Config
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bugrelay.infra.db.revisions import scripts_folder
from bugrelay.settings import Settings

PATIENCE_SECONDS = 60
PAUSE_SECONDS = 1  # between two attempts, for transactions that waited for the first one


class MigrationError(Exception):
    """The database cannot be migrated; the text is one line for the person at the terminal."""


def alembic_config(settings: Settings) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", settings.database_url.replace("%", "%%"))
    return config


def migrate(settings: Settings, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Apply the missing migrations, if any; safe to call from several processes at once.

    A migration that does not get a lock at once is rolled back, so that no other transaction queues behind it, and
    tried again.

    Raises:
        MigrationError: It did not get its locks for `patience_seconds`. The migrations before it are applied.
    """
    deadline = time.monotonic() + patience_seconds
    while not _upgraded(settings):
        if time.monotonic() > deadline:
            raise MigrationError(
                f"a transaction that stays open (see pg_stat_activity) held what a migration must lock for"
                f" {patience_seconds:g} s; nothing is half done: end it, then migrate again"
            )
        time.sleep(PAUSE_SECONDS)


def _upgraded(settings: Settings) -> bool:
    """Apply the missing migrations; returns False if one did not get a lock."""
    try:
        command.upgrade(alembic_config(settings), "head")
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            return False
        raise
    return True


def create_functions(*names: str) -> None:
    """Create SQL functions, or replace their bodies, in this order; for migrations.

    Each function has one file in `migrations/sql/` with its current body, which the last migration that changed it
    runs.
    """
    for name in names:
        body = (scripts_folder() / "sql" / f"{name}.sql").read_text()
        op.get_bind().exec_driver_sql(body.replace("%", "%%"))  # there are no parameters, so % is escaped


def create_index_concurrently(
    name: str, table: str, *columns: str, where: str | None = None, unique: bool = False
) -> None:
    """Create an index without blocking writers; for migrations that do nothing else, since it is in no transaction.

    An index that an interrupted attempt has left invalid is replaced.
    """
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.create_index(
            name,
            table,
            list(columns),
            unique=unique,
            postgresql_concurrently=True,
            postgresql_where=None if where is None else text(where),
        )
