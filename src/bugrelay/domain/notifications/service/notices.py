"""Marking notices as read."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, update

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.notifications.models import Notice
from bugrelay.infra.db.unit_of_work import UnitOfWork


async def mark_read(work: UnitOfWork, user_id: UUID, *, up_to: UUID) -> None:
    """Mark the notice and all older ones as read; newer ones, which the user has not seen yet, stay unread.

    Raises:
        AccountBanned
        InvalidToken: The account was erased meanwhile.
    """
    await lock_active_user(work, user_id)
    await work.session.execute(
        update(Notice)
        .where(Notice.user_id == user_id, Notice.id <= up_to, Notice.read_at.is_(None))
        .values(read_at=func.now()),
        execution_options={"synchronize_session": False},
    )
