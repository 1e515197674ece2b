"""A database that BugRelay cannot use ends every command with one line that names the setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from bugrelay.infra.db.database import libpq_url
from tests.commands.runner import Commands
from tests.conftest import Servers
from tests.embedded.test_supervisor import free_port

COMMANDS = ("serve", "worker", "migrate", "check", "run")
LIBC_C = "TEMPLATE template0 LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"

CreateDatabase = Callable[[str], str]


@pytest.fixture
def create_database(servers: Servers) -> Iterator[CreateDatabase]:
    """`create_database("ENCODING …")` gives the URL of an empty database with these options."""
    url = libpq_url(servers.database_url)
    name = sql.Identifier("bugrelay_test_unfit")

    def create(options: str) -> str:
        admin.execute(sql.SQL("CREATE DATABASE {} {}").format(name, sql.SQL(options)))  # type: ignore[arg-type]
        return url.replace(f"/{conninfo_to_dict(url)['dbname']}", f"/{name.as_string(None)[1:-1]}", 1)

    with psycopg.connect(url, autocommit=True) as admin:
        yield create
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def assert_each_ends(commands: Commands, url: str, *words: str) -> None:
    """All at once: some wait a while for a database that is away."""
    started = [commands.start(each, DATABASE_URL=url, PORT=str(free_port())) for each in COMMANDS]
    for name, process in zip(COMMANDS, started, strict=True):
        stdout, stderr = process.communicate(timeout=120)
        assert (process.returncode, stdout) == (1, b""), name
        (line,) = stderr.decode().splitlines()
        assert "DATABASE_URL" in line
        assert all(word in line for word in words), line


def test_a_database_that_is_down(commands: Commands) -> None:
    url = f"postgresql://somebody:hidden@127.0.0.1:{free_port()}/bugrelay"
    assert_each_ends(commands, url, "Connection refused")


def test_an_encoding_other_than_utf_8(commands: Commands, create_database: CreateDatabase) -> None:
    url = create_database(f"ENCODING 'SQL_ASCII' {LIBC_C}")
    assert_each_ends(commands, url, "SQL_ASCII", "ENCODING 'UTF8'")


def test_a_ctype_that_knows_ascii_alone(commands: Commands, create_database: CreateDatabase) -> None:
    url = create_database(f"ENCODING 'UTF8' {LIBC_C}")
    assert_each_ends(commands, url, "LC_CTYPE C ", "LC_CTYPE 'C.UTF-8'")


def test_a_url_that_is_none_is_not_repeated(commands: Commands) -> None:
    ended = commands.run("migrate", DATABASE_URL="postgresql://somebody:hidden@db:port/bugrelay")
    assert ended.code == 1
    (line,) = ended.stderr.splitlines()
    assert "DATABASE_URL" in line
    assert "hidden" not in line


def test_a_role_that_may_not_create_tables(
    commands: Commands, create_database: CreateDatabase, servers: Servers
) -> None:
    url = create_database("")
    role = "bugrelay_test_reader"
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'hidden'")  # type: ignore[arg-type]
        try:
            ended = commands.run("migrate", DATABASE_URL=as_role(url, role))
        finally:
            owner.execute(f"DROP ROLE {role}")  # type: ignore[arg-type]
    assert (ended.code, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert "DATABASE_URL: the migration failed: permission denied" in line


def as_role(url: str, role: str) -> str:
    parts = conninfo_to_dict(url)
    where = f"?host={parts['host']}" if parts["host"].startswith("/") else ""
    server = "" if where else f"{parts['host']}:{parts.get('port', 5432)}"
    return f"postgresql://{role}:hidden@{server}/{parts['dbname']}{where}"
