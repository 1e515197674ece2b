"""Uploads that nobody completed go within a day; what a killed server left goes too, and `bugrelay check` agrees."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bugrelay.infra.platform import Platform
from bugrelay.integrity_check import problems
from bugrelay.worker import all_tasks
from tests.api.tickets.files.desk import LOG, Desk
from tests.domain.files.test_tasks import store

DAY = 24 * 3600


async def sweep(platform: Platform) -> None:
    periodic = all_tasks().periodic
    for name in ("tickets.delete_unfinished_uploads", "files.sweep_all"):
        await periodic[name].task(platform)


def age(path: Path, seconds: int) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


async def test_an_upload_that_nobody_completed_is_gone_in_a_day(
    folder_desk: Desk, platform: Platform
) -> None:
    desk = folder_desk
    home = desk.settings.bugrelay_home / "uploads"
    kept = await desk.attach("member")
    old, young = (await desk.announce("member")).json(), (await desk.announce("member")).json()
    for announced in (old, young):
        assert (await desk.put(announced, LOG)).status_code == 200
    desk.sql.execute(
        "UPDATE ticket_attachments SET created_at = now() - interval '23 hours' WHERE id <> %s",
        (young["attachment"]["id"],),
    )
    age(home / "incoming" / old["attachment"]["id"], DAY - 3600)
    await sweep(platform)
    left = {str(row[0]) for row in desk.sql.execute("SELECT id FROM ticket_attachments")}
    assert left == {kept["id"], young["attachment"]["id"]}
    assert await desk.stored("incoming") == [f"incoming/{young['attachment']['id']}"]
    assert (await desk.fetch(kept["downloadUrl"])).content == LOG
    assert (await desk.complete(young, "member")).status_code == 200
    assert (await desk.complete(old, "member")).status_code == 404
    assert await desk.stored("incoming") == []


async def test_check_knows_the_files_of_tickets(folder_desk: Desk, platform: Platform) -> None:
    desk = folder_desk
    home = desk.settings.bugrelay_home / "uploads"
    for _ in range(3):
        await desk.attach("member")
    announced = (await desk.announce("member")).json()
    await desk.put(announced, LOG)
    assert [one async for one in problems(platform)] == []

    rows = desk.sql.execute("SELECT id, storage_key FROM ticket_attachments WHERE storage_key IS NOT NULL")
    (missing, missing_key), (cut, cut_key), _ = sorted(rows, key=str)
    (home / missing_key).unlink()
    (home / cut_key).write_bytes(LOG[:-1])
    waiting = f"incoming/{announced['attachment']['id']}"
    age(home / waiting, DAY + 3 * 3600)
    left = store(desk.settings, age_seconds=DAY)
    desk.sql.execute("UPDATE tickets SET attachment_count = 7 WHERE id = %s", (desk.tickets["member"],))
    found = {one async for one in problems(platform)}
    since = next(one for one in found if one.startswith(f"file {waiting}: waits to be taken over since "))
    assert found - {since} == {
        f"ticket {desk.tickets['member']}: attachment_count is 7, its files are 3",
        f"file of a ticket {missing}: its file {missing_key} is missing",
        f"file of a ticket {cut}: its file {cut_key} has {len(LOG) - 1} bytes, not {len(LOG)}",
        f"file {left}: no attachment names it",
    }
