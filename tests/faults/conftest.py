"""Servers that tests of faults may break, and a board in a process of its own before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.servers import Board, Postgres
from tests.infra.redis.server import Valkey


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One cluster for all; who stops or freezes it leaves it running."""
    postgres = Postgres()
    yield postgres
    postgres.remove()


@pytest.fixture(scope="session")
def own_valkey() -> Iterator[Valkey]:
    """As with the cluster."""
    valkey = Valkey()
    valkey.start()
    yield valkey
    valkey.remove()


@pytest.fixture
def rows(postgres: Postgres) -> Iterator[psycopg.Connection[Any]]:
    """A connection to look behind the scenes; each statement commits."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        yield connection


StartBoard = Callable[..., Board]


@pytest.fixture(scope="session")
def board(
    postgres: Postgres, own_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Board]:
    """A board for tests that leave it and what it stands on alone."""
    board = Board(database_url=postgres.url, redis_url=own_valkey.url, home=tmp_path_factory.mktemp("board"))
    board.start()
    yield board
    board.remove()
    assert board.complaints() == []


@pytest.fixture
def start_board(postgres: Postgres, own_valkey: Valkey, tmp_path: Path) -> Iterator[StartBoard]:
    """`start_board(DATABASE_URL=…)` starts one with other settings; at its end nothing unforeseen is in its log."""
    boards: list[Board] = []

    def start(**environment: str) -> Board:
        urls = {"DATABASE_URL": postgres.url, "REDIS_URL": own_valkey.url, **environment}
        home = tmp_path / str(len(boards))
        home.mkdir()
        board = Board(
            database_url=urls.pop("DATABASE_URL"), redis_url=urls.pop("REDIS_URL"), home=home, **urls
        )
        boards.append(board)
        board.start()
        return board

    yield start
    for board in boards:
        board.remove()
        assert board.complaints() == []
