"""Databases that no test has migrated yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count

import psycopg
import pytest
from alembic import command

from bugrelay.infra.db.database import libpq_url
from bugrelay.migrate import alembic_config
from bugrelay.settings import load_settings
from tests.conftest import Servers, with_database

NewDatabase = Callable[[], str]


def migrate_to(revision: str, url: str) -> None:
    """Bring a database to an older schema."""
    command.upgrade(alembic_config(load_settings({"DATABASE_URL": url})), revision)


@pytest.fixture
def new_database(servers: Servers) -> Iterator[NewDatabase]:
    """`new_database()` makes an empty database and gives its URL."""
    admin_url = libpq_url(servers.database_url)
    names: list[str] = []

    def new_database() -> str:
        names.append(f"bugrelay_empty_{os.getpid()}_{next(_numbers)}")
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {names[-1]}")
        return with_database(admin_url, names[-1])

    yield new_database
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


_numbers = count()
