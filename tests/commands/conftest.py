"""The commands as an operator runs them: a process of their own on this test's empty board."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bugrelay.bootstrap import build
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.conftest import TEST_ENVIRONMENT

# What production asks for beyond the stores and the key.
PRODUCTION = {
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://bugs.example",
    "MAIL_URL": "smtp://127.0.0.1:1",
    "CAPTCHA": "off",
}


@dataclass(frozen=True)
class Outcome:
    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()


@dataclass(frozen=True)
class Commands:
    """Runs `bugrelay …` on the servers of the tests."""

    environment: dict[str, str]

    def run(self, *arguments: str, stdin: bytes = b"", **environment: str) -> Outcome:
        process = self.start(*arguments, **environment)
        stdout, stderr = process.communicate(stdin, timeout=60)
        return Outcome(process.returncode, stdout.decode(), stderr.decode())

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "bugrelay", *arguments],
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


@pytest.fixture
def commands(settings: Settings, empty_board: None) -> Commands:
    return Commands(
        {
            **TEST_ENVIRONMENT,
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "BUGRELAY_HOME": str(settings.bugrelay_home),
        }
    )


@pytest.fixture
async def platform(settings: Settings, empty_board: None) -> AsyncIterator[Platform]:
    """What a command calls its services with, in this process: a fraction of the time of a process of its own."""
    platform = build(settings)
    await platform.start()
    yield platform
    await platform.close()


def a_line(**changes: Any) -> dict[str, Any]:
    """A line of an import that needs no reshaping; None takes a field away."""
    line = {
        "external_id": "tracker-1",
        "title": "Crash when saving a draft",
        "description": "Saving a draft closes the window at once.",
        "application_name": "Notebook",
        **changes,
    }
    return {name: value for name, value in line.items() if value is not None}


def joined(lines: Iterable[Any]) -> bytes:
    """The content of a file: an object is written as JSON, bytes as they are."""
    return b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )


Write = Callable[[Iterable[Any]], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write lines to a file and give its path."""

    def write(lines: Iterable[Any]) -> str:
        path = tmp_path / "bugs.jsonl"
        path.write_bytes(joined(lines))
        return str(path)

    return write


def stored(sql: psycopg.Connection[Any], columns: str) -> list[tuple[Any, ...]]:
    """Columns of all bugs with their texts and applications, in the order of their external ids."""
    return sql.execute(
        f"SELECT {columns} FROM bugs b JOIN bug_texts t ON t.bug_id = b.id"  # type: ignore[arg-type]
        " JOIN applications a ON a.id = b.application_id ORDER BY b.external_id"
    ).fetchall()
