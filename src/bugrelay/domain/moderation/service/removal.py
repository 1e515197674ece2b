"""Remove bugs and comments from the board, and restore them. Nothing is deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import update

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.bugs.errors import BugNotFound, CommentNotFound
from bugrelay.domain.bugs.events import BugRemoved, BugRestored, CommentRemoved, CommentRestored
from bugrelay.domain.bugs.models import Bug, Comment
from bugrelay.domain.moderation.errors import AlreadyRemoved, BugNotDeleted, CommentNotDeleted
from bugrelay.domain.moderation.repository import lock_chain, lock_comment
from bugrelay.domain.moderation.schemas import ModeratedState, RemovalState
from bugrelay.domain.moderation.service.audit import write_audit
from bugrelay.domain.moderation.service.lock import begin_act
from bugrelay.domain.moderation.service.merge_chain import displayed_on, recount
from bugrelay.domain.moderation.service.merge_transfer import restore_content, transfer_content
from bugrelay.domain.moderation.service.notes import hide_note, show_note
from bugrelay.infra.db.unit_of_work import UnitOfWork

_UNSYNCHRONISED = {"synchronize_session": False}


async def remove_bug(work: UnitOfWork, admin_id: UUID, bug_id: UUID, *, reason: str) -> None:
    """Remove a bug from every public view; if it is merged, also its comments, pictures and note from the target.

    Raises:
        BugNotFound, AlreadyRemoved, AccountBanned
    """
    await begin_act(work, admin_id)
    chain = await _chain(work, bug_id)
    if chain[0].is_removed:
        raise AlreadyRemoved
    removed_at = datetime.now(UTC)
    await _set_removed(work, bug_id, removed_at, reason)
    if len(chain) > 1:
        await restore_content(work, source_id=bug_id, shown_with=displayed_on(chain))
        await hide_note(work, bug_id)
        await recount(work, (bug.id for bug in chain))
    await write_audit(
        work.session,
        admin_id,
        "bug_remove",
        resource="bug",
        resource_id=bug_id,
        details=reason,
        before={"removed_at": None},
        after={"removed_at": removed_at},
    )
    work.record(
        BugRemoved(
            bug_id=bug_id,
            company_id=chain[0].assigned_company_id,
            chain=tuple(bug.id for bug in chain),
            removed_at=removed_at,
            actor_id=admin_id,
        )
    )


async def restore_bug(work: UnitOfWork, admin_id: UUID, bug_id: UUID) -> None:
    """Restore a removed bug as it was.

    Raises:
        BugNotFound, BugNotDeleted, AccountBanned
    """
    await begin_act(work, admin_id)
    chain = await _chain(work, bug_id)
    if not chain[0].is_removed:
        raise BugNotDeleted
    await _set_removed(work, bug_id, None, None)
    if len(chain) > 1:
        await transfer_content(work, source_id=bug_id, to=displayed_on(chain[1:]))
        await show_note(work, bug_id)
        await recount(work, (bug.id for bug in chain))
    await write_audit(
        work.session,
        admin_id,
        "bug_restore",
        resource="bug",
        resource_id=bug_id,
        before={"removed_at": chain[0].removed_at},
        after={"removed_at": None},
    )
    work.record(
        BugRestored(
            bug_id=bug_id,
            company_id=chain[0].assigned_company_id,
            chain=tuple(bug.id for bug in chain),
            actor_id=admin_id,
        )
    )


async def _chain(work: UnitOfWork, bug_id: UUID) -> list[ModeratedState]:
    chain = await lock_chain(work, bug_id)
    if not chain:
        raise BugNotFound
    return chain


async def _set_removed(
    work: UnitOfWork, bug_id: UUID, removed_at: datetime | None, reason: str | None
) -> None:
    await work.session.execute(
        update(Bug).where(Bug.id == bug_id).values(removed_at=removed_at, removed_reason=reason),
        execution_options=_UNSYNCHRONISED,
    )


async def remove_comment(work: UnitOfWork, admin_id: UUID, comment_id: UUID, *, reason: str) -> None:
    """Remove a comment from the bug and from its count.

    Raises:
        CommentNotFound, AccountBanned
        AlreadyRemoved: Its author has withdrawn it, or an admin has removed it.
    """
    comment = await _lock_comment(work, admin_id, comment_id)
    if comment.removed_at is not None:
        raise AlreadyRemoved
    now = datetime.now(UTC)
    company_id = await _set_comment_removed(work, comment_id, comment.bug_id, now)
    await write_audit(
        work.session,
        admin_id,
        "comment_remove",
        resource="comment",
        resource_id=comment_id,
        details=reason,
        before={"removed_at": None},
        after={"removed_at": now},
    )
    work.record(
        CommentRemoved(
            comment_id=comment_id,
            bug_id=comment.bug_id,
            company_id=company_id,
            removed_at=now,
            actor_id=admin_id,
        )
    )


async def restore_comment(work: UnitOfWork, admin_id: UUID, comment_id: UUID, *, reason: str) -> None:
    """Restore a comment.

    Raises:
        CommentNotFound, AccountBanned
        CommentNotDeleted: No admin has removed it; what its author withdrew stays withdrawn.
    """
    comment = await _lock_comment(work, admin_id, comment_id)
    if comment.moderated_at is None:
        raise CommentNotDeleted
    company_id = await _set_comment_removed(work, comment_id, comment.bug_id, None)
    await write_audit(
        work.session,
        admin_id,
        "comment_restore",
        resource="comment",
        resource_id=comment_id,
        details=reason,
        before={"removed_at": comment.removed_at},
        after={"removed_at": None},
    )
    work.record(
        CommentRestored(
            comment_id=comment_id, bug_id=comment.bug_id, company_id=company_id, actor_id=admin_id
        )
    )


async def _lock_comment(work: UnitOfWork, admin_id: UUID, comment_id: UUID) -> RemovalState:
    await lock_active_user(work, admin_id)
    comment = await lock_comment(work, comment_id)
    if comment is None:
        raise CommentNotFound
    return comment


async def _set_comment_removed(
    work: UnitOfWork, comment_id: UUID, bug_id: UUID, removed_at: datetime | None
) -> UUID | None:
    """Set `removed_at`, update the bug's count, and return the id of the bug's company."""
    await work.session.execute(
        update(Comment)
        .where(Comment.id == comment_id)
        .values(removed_at=removed_at, moderated_at=removed_at),
        execution_options=_UNSYNCHRONISED,
    )
    counting = (
        update(Bug)
        .where(Bug.id == bug_id)
        .values(comment_count=Bug.comment_count + (1 if removed_at is None else -1))
        .returning(Bug.assigned_company_id)
    )
    return await work.session.scalar(counting, execution_options=_UNSYNCHRONISED)
