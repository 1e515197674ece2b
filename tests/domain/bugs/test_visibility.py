"""What a viewer may see is one rule: its SQL and its predicate agree on every state that a bug can have."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from bugrelay.domain.bugs.models import Bug
from bugrelay.domain.bugs.repository import bug_state, visible_bug
from bugrelay.domain.bugs.visibility import LISTED, is_listed, is_visible_to
from bugrelay.infra.db.query import Query
from bugrelay.infra.platform import Platform
from bugrelay.infra.viewer import ANONYMOUS, Viewer
from tests.factories import report

VIEWERS = {"anonymous": ANONYMOUS, "admin": Viewer(is_admin=True)}
LISTED_IDS = Query(select(Bug.id.label("id")).where(LISTED), str)


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("removed", [False, True])
async def test_sql_and_predicate_agree(
    client: Any, platform: Platform, sql: psycopg.Connection[Any], removed: bool, merged: bool
) -> None:
    bug_id, survivor_id = [(await report(client))["id"] for _ in range(2)]
    sql.execute(
        "UPDATE bugs SET removed_at = CASE WHEN %s THEN now() END, merged_into_id = CASE WHEN %s THEN %s::uuid END"
        " WHERE id = %s",
        (removed, merged, survivor_id, bug_id),
    )
    bug = await bug_state(platform.database, bug_id)
    assert bug is not None
    for viewer in VIEWERS.values():
        seen = await visible_bug(platform.database, viewer, bug_id) is not None
        assert seen is is_visible_to(viewer, bug)
    listed = {str(one) for one in await platform.database.rows(LISTED_IDS)}
    assert (bug_id in listed) is is_listed(bug)
