"""The note of a merge: BugRelay's own comment on the target that names the source."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ScalarSelect, func, insert, select, update

from bugrelay.domain.bugs.models import BugMerge, Comment
from bugrelay.domain.bugs.visibility import COMMENT_SHOWN
from bugrelay.domain.moderation.schemas import ModeratedState
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.text.markdown import render

_UNSYNCHRONISED = {"synchronize_session": False}


async def write_note(work: UnitOfWork, source: ModeratedState, target_id: UUID) -> UUID:
    """Write the note on the target, and return its id. It has no author, and does not contain the admin's reason."""
    note_id = new_id()
    content = f"Another report was merged into this one: “{source.title}” ({source.id})"
    await work.session.execute(
        insert(Comment).values(id=note_id, bug_id=target_id, content=content, content_html=render(content))
    )
    return note_id


async def hide_note(work: UnitOfWork, bug_id: UUID) -> None:
    """Hide the note of the bug's merge; the caller updates the counters by `recount`."""
    await work.session.execute(
        update(Comment).where(Comment.id == _note_of(bug_id), COMMENT_SHOWN).values(removed_at=func.now()),
        execution_options=_UNSYNCHRONISED,
    )


async def show_note(work: UnitOfWork, bug_id: UUID) -> None:
    """Show the note again, unless an admin has removed it as a comment."""
    await work.session.execute(
        update(Comment)
        .where(Comment.id == _note_of(bug_id), Comment.moderated_at.is_(None))
        .values(removed_at=None),
        execution_options=_UNSYNCHRONISED,
    )


def _note_of(bug_id: UUID) -> ScalarSelect[Any]:
    """SELECT of the note of the bug's latest merge."""
    return (
        select(BugMerge.note_id)
        .where(BugMerge.source_bug_id == bug_id, BugMerge.kind == "merge")
        .order_by(BugMerge.at.desc())
        .limit(1)
        .scalar_subquery()
    )
