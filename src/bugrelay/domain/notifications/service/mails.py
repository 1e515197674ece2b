"""The outbox of notices: mails are rows, claimed for a while, sent, and closed.

A claim moves `due_at` on, so that whoever claims next leaves them alone; a worker that was killed leaves mails that are
due again later, under the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, update

from bugrelay.domain.notifications import repository
from bugrelay.domain.notifications.models import NoticeMail
from bugrelay.infra.db.unit_of_work import UnitOfWork

SEND_JOB = "notifications.send_mails"
CLAIMED = 20  # mails at once
FIRST_PAUSE = timedelta(minutes=2)  # longer than the mails of a claim take, even of a server that hangs
MAX_DOUBLINGS = 8
MAX_ATTEMPTS = 12  # over about two days
_UNSYNCHRONISED = {"synchronize_session": False}


async def claim_due(work: UnitOfWork) -> Sequence[UUID]:
    """The ids of mails to send now, which nobody else sends meanwhile; a digest among them takes nothing more in."""
    ids = await repository.lock_due_mails(work, limit=CLAIMED)
    if ids:
        pause = func.power(2, func.least(NoticeMail.attempts, MAX_DOUBLINGS)) * FIRST_PAUSE
        await work.session.execute(
            update(NoticeMail)
            .where(NoticeMail.id.in_(ids))
            .values(
                attempts=NoticeMail.attempts + 1,
                due_at=func.now() + pause,
                sealed_at=func.coalesce(NoticeMail.sealed_at, func.now()),
            ),
            execution_options=_UNSYNCHRONISED,
        )
    return ids


async def close(work: UnitOfWork, ids: Sequence[UUID]) -> None:
    """They were sent, or there is nothing left to tell, or nobody who is to be told."""
    await work.session.execute(
        update(NoticeMail).where(NoticeMail.id.in_(ids)).values(closed_at=func.now()),
        execution_options=_UNSYNCHRONISED,
    )


async def give_up(work: UnitOfWork, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Close those of these that were tried often enough; gives their ids."""
    giving_up = (
        update(NoticeMail)
        .where(NoticeMail.id.in_(ids), NoticeMail.attempts >= MAX_ATTEMPTS)
        .values(closed_at=func.now())
        .returning(NoticeMail.id)
    )
    return (await work.session.scalars(giving_up, execution_options=_UNSYNCHRONISED)).all()
