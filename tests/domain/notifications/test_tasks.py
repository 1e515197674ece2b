"""What workers forget of notices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from bugrelay.domain.notifications import tasks
from bugrelay.infra.ids import lowest_id_of
from bugrelay.infra.platform import Platform
from tests.factories import put_application, put_bug
from tests.races.test_notices import an_event, announce, put_followers

Sql = psycopg.Connection[Any]


async def test_old_notices_are_deleted_with_their_mails_and_fan_outs(
    platform: Platform, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AT_ONCE", 3)
    bug_id = put_bug(sql, put_application(sql))
    put_followers(sql, bug_id, 10, verified=True)
    for seq in (1, 2):
        await announce(platform, an_event(bug_id, seq, kind="status.changed"))
    for (fan_out_id,) in sql.execute("SELECT id FROM notice_fan_outs ORDER BY seq").fetchall():
        await tasks.fan_out(platform, fan_out_id=str(fan_out_id))
    _make_old(sql, days=92)
    await tasks.clean_up(platform)
    kept = "SELECT (SELECT array_agg(seq) FROM notice_fan_outs), (SELECT count(*) FROM notices), (SELECT count(*) FROM notice_mails)"
    assert sql.execute(kept).fetchone() == ([2], 10, 10)


def _make_old(sql: Sql, *, days: int) -> None:
    """The first event, its notices and its mails were made so many days ago, and are named so."""
    oldest = lowest_id_of(datetime.now(UTC) - timedelta(days=days))
    with sql.transaction():
        sql.execute("SET LOCAL session_replication_role = replica")
        sql.execute("UPDATE notice_fan_outs SET id = %s WHERE seq = 1", (oldest,))
        rows = sql.execute(
            "SELECT id FROM notices WHERE fan_out_id NOT IN (SELECT id FROM notice_fan_outs)"
        ).fetchall()
        for number, (notice_id,) in enumerate(rows, 1):
            moved = UUID(int=oldest.int + number)
            sql.execute("UPDATE notice_mails SET id = %s WHERE id = %s", (moved, notice_id))
            sql.execute(
                "UPDATE notices SET id = %s, mail_id = %s, fan_out_id = %s WHERE id = %s",
                (moved, moved, oldest, notice_id),
            )
