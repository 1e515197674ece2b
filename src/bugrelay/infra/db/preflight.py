"""Checks of the database before a command uses it; problems are reported in one line that names the setting."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bugrelay.infra.db.url import libpq_url
from bugrelay.settings import SettingError, Settings

MIN_VERSION = 15
WAIT_SECONDS = 10.0  # for a starting database; longer than what the supervisor counts as an early exit
_PAUSE_SECONDS = 0.25
_CONNECT_OPTIONS: dict[str, Any] = {
    "connect_timeout": 3,
    "application_name": "bugrelay",
    "client_encoding": "utf8",  # psycopg would return bytes for an SQL_ASCII database
    "options": "-c statement_timeout=3s",
}

# `reserved_connections` came with PostgreSQL 16.
_FACTS = """
    SELECT current_setting('server_version_num')::int AS version_number, current_setting('server_version') AS version,
           pg_encoding_to_char(encoding)::text AS encoding, datctype::text AS ctype,
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
               - coalesce(current_setting('reserved_connections', true)::int, 0) AS max_connections
    FROM pg_database WHERE datname = current_database()
"""
# Tested, because it depends on the locale provider as well as on LC_CTYPE.
_FOLDS_CASE = "SELECT lower('Ж') = 'ж' AS folds_case"


@dataclass(frozen=True, kw_only=True)
class DatabaseFacts:
    """Properties of a server and of one database.

    `version_number` is PostgreSQL's `server_version_num`; `max_connections` excludes reserved connections;
    `folds_case` is whether lower() works for letters beyond ASCII.
    """

    version_number: int
    version: str
    encoding: str
    ctype: str
    max_connections: int
    folds_case: bool = False


def require_database(settings: Settings, *, wait_seconds: float = 0) -> DatabaseFacts:
    """Connect to the database and check that BugRelay can use it.

    Args:
        settings: With `DATABASE_URL`.
        wait_seconds: How long to retry while the connection fails.

    Raises:
        SettingError: There is no such database, or BugRelay cannot use it.
    """
    until = time.monotonic() + wait_seconds
    while True:
        try:
            facts = _facts(settings.database_url)
        except psycopg.OperationalError as error:
            if time.monotonic() >= until:
                raise SettingError(f"DATABASE_URL: {first_line(error)}") from error
            time.sleep(_PAUSE_SECONDS)
        except psycopg.ProgrammingError as error:  # libpq would repeat the URL, and with it the password
            raise SettingError("DATABASE_URL is no URL that PostgreSQL's library can read") from error
        else:
            if problem := unfit(facts):
                raise SettingError(f"DATABASE_URL: {problem}")
            return facts


def unfit(facts: DatabaseFacts) -> str | None:
    """Why BugRelay cannot use this database, or None if it can."""
    if facts.version_number < MIN_VERSION * 10_000:
        return f"PostgreSQL {MIN_VERSION} or newer is needed, this is {facts.version}"
    if facts.encoding != "UTF8":
        return (
            f"the database has the encoding {facts.encoding}, and BugRelay needs UTF8;"
            " create it with ENCODING 'UTF8' TEMPLATE template0"
        )
    if not facts.folds_case:
        return (
            f"under LC_CTYPE {facts.ctype} the database takes 'Ж' and 'ж' for two letters in names and searches;"
            " create it with LC_CTYPE 'C.UTF-8' TEMPLATE template0"
        )
    return None


def first_line(error: BaseException | None) -> str:
    """The first line of an error's message, or its type if that is empty; further lines are details."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def is_fault_of_database(error: BaseException | None) -> bool:
    """Whether the cause of a failed migration is the database's operation: unavailable, locked, or lacking
    privileges."""
    return isinstance(
        error,
        psycopg.OperationalError | psycopg.errors.InsufficientPrivilege | psycopg.errors.FeatureNotSupported,
    )


def _facts(url: str) -> DatabaseFacts:
    with psycopg.connect(
        libpq_url(url), autocommit=True, row_factory=dict_row, **_CONNECT_OPTIONS
    ) as connection:
        (row,) = connection.execute(_FACTS).fetchall()
        if row["encoding"] == "UTF8":  # other encodings may not have the letter
            row |= connection.execute(_FOLDS_CASE).fetchall()[0]
    return DatabaseFacts(**row)
