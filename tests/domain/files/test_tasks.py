"""Files that no row names go, and all others stay."""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.domain.files import tasks
from bugrelay.domain.files.repository import tables_that_name_files
from bugrelay.domain.files.tasks import sweep_all_files, sweep_files
from bugrelay.infra.platform import Platform
from bugrelay.infra.security.tokens import new_secret
from bugrelay.integrity_check import problems
from bugrelay.settings import Settings
from bugrelay.worker import all_tasks
from tests.api.v1.moderation.acts import attach
from tests.conftest import SignUp
from tests.factories import report

FOUR_HOURS = 4 * 3600
Sql = psycopg.Connection[Any]


def uploads(settings: Settings) -> Path:
    return settings.bugrelay_home / "uploads"


def store(settings: Settings, *, age_seconds: int, name: str | None = None) -> str:
    """The key of a new file."""
    key = f"bugs/{name or new_secret()}.png"
    path = uploads(settings) / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a picture")
    age(path, age_seconds)
    return key


def age(path: Path, seconds: int) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def keys(settings: Settings) -> set[str]:
    return {
        path.relative_to(uploads(settings)).as_posix()
        for path in uploads(settings).rglob("*")
        if path.is_file()
    }


async def test_an_old_file_that_no_row_names_is_deleted_and_check_agrees(
    platform: Platform, client: httpx.AsyncClient, sign_up: SignUp, settings: Settings
) -> None:
    ada = await sign_up("ada")
    bug = await report(client, ada)
    picture = await attach(client, ada, bug["id"])
    named = picture["file_url"].removeprefix("/uploads/")
    age(uploads(settings) / named, FOUR_HOURS)
    unnamed = store(settings, age_seconds=FOUR_HOURS)
    assert [one async for one in problems(platform)] == [f"file {unnamed}: no attachment names it"]
    await sweep_all_files(platform)
    assert keys(settings) == {named}
    assert [one async for one in problems(platform)] == []


async def test_a_file_whose_row_may_be_on_its_way_stays(platform: Platform, settings: Settings) -> None:
    young = store(settings, age_seconds=2 * 3600)
    await sweep_all_files(platform)
    assert keys(settings) == {young}


async def test_a_file_that_is_not_of_our_making_stays(platform: Platform, settings: Settings) -> None:
    foreign = store(settings, age_seconds=FOUR_HOURS, name="logo-of-the-company")
    await sweep_all_files(platform)
    assert keys(settings) == {foreign}


async def test_each_job_does_a_batch_and_asks_for_the_next(
    platform: Platform, settings: Settings, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 2)
    stored = sorted(store(settings, age_seconds=FOUR_HOURS) for _ in range(5))
    await sweep_all_files(platform)
    assert keys(settings) == set(stored[2:])
    for last in (stored[1], stored[3]):
        asked = sql.execute("DELETE FROM procrastinate_jobs RETURNING task_name, args").fetchall()
        assert asked == [(tasks.SWEEP_JOB, {"after": last})]
        await sweep_files(platform, after=last)
    assert keys(settings) == set()
    assert sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)


async def test_files_of_another_database_are_left_alone(
    platform: Platform, settings: Settings, job_log: Sequence[MutableMapping[str, Any]]
) -> None:
    """As after a restore of the files alone: nothing is named, so everything would go."""
    stored = {store(settings, age_seconds=FOUR_HOURS) for _ in range(tasks.MAX_UNNAMED + 1)}
    await sweep_all_files(platform)
    assert keys(settings) == stored
    assert [line["event"] for line in job_log if line["log_level"] == "error"] == ["most_files_unnamed"]


def test_every_table_with_a_file_is_asked(sql: Sql) -> None:
    found = sql.execute(
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name ~ 'storage_key' ORDER BY 1"
    ).fetchall()
    named = ["attachments", "support_screenshots", "ticket_attachments"]
    assert [name for (name,) in found] == tables_that_name_files() == named


def test_a_worker_sweeps_periodically() -> None:
    assert "files.sweep_all" in all_tasks().periodic
    assert tasks.SWEEP_JOB in all_tasks().by_name
