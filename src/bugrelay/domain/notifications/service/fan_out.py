"""Tell everybody who follows a bug of an event, a thousand people a transaction."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Integer, Uuid, bindparam, func, select

from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork

STEP = 1000  # people


class Step(Row):
    """What a step did: how many were told, how many mails are due at once, and whether all have been told."""

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


async def tell_next(work: UnitOfWork, fan_out_id: UUID) -> Step:
    """Tell the next thousand; the function `notice_fan_out` (migrations/sql) finds, tells and remembers them.

    Notices, mails and the position are one transaction, so that a worker that is killed tells nobody twice, and the
    next one goes on where it was.
    """
    step = await work.row(_STEP, {"fan_out_id": fan_out_id, "most": STEP})
    assert step is not None  # noqa: S101 - the function gives one row, whatever it found
    return step
