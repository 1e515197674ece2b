"""What has happened and has no event, listed and then written into the log, marked as `recorded_later`.

Functions of the database do it, for there is one list for whoever finds what is missing: the migration that begins the
log, the job that looks for what a former release writes beside this one, and the demo.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import lowest_id_of

_LIST = text("SELECT list_missing_events(CAST(:since AS uuid))")
_RECORD = text("SELECT record_missing_events(:most)")


async def list_since(work: UnitOfWork, moment: datetime) -> None:
    """List what was written since then without an event; nothing while something is listed."""
    await work.session.execute(_LIST, {"since": lowest_id_of(moment)})


async def record(work: UnitOfWork, *, most: int) -> int:
    """Write the oldest of what is listed into the log, just before the COMMIT; gives how many there were."""
    return await work.session.scalar(_RECORD, {"most": most}) or 0
