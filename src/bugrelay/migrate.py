"""Bring a database to the newest schema, by the scripts in `migrations/`."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy.exc import OperationalError

from bugrelay.settings import Settings

_PACKAGE = Path(__file__).parent
_IN_A_WHEEL = _PACKAGE / "_migrations"  # pyproject.toml puts them there
_IN_A_CHECKOUT = _PACKAGE.parents[1] / "migrations"

PATIENCE_SECONDS = 60
PAUSE_SECONDS = 1  # between two attempts, for transactions that waited for the first one


class MigrationError(Exception):
    """The database cannot be migrated; the text is one line for the person at the terminal."""


def scripts_folder() -> Path:
    """The folder of `env.py`, `versions/` and `sql/`: in the installed package, or at the top of a checkout."""
    return _IN_A_WHEEL if _IN_A_WHEEL.is_dir() else _IN_A_CHECKOUT


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


@lru_cache(maxsize=1)
def outgrown_revisions() -> frozenset[str]:
    """The revisions that are too old for this release; any other is its own, or that of a newer release."""
    scripts = ScriptDirectory(str(scripts_folder()))
    return frozenset(script.revision for script in scripts.walk_revisions()) - set(scripts.get_heads())


def create_functions(*names: str) -> None:
    """Create SQL functions, or replace their bodies, in this order; for migrations.

    Each function has one file in `migrations/sql/` with its current body, which the last migration that changed it
    runs.
    """
    for name in names:
        body = (scripts_folder() / "sql" / f"{name}.sql").read_text()
        op.get_bind().exec_driver_sql(body.replace("%", "%%"))  # there are no parameters, so % is escaped
