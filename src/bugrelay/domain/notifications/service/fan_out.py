"""The fan-out of an event to all followers of a bug or ticket, a thousand people in each transaction."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Integer, Uuid, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork

STEP = 1000  # people


class Step(Row):
    """The result of a step: how many were notified, how many mails are due now, and whether it was the last."""

    told: int
    due: int
    finished: bool


_STEP = Query(
    select(
        func.notice_fan_out(
            bindparam("fan_out_id", type_=Uuid), bindparam("most", type_=Integer)
        ).table_valued("told", "due", "finished")
    ),
    Step,
)
_LOCK = text("SELECT pg_advisory_xact_lock(7203477)")  # of notice_fan_out


async def lock_fan_outs(session: AsyncSession) -> None:
    """Wait for the running step, and let none begin until the transaction ends."""
    await session.execute(_LOCK)


async def run_step(work: UnitOfWork, fan_out_id: UUID) -> Step:
    """Notify the next thousand recipients, with the function `notice_fan_out` (migrations/sql).

    Notices, mails and the position are written in one transaction, so that after a kill nobody is notified twice, and
    the next worker continues at the position.
    """
    step = await work.row(_STEP, {"fan_out_id": fan_out_id, "most": STEP})
    assert step is not None  # noqa: S101 - the function always returns one row
    return step
