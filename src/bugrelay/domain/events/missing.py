"""Changes without an event: they are listed, and then written into the log, marked as `recorded_later`.

Functions of the database do it, since three callers share the list: the migration that creates the log, the job that
collects what an older release writes while it runs beside this one, and the demo.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import lowest_id_of

_LIST = text("SELECT list_missing_events(CAST(:since AS uuid))")
_RECORD = text("SELECT record_missing_events(:most)")


async def list_since(work: UnitOfWork, moment: datetime) -> None:
    """List what was written since then without an event; does nothing while the list is not empty."""
    await work.session.execute(_LIST, {"since": lowest_id_of(moment)})


async def record(work: UnitOfWork, *, most: int) -> int:
    """Write the oldest `most` changes of the list into the log, just before the COMMIT; returns their number."""
    return await work.session.scalar(_RECORD, {"most": most}) or 0
