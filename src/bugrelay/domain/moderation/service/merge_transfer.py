"""Merge transfer: comments, pictures and votes that move when a bug is merged or unmerged, or removed while merged."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import aliased

from bugrelay.domain.bugs.models import Attachment, Bug, Comment, Vote
from bugrelay.domain.moderation.schemas import ModeratedState
from bugrelay.infra.db.unit_of_work import UnitOfWork

_UNSYNCHRONISED = {"synchronize_session": False}


async def transfer_content(work: UnitOfWork, *, source_id: UUID, to: UUID) -> None:
    """Move the comments and pictures of a bug to another one; `origin_bug_id` keeps where each was written."""
    for kind in (Comment, Attachment):
        await work.session.execute(
            update(kind)
            .where(kind.bug_id == source_id)
            .values(bug_id=to, origin_bug_id=func.coalesce(kind.origin_bug_id, source_id)),
            execution_options=_UNSYNCHRONISED,
        )


async def restore_content(work: UnitOfWork, *, source_id: UUID, shown_with: UUID) -> None:
    """Move comments and pictures of a bug, and of those merged into it, back to that bug; later ones stay."""
    if source_id == shown_with:
        return
    for kind in (Comment, Attachment):
        await work.session.execute(
            update(kind)
            .where(kind.bug_id == shown_with, kind.origin_bug_id.in_(_merged_into(source_id)))
            .values(bug_id=source_id, origin_bug_id=func.nullif(kind.origin_bug_id, source_id)),
            execution_options=_UNSYNCHRONISED,
        )


def _merged_into(bug_id: UUID) -> Select[Any]:
    """SELECT of the ids of the bug and of all that are merged into it, directly or not."""
    family = select(literal(bug_id).label("id")).cte("family", recursive=True)
    family = family.union_all(select(Bug.id).where(Bug.merged_into_id == family.c.id))
    return select(family.c.id)


async def add_votes(work: UnitOfWork, *, source_id: UUID, target_id: UUID) -> None:
    """Copy votes of users who have none for the target; the copies are marked, and the source keeps its votes."""
    theirs = select(
        literal(target_id), Vote.user_id, Vote.created_at, Vote.is_recent, Vote.counted, literal(source_id)
    ).where(
        Vote.bug_id == source_id,
        ~select(_mine.user_id).where(_mine.bug_id == target_id, _mine.user_id == Vote.user_id).exists(),
    )
    columns = ["bug_id", "user_id", "created_at", "is_recent", "counted", "merged_from_id"]
    await work.session.execute(insert(Vote).from_select(columns, theirs))


_mine = aliased(Vote)


async def take_votes_away(
    work: UnitOfWork, *, target_id: UUID, source: ModeratedState, still_merged: bool
) -> None:
    """Delete the votes of a target that were copied from a source: all or, if it is still merged, those that the source
    does not have any more.

    If another bug that is merged into the target has a vote of the same user, the row is kept and marked as copied from
    that one, the successor. Only bugs that were merged later can be successors: a vote of an earlier one would have
    been copied from there, so if it was not, it has been withdrawn from the target since, and must not return.
    """
    from_there = [Vote.bug_id == target_id, Vote.merged_from_id == source.id]
    if still_merged:
        from_there.append(
            ~select(_mine.user_id).where(_mine.bug_id == source.id, _mine.user_id == Vote.user_id).exists()
        )
    successor = (
        select(_mine.user_id, _mine.bug_id, _mine.created_at, _mine.is_recent)
        .ext(distinct_on(_mine.user_id))
        .join(Bug, Bug.id == _mine.bug_id)
        .where(Bug.merged_into_id == target_id, Bug.merged_at > source.merged_at)
        .order_by(_mine.user_id, Bug.merged_at)
        .subquery("heir")
    )
    inheriting = (
        update(Vote)
        .where(*from_there, successor.c.user_id == Vote.user_id)
        .values(
            merged_from_id=successor.c.bug_id,
            created_at=successor.c.created_at,
            is_recent=successor.c.is_recent,
        )
    )
    await work.session.execute(inheriting, execution_options=_UNSYNCHRONISED)
    await work.session.execute(delete(Vote).where(*from_there), execution_options=_UNSYNCHRONISED)
