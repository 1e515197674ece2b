"""Flags, by which users report content; the flagged bugs are the moderators' queue."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.bugs.errors import BugNotFound, CommentNotFound
from bugrelay.domain.bugs.repository import comment_state
from bugrelay.domain.moderation.errors import AlreadyFlagged
from bugrelay.domain.moderation.events import BugFlagged, CommentFlagged
from bugrelay.domain.moderation.models import Flag
from bugrelay.domain.moderation.repository import lock_flagged_bug
from bugrelay.domain.moderation.service.audit import write_audit
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id


async def flag_bug(work: UnitOfWork, bug_id: UUID, *, user_id: UUID, reason: str, note: str | None) -> UUID:
    """Flag a bug, and return the flag's id.

    Raises:
        AlreadyFlagged, AccountBanned
    """
    await lock_active_user(work, user_id)
    flag_id = await _insert(work, bug_id=bug_id, comment_id=None, user_id=user_id, reason=reason, note=note)
    work.record(BugFlagged(bug_id=bug_id, actor_id=user_id))
    return flag_id


async def flag_comment(
    work: UnitOfWork, comment_id: UUID, *, user_id: UUID, reason: str, note: str | None
) -> UUID:
    """Flag a comment, and return the flag's id.

    Raises:
        CommentNotFound: It was withdrawn or removed meanwhile, or its bug was.
        AlreadyFlagged, AccountBanned
    """
    await lock_active_user(work, user_id)
    if await comment_state(work, comment_id) is None:
        raise CommentNotFound
    flag_id = await _insert(
        work, bug_id=None, comment_id=comment_id, user_id=user_id, reason=reason, note=note
    )
    work.record(CommentFlagged(comment_id=comment_id, actor_id=user_id))
    return flag_id


async def _insert(
    work: UnitOfWork,
    *,
    bug_id: UUID | None,
    comment_id: UUID | None,
    user_id: UUID,
    reason: str,
    note: str | None,
) -> UUID:
    flag = insert(Flag).values(
        id=new_id(), bug_id=bug_id, comment_id=comment_id, user_id=user_id, reason=reason, note=note
    )
    flag_id: UUID | None = await work.session.scalar(flag.on_conflict_do_nothing().returning(Flag.id))
    if flag_id is None:
        raise AlreadyFlagged
    return flag_id


async def flag_as_admin(work: UnitOfWork, admin_id: UUID, bug_id: UUID, *, reason: str) -> None:
    """Put a bug into the queue with a reason in the admin's own words; a repeat replaces the reason.

    Raises:
        BugNotFound, AccountBanned
    """
    await lock_active_user(work, admin_id)
    if not await lock_flagged_bug(work, bug_id):
        raise BugNotFound
    flag = insert(Flag).values(id=new_id(), bug_id=bug_id, user_id=admin_id, by_admin=True, reason=reason)
    await work.session.execute(
        flag.on_conflict_do_update(
            index_elements=[Flag.bug_id, Flag.user_id],
            set_={"reason": reason, "by_admin": True, "note": None},
        )
    )
    await write_audit(work.session, admin_id, "bug_flag", resource="bug", resource_id=bug_id, details=reason)
    work.record(BugFlagged(bug_id=bug_id, actor_id=admin_id))
