"""The outbox of notices: mails are rows, which are claimed for a while, sent, and closed.

A claim advances `due_at`, so that other workers do not claim the same mails; after a kill they are due again later,
under the same Message-ID.
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
CLAIMED_AT_ONCE = 20
FIRST_PAUSE = timedelta(minutes=2)  # longer than a claim takes, even if the mail server hangs
MAX_DOUBLINGS = 8
MAX_ATTEMPTS = 12  # over about two days
_UNSYNCHRONISED = {"synchronize_session": False}


async def claim_due(work: UnitOfWork) -> Sequence[UUID]:
    """Claim due mails and return their ids. Digests among them are sealed: they collect no more notices."""
    ids = await repository.lock_due_mails(work, limit=CLAIMED_AT_ONCE)
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
    """Close mails that were sent, or have no visible notices or no recipient any more."""
    await work.session.execute(
        update(NoticeMail).where(NoticeMail.id.in_(ids)).values(closed_at=func.now()),
        execution_options=_UNSYNCHRONISED,
    )


async def give_up(work: UnitOfWork, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Close the mails among these that have had `MAX_ATTEMPTS`; returns their ids."""
    giving_up = (
        update(NoticeMail)
        .where(NoticeMail.id.in_(ids), NoticeMail.attempts >= MAX_ATTEMPTS)
        .values(closed_at=func.now())
        .returning(NoticeMail.id)
    )
    return (await work.session.scalars(giving_up, execution_options=_UNSYNCHRONISED)).all()
