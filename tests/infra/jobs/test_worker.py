"""`bugrelay worker`, the real process: stopped, and killed in the middle of its work."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bugrelay.bootstrap import build
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import MAIL_QUEUE
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.conftest import TEST_ENVIRONMENT
from tests.faults.proxy import FaultProxy
from tests.faults.servers import Postgres
from tests.infra.mail.postbox import Postbox, comes_true, token_in
from tests.infra.mail.server import MailServer

Sql = psycopg.Connection[Any]
MAILS_OF_A_KILL = 20

WORKER = ["-m", "bugrelay", "worker"]
# One that would wait for an hour for a job to finish.
_PATIENT = "from bugrelay.cli import main; from bugrelay.infra.jobs import worker; worker.STOP_SECONDS = 3600"
PATIENT_WORKER = ["-c", f"{_PATIENT}; main(['worker'])"]


@contextmanager
def worker_process(
    settings: Settings, log: Path, *, program: Sequence[str] = WORKER, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Killed at the end, unless it has ended by itself."""
    urls = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    home = {"BUGRELAY_HOME": str(settings.bugrelay_home)}
    env = {**os.environ, **TEST_ENVIRONMENT, **urls, **home, **environment}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *program], env=env, cwd=settings.bugrelay_home, stderr=output
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def put_people(sql: Sql, count: int, *, after: int = 0) -> list[str]:
    """Accounts of `p<n>@people.example`, with n from `after + 1` up."""
    rows = sql.execute(
        "INSERT INTO users (id, email, email_key, username) SELECT gen_random_uuid(), 'p' || n || '@people.example',"
        " 'p' || n || '@people.example', 'person' || n FROM generate_series(%s + 1, %s) AS n RETURNING id::text",
        (after, after + count),
    ).fetchall()
    return [row[0] for row in rows]


async def ask_for_mails(platform: Platform, people: list[str]) -> None:
    async with platform.work() as work:
        for person in people:
            await platform.jobs.add(
                work.session, "accounts.mail_link", queue=MAIL_QUEUE,
                user_id=person, link_id=str(new_id()), purpose="verify_email",
            )  # fmt: skip


def jobs_left(sql: Sql) -> int:
    row = sql.execute(
        "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'accounts.mail_link'"
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
async def test_kills_lose_no_mail_and_double_none(
    platform: Platform, settings: Settings, sql: Sql, postbox: Postbox, tmp_path: Path, kills: int
) -> None:
    """A mail is a file under its stable name; whatever is written twice is the same file."""
    people = put_people(sql, kills * MAILS_OF_A_KILL)
    log = tmp_path / "worker.log"
    for kill in range(kills):
        await ask_for_mails(platform, people[kill * MAILS_OF_A_KILL : (kill + 1) * MAILS_OF_A_KILL])
        left = jobs_left(sql)
        with worker_process(settings, log) as process:
            # It is killed while it works: once it has begun with what was left for it.
            await comes_true(lambda left=left: jobs_left(sql) < left, seconds=120)
            await asyncio.sleep(random.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    with worker_process(settings, log):
        await comes_true(lambda: jobs_left(sql) == 0, seconds=60)
    mails = postbox.mails()
    assert {str(mail["To"]) for mail in mails} == {f"p{n}@people.example" for n in range(1, len(people) + 1)}
    assert len(mails) == len(people)
    assert all(path.suffix == ".eml" for path in (settings.bugrelay_home / "mail").iterdir())
    told = log.read_text()
    assert "people.example" not in told
    assert not any(token_in(mail) in told for mail in mails)


async def test_sigterm_lets_a_job_finish_and_exits_0(
    platform: Platform, settings: Settings, sql: Sql, mail_server: MailServer, tmp_path: Path
) -> None:
    mail_server.mood = "slow"
    log = tmp_path / "worker.log"
    await ask_for_mails(platform, put_people(sql, 1))
    with worker_process(settings, log, MAIL_URL=mail_server.url) as process:
        await comes_true(lambda: mail_server.attempts == 1, seconds=120)
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 60)
        assert process.returncode == 0, log.read_text()
    assert len(mail_server.received) == 1
    assert jobs_left(sql) == 0
    assert "worker_stopped" in log.read_text()


async def test_sighup_stops_nothing(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with worker_process(settings, log) as process:
        await comes_true(lambda: "worker_started" in log.read_text(), seconds=120)
        process.send_signal(signal.SIGHUP)  # delivered before SIGTERM, whose number is higher
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0, log.read_text()


async def test_sigterm_while_idle_waits_for_nothing(
    platform: Platform, settings: Settings, sql: Sql, postbox: Postbox, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    await ask_for_mails(platform, put_people(sql, 1))
    with worker_process(settings, log, program=PATIENT_WORKER) as process:
        await comes_true(lambda: jobs_left(sql) == 0, seconds=120)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 120) == 0, log.read_text()
    assert len(postbox.mails()) == 1


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    postgres = Postgres()
    yield postgres
    postgres.remove()


async def test_a_worker_waits_for_a_database_that_is_away(
    settings: Settings, own_postgres: Postgres, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    async with FaultProxy(own_postgres.socket) as proxy:
        away = {"DATABASE_URL": own_postgres.url_through(proxy.port)}
        proxy.set_mode("reset")
        with worker_process(settings, log, **away) as process:
            await comes_true(lambda: proxy.connections > 1, seconds=60)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, 60)
            assert process.returncode == 0, log.read_text()
        asked = proxy.connections
        with worker_process(settings, log, **away) as process:
            await comes_true(lambda: proxy.connections > asked, seconds=60)
            proxy.set_mode("pass")
            await comes_true(lambda: "worker_started" in log.read_text(), seconds=60)
            proxy.set_mode("reset")  # once it has begun it outlasts any time without a database
            await comes_true(lambda: "worker_interrupted" in log.read_text(), seconds=60)
            assert process.poll() is None


async def test_a_restart_of_postgresql_is_survived(
    settings: Settings, tmp_path: Path, postbox: Postbox
) -> None:
    postgres = Postgres()
    own = replace(settings, database_url=postgres.url)
    platform = build(own)
    try:
        with worker_process(own, tmp_path / "worker.log") as process:
            for mails in (2, 4):
                with psycopg.connect(postgres.url, autocommit=True) as sql:
                    await ask_for_mails(platform, put_people(sql, 2, after=mails))
                    await comes_true(lambda mails=mails: len(postbox.mails()) == mails, seconds=120)
                postgres.stop()
                postgres.start()
            assert process.poll() is None
    finally:
        await platform.close()
        postgres.remove()
