"""A setting that cannot be used ends the start with one line that names it."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx
import pytest

import bugrelay
from tests.commands.conftest import PRODUCTION
from tests.commands.runner import Commands
from tests.embedded.test_supervisor import free_port
from tests.factories import register, report


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        ("run", "PORT", "eighty"),
        ("serve", "MAIL_URL", "smtp://"),
        ("worker", "MAIL_FROM", "nobody in particular"),
        ("serve", "UPLOAD_URL", "file://not/absolute"),
        ("serve", "REDIS_URL", "rediss://cache.example?ssl_ca_certs=/nowhere.pem"),
    ],
)
def test_a_bad_setting_is_told_in_one_line(command: str, name: str, value: str) -> None:
    away = {"DATABASE_URL": "postgresql://127.0.0.1:1/nowhere", "REDIS_URL": "redis://127.0.0.1:1"}
    ended = subprocess.run(
        [sys.executable, "-m", "bugrelay", command],
        env={**os.environ, **away, name: value},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    assert name in lines[0]


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "MAIL_URL"])
@pytest.mark.parametrize("command", ["serve", "worker", "migrate"])
def test_production_starts_with_nothing_important_missing(
    commands: Commands, command: str, name: str
) -> None:
    ended = commands.run(command, **{**PRODUCTION, name: ""})
    assert (ended.code, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert f"{name} must be set when ENVIRONMENT=production" in line


def test_version_says_which_one_it_is(commands: Commands) -> None:
    ended = commands.run("--version")
    assert (ended.code, ended.stdout, ended.stderr) == (0, f"bugrelay {bugrelay.__version__}\n", "")


@pytest.mark.parametrize(("role", "said"), [("admin", "an admin"), ("member", "a member")])
async def test_who_is_put_into_a_company_is_told_in_english(
    commands: Commands, client: httpx.AsyncClient, role: str, said: str
) -> None:
    await register(client, "ada", email="ada@notebook.example")
    await report(client, application_url="https://notebook.example")
    arguments = ["--company", "notebook.example", "--email", "ada@notebook.example", "--role", role]
    ended = commands.run("add-member", *arguments)
    assert ended.stdout == f"ada@notebook.example is {said} of notebook.example\n", ended.stderr


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_production_warns_of_what_is_seldom_meant_and_goes_on(commands: Commands, command: str) -> None:
    with commands.start(command, **PRODUCTION, PORT=str(free_port())) as process:
        try:
            assert process.stderr is not None
            doubts = []
            while len(doubts) < 3:
                line = process.stderr.readline().decode()
                assert line, "it ended"
                doubts += [line] if "setting_doubtful" in line else []
        finally:
            process.terminate()
    assert "UPLOAD_URL" in doubts[0]
    assert "ALLOWED_HOSTS" in doubts[1]
    assert "ENCRYPTION_KEYS" in doubts[2]


def test_a_server_that_may_ask_for_more_connections_than_there_are_says_so(commands: Commands) -> None:
    with commands.start("serve", DATABASE_POOL="100000", PORT=str(free_port())) as process:
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if b"setting_doubtful" in line)
        finally:
            process.terminate()
    assert b"DATABASE_POOL: this server may ask for 100000 connections, PostgreSQL has " in line
