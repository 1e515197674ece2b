"""Write, edit and withdraw comments and company responses."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, insert, update

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.bugs import policies, repository
from bugrelay.domain.bugs.errors import BugNotFound, CommentNotFound
from bugrelay.domain.bugs.events import (
    ActedAsAdmin,
    CommentAdded,
    CommentEdited,
    CommentWithdrawn,
    ResponseAdded,
)
from bugrelay.domain.bugs.models import Bug, Comment
from bugrelay.domain.bugs.visibility import COMMENT_SHOWN, LISTED
from bugrelay.domain.companies.repository import lock_role_of
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.text.markdown import render


async def write_comment(
    work: UnitOfWork,
    bug_id: UUID,
    *,
    user_id: UUID,
    content: str,
    as_response: bool = False,
    is_admin: bool = False,
) -> UUID:
    """Comment on a visible bug, and return the comment's id. A comment by a member of the assigned company is always a
    company response.

    Args:
        work: The unit of work.
        bug_id: The bug.
        user_id: The author.
        content: Markdown.
        as_response: Whether the request is for a company response.
        is_admin: Whether the author is a system admin, who may respond for any company.

    Raises:
        BugNotFound, AccountBanned
        InsufficientPermissions: For `as_response`: the author is not, or no longer, a member of the company.
    """
    content_html = render(content)  # before the first statement, so that no lock waits for it
    await lock_active_user(work, user_id)
    bug = await repository.bug_state(work, bug_id)
    if bug is None:
        raise BugNotFound
    comment_id, company_id = new_id(), bug.assigned_company_id
    author = _Author(user_id=user_id, as_response=as_response, is_admin=is_admin)
    speaks_for = await _speaks_for(work, author, company_id=company_id)
    await work.session.execute(
        insert(Comment).values(
            id=comment_id,
            bug_id=bug_id,
            user_id=user_id,
            company_id=speaks_for,
            content=content,
            content_html=content_html,
            is_company_response=as_response or speaks_for is not None,
        )
    )
    # The counter changes last, since votes for the bug wait from here to the COMMIT.
    company_id_now = await _count(work, bug_id, by=1)
    if company_id_now != company_id:
        speaks_for = await _speaks_for(work, author, company_id=company_id_now)
        await _sign(work, comment_id, speaks_for=speaks_for, as_response=as_response)
    comment = CommentAdded(comment_id=comment_id, bug_id=bug_id, company_id=company_id_now, actor_id=user_id)
    _record(work, comment, as_response=as_response, speaks_for=speaks_for)
    return comment_id


def _record(work: UnitOfWork, comment: CommentAdded, *, as_response: bool, speaks_for: UUID | None) -> None:
    """Record the comment, or that it is a company response; for the audit log also that an admin responded."""
    if not as_response and speaks_for is None:
        work.record(comment)
        return
    if speaks_for is None:
        work.record(_responded_as_admin(comment))
    work.record(
        ResponseAdded(
            comment_id=comment.comment_id,
            bug_id=comment.bug_id,
            company_id=comment.company_id,
            answering_company_id=speaks_for,
            actor_id=comment.actor_id,
        )
    )


def _responded_as_admin(response: CommentAdded) -> ActedAsAdmin:
    """The fact for the audit log: an admin responded for a company that they are not a member of."""
    return ActedAsAdmin(
        response.actor_id,
        "bug_respond",
        resource="bug",
        resource_id=response.bug_id,
        before={"comment_id": None},
        after={"comment_id": response.comment_id},
    )


@dataclass(frozen=True, kw_only=True)
class _Author:
    """The author of a comment; for the attributes see `write_comment`."""

    user_id: UUID
    as_response: bool
    is_admin: bool


async def _speaks_for(work: UnitOfWork, author: _Author, *, company_id: UUID | None) -> UUID | None:
    """The assigned company if the author is a member of it, else None.

    Raises:
        InsufficientPermissions: For `as_response`: the author is neither a member of the company nor an admin.
    """
    if company_id is not None and await lock_role_of(work, user_id=author.user_id, company_id=company_id):
        return company_id
    if author.as_response and not author.is_admin:
        raise InsufficientPermissions
    return None


async def _sign(work: UnitOfWork, comment_id: UUID, *, speaks_for: UUID | None, as_response: bool) -> None:
    """Correct the company of a comment whose bug was reassigned while it was written."""
    await work.session.execute(
        update(Comment)
        .where(Comment.id == comment_id)
        .values(company_id=speaks_for, is_company_response=as_response or speaks_for is not None)
        .execution_options(synchronize_session=False)
    )


async def update_comment(
    work: UnitOfWork, comment_id: UUID, *, user_id: UUID, content: str, is_admin: bool = False
) -> None:
    """Replace the text of a comment.

    Raises:
        AccountBanned
        CommentNotFound: It was withdrawn or removed meanwhile.
        InsufficientPermissions: The user is not the author, or no longer a member of the company.
    """
    content_html = render(content)
    await lock_active_user(work, user_id)
    await _ensure_may_change(work, comment_id, user_id=user_id, is_admin=is_admin)
    correcting = (
        update(Comment)
        .where(Comment.id == comment_id, COMMENT_SHOWN, Bug.id == Comment.bug_id)
        .values(content=content, content_html=content_html, edited_at=func.now(), updated_at=func.now())
        .returning(Comment.bug_id, Bug.assigned_company_id)
        .execution_options(synchronize_session=False)
    )
    edited = (await work.session.execute(correcting)).one_or_none()
    if edited is None:
        raise CommentNotFound
    work.record(
        CommentEdited(
            comment_id=comment_id,
            bug_id=edited.bug_id,
            company_id=edited.assigned_company_id,
            actor_id=user_id,
        )
    )


async def withdraw_comment(
    work: UnitOfWork, comment_id: UUID, *, user_id: UUID, is_admin: bool = False
) -> None:
    """Hide a comment and take it out of the bug's count.

    Raises:
        AccountBanned
        CommentNotFound: It was withdrawn or removed already.
        InsufficientPermissions: The user is not the author, or no longer a member of the company.
    """
    await lock_active_user(work, user_id)
    await _ensure_may_change(work, comment_id, user_id=user_id, is_admin=is_admin)
    await repository.lock_bug_of_comment(work, comment_id)
    withdrawing = (
        update(Comment)
        .where(Comment.id == comment_id, COMMENT_SHOWN)
        .values(removed_at=func.now())
        .returning(Comment.bug_id)
        .execution_options(synchronize_session=False)
    )
    bug_id = await work.session.scalar(withdrawing)
    if bug_id is None:
        raise CommentNotFound
    company_id = await _count(work, bug_id, by=-1)
    work.record(
        CommentWithdrawn(comment_id=comment_id, bug_id=bug_id, company_id=company_id, actor_id=user_id)
    )


async def _ensure_may_change(work: UnitOfWork, comment_id: UUID, *, user_id: UUID, is_admin: bool) -> None:
    """Check the policy again under locks, so that a member leaves the team before or after the change, not during it.

    Raises:
        CommentNotFound, InsufficientPermissions
    """
    comment = await repository.comment_state(work, comment_id)
    if comment is None:
        raise CommentNotFound
    role = None
    if comment.company_id is not None:
        role = await lock_role_of(work, user_id=user_id, company_id=comment.company_id)
    if not policies.may_change_comment(comment, user_id=user_id, is_admin=is_admin, company_role=role):
        raise InsufficientPermissions


async def _count(work: UnitOfWork, bug_id: UUID, *, by: int) -> UUID | None:
    """Change the bug's `comment_count`, and return the assigned company's id.

    Raises:
        BugNotFound: It is removed or merged.
    """
    counting = (
        update(Bug)
        .where(Bug.id == bug_id, LISTED)
        .values(comment_count=Bug.comment_count + by)
        .returning(Bug.assigned_company_id)
        .execution_options(synchronize_session=False)
    )
    row = (await work.session.execute(counting)).one_or_none()
    if row is None:
        raise BugNotFound
    company_id: UUID | None = row.assigned_company_id
    return company_id
