"""Merge a bug into another one, and undo a merge."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, insert, update

from bugrelay.domain.bugs.events import BugMerged, BugUnmerged
from bugrelay.domain.bugs.models import Bug, BugMerge
from bugrelay.domain.moderation.errors import (
    NotMerged,
    SourceBugNotFound,
)
from bugrelay.domain.moderation.policies import ensure_mergeable
from bugrelay.domain.moderation.repository import lock_bugs, lock_chain
from bugrelay.domain.moderation.service.audit import write_audit
from bugrelay.domain.moderation.service.lock import begin_act
from bugrelay.domain.moderation.service.merge_chain import displayed_on, recount
from bugrelay.domain.moderation.service.merge_transfer import (
    add_votes,
    restore_content,
    take_votes_away,
    transfer_content,
)
from bugrelay.domain.moderation.service.notes import hide_note, write_note
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id

_UNSYNCHRONISED = {"synchronize_session": False}


async def merge_bugs(
    work: UnitOfWork, admin_id: UUID, *, source_id: UUID, target_id: UUID, reason: str
) -> None:
    """Merge the source into the target, which gets the union of the votes and shows comments and pictures of both.

    Raises:
        InvalidMerge: They are the same bug, or one of them is merged already.
        SourceBugNotFound, TargetBugNotFound: There is no such bug, or it is removed.
        AccountBanned
    """
    await begin_act(work, admin_id)
    bugs = await lock_bugs(work, (source_id, target_id))
    source, target = bugs.get(source_id), bugs.get(target_id)
    source, target = ensure_mergeable(source, target)
    await add_votes(work, source_id=source_id, target_id=target_id)
    await transfer_content(work, source_id=source_id, to=target_id)
    note_id = await write_note(work, source, target_id)
    await _set_merged(work, source_id, into=target_id)
    await recount(work, bugs)
    await _keep_history(work, admin_id, "merge", source_id, target_id, reason=reason, note_id=note_id)
    await write_audit(
        work.session,
        admin_id,
        "bug_merge",
        resource="bug",
        resource_id=source_id,
        details=reason,
        before={"merged_into_id": None},
        after={"merged_into_id": target_id},
    )
    work.record(
        BugMerged(
            bug_id=source_id,
            company_id=source.assigned_company_id,
            target_id=target_id,
            target_company_id=target.assigned_company_id,
            note_id=note_id,
            actor_id=admin_id,
        )
    )


async def unmerge_bug(work: UnitOfWork, admin_id: UUID, bug_id: UUID, *, reason: str) -> UUID:
    """Undo a merge: the bug becomes what it was before, while what was added after the merge stays with the target.

    Returns:
        The id of the former target.

    Raises:
        SourceBugNotFound, NotMerged, AccountBanned
    """
    await begin_act(work, admin_id)
    chain = await lock_chain(work, bug_id)
    if not chain:
        raise SourceBugNotFound
    source, *above = chain
    if not above:
        raise NotMerged
    await restore_content(work, source_id=bug_id, shown_with=displayed_on(chain))
    await _set_merged(work, bug_id, into=None)
    for lower, upper in zip(chain, above, strict=False):
        await take_votes_away(work, target_id=upper.id, source=lower, still_merged=lower is not source)
    await hide_note(work, bug_id)
    await recount(work, (bug.id for bug in chain))
    await _keep_history(work, admin_id, "unmerge", bug_id, above[0].id, reason=reason, note_id=None)
    await write_audit(
        work.session,
        admin_id,
        "bug_unmerge",
        resource="bug",
        resource_id=bug_id,
        details=reason,
        before={"merged_into_id": above[0].id},
        after={"merged_into_id": None},
    )
    work.record(
        BugUnmerged(
            bug_id=bug_id,
            company_id=source.assigned_company_id,
            target_id=above[0].id,
            target_company_id=above[0].assigned_company_id,
            chain=tuple(bug.id for bug in chain),
            actor_id=admin_id,
        )
    )
    return above[0].id


async def _set_merged(work: UnitOfWork, bug_id: UUID, *, into: UUID | None) -> None:
    await work.session.execute(
        update(Bug)
        .where(Bug.id == bug_id)
        .values(merged_into_id=into, merged_at=None if into is None else func.clock_timestamp()),
        execution_options=_UNSYNCHRONISED,
    )


async def _keep_history(
    work: UnitOfWork,
    admin_id: UUID,
    kind: str,
    source_id: UUID,
    target_id: UUID,
    *,
    reason: str,
    note_id: UUID | None,
) -> None:
    await work.session.execute(
        insert(BugMerge).values(
            id=new_id(),
            kind=kind,
            source_bug_id=source_id,
            target_bug_id=target_id,
            note_id=note_id,
            reason=reason,
            user_id=admin_id,
            at=func.clock_timestamp(),
        )
    )
