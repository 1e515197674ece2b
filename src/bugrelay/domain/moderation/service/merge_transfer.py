"""What moves when a bug is merged, unmerged, or removed while it is merged: comments, pictures and votes."""

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
    """Show the comments and pictures of one bug with another; each remembers where it came from."""
    for kind in (Comment, Attachment):
        await work.session.execute(
            update(kind)
            .where(kind.bug_id == source_id)
            .values(bug_id=to, origin_bug_id=func.coalesce(kind.origin_bug_id, source_id)),
            execution_options=_UNSYNCHRONISED,
        )


async def restore_content(work: UnitOfWork, *, source_id: UUID, shown_with: UUID) -> None:
    """Show what came from a bug, or from those merged into it, with that bug again; what came later stays."""
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
    """The bug and all that are merged into it, one by way of the other."""
    family = select(literal(bug_id).label("id")).cte("family", recursive=True)
    family = family.union_all(select(Bug.id).where(Bug.merged_into_id == family.c.id))
    return select(family.c.id)


async def add_votes(work: UnitOfWork, *, source_id: UUID, target_id: UUID) -> None:
    """The target's votes become the union by user; the rows that come are marked, the source keeps its own."""
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
    """Take from a target the votes that had come from a source: all, or those that the source has lost itself.

    Where another bug that is merged here has a vote of the same user, the row is that one's now, as if it had come
    with it. That can only be a bug that was merged later: one merged earlier would have left its own mark, so its vote
    was withdrawn here since, and what was withdrawn does not come back.
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
