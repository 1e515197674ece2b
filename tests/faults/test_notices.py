"""A worker killed while it tells many people: everybody is told once, and mailed under one name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bugrelay.bootstrap import build
from bugrelay.settings import load_settings
from tests.conftest import TEST_ENVIRONMENT, empty
from tests.factories import put_application, put_bug
from tests.faults.servers import Postgres, worker
from tests.infra.mail.postbox import Postbox, comes_true
from tests.infra.redis.server import Valkey
from tests.races.test_notices import an_event, announce, put_followers

Rows = psycopg.Connection[Any]
MANY, MAILED = 20_000, 50


@pytest.fixture
def environment(postgres: Postgres, own_valkey: Valkey, tmp_path: Path) -> dict[str, str]:
    urls = {"DATABASE_URL": postgres.url, "REDIS_URL": own_valkey.url, "BUGRELAY_HOME": str(tmp_path)}
    return {**os.environ, **TEST_ENVIRONMENT, **urls}


async def test_a_killed_fan_out_resumes_at_its_position(
    environment: dict[str, str], rows: Rows, tmp_path: Path
) -> None:
    empty(rows)
    bug_id = put_bug(rows, put_application(rows))
    put_followers(rows, bug_id, MANY - MAILED, verified=False)
    put_followers(rows, bug_id, MAILED, verified=True)
    platform = build(replace(load_settings(environment), workers=1))
    await announce(platform, an_event(bug_id, 1, kind="status.changed"))
    await platform.close()

    def state() -> tuple[Any, ...]:
        row = rows.execute(
            "SELECT position IS NOT NULL, finished_at IS NOT NULL FROM notice_fan_outs"
        ).fetchone()
        return row or ()

    with worker(environment, tmp_path / "first.log") as process:
        await comes_true(lambda: state()[0], seconds=60)
        process.kill()
        process.wait()
    assert not state()[1], "it was over before it was killed"
    before = rows.execute(
        "SELECT count(*) % 1000, count(*) FILTER (WHERE user_id > position) FROM notices, notice_fan_outs"
    ).fetchone()
    assert before == (0, 0)
    with worker(environment, tmp_path / "second.log"):
        await comes_true(lambda: state()[1], seconds=90)
        postbox = Postbox(tmp_path)
        await comes_true(lambda: len(postbox.mails()) == MAILED, seconds=60)
        unsent = "SELECT count(*) FROM notice_mails WHERE closed_at IS NULL"
        await comes_true(lambda: rows.execute(unsent).fetchone() == (0,), seconds=60)
    told = rows.execute("SELECT count(*), count(DISTINCT user_id) FROM notices").fetchone()
    assert told == (MANY, MANY)
    assert len({mail["Message-ID"] for mail in postbox.mails()}) == MAILED
    assert len({mail["To"] for mail in postbox.mails()}) == MAILED
