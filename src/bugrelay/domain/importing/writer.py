"""Writes a batch of imported bugs, with few statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as upsert

from bugrelay.domain.bugs.events import BugImported
from bugrelay.domain.bugs.models import Bug, BugText
from bugrelay.domain.companies.service import ResolvedApplication, get_or_create_application
from bugrelay.domain.importing.normaliser import Draft
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id


@dataclass(frozen=True)
class ReadyBug:
    draft: Draft
    description_html: str


async def put_on_board(work: UnitOfWork, bugs: Sequence[ReadyBug]) -> set[str]:
    """Insert the bugs, and return the external ids of those that did not exist."""
    # One statement builds hundreds of search documents, which takes longer than the timeout of requests.
    await work.set_timeouts(statement_seconds=60, lock_seconds=30)
    applications = await _applications(work, [bug.draft for bug in bugs])
    # Sorted, so that two concurrent imports do not deadlock.
    ordered = sorted(bugs, key=lambda bug: bug.draft.external_id)
    rows = [_bug_values(bug.draft, applications[_names(bug.draft)]) for bug in ordered]
    inserting = (
        upsert(Bug)
        .on_conflict_do_nothing(index_elements=[Bug.external_id], index_where=Bug.external_id.is_not(None))
        .returning(Bug.id)
    )
    new = set(await work.session.scalars(inserting, rows))
    texts = [_text_values(row["id"], bug) for row, bug in zip(rows, ordered, strict=True) if row["id"] in new]
    if texts:
        await work.session.execute(insert(BugText), texts)
    for row in rows:
        if row["id"] in new:
            work.record(_fact(row))
    return {row["external_id"] for row in rows if row["id"] in new}


def _fact(row: dict[str, Any]) -> BugImported:
    return BugImported(
        bug_id=row["id"],
        company_id=row["assigned_company_id"],
        application_id=row["application_id"],
        title=row["title"],
        status=row["status"],
        priority=row["priority"],
        tags=tuple(row["tags"]),
        external_id=row["external_id"],
        created_at=row["created_at"],
    )


_Names = tuple[str, str]


def _names(draft: Draft) -> _Names:
    return draft.application_name, draft.application_url or ""


async def _applications(work: UnitOfWork, drafts: Sequence[Draft]) -> dict[_Names, ResolvedApplication]:
    """The applications of the drafts, by name and URL; new ones are created."""
    return {
        names: await get_or_create_application(work, name=names[0], url=names[1] or None)
        for names in sorted({_names(draft) for draft in drafts})
    }


def _bug_values(draft: Draft, application: ResolvedApplication) -> dict[str, Any]:
    return {
        "id": new_id(),
        "external_id": draft.external_id,
        "title": draft.title,
        "status": draft.status,
        "priority": draft.priority,
        "tags": draft.tags,
        "application_id": application.id,
        "assigned_company_id": application.company_id,
        "created_at": draft.created_at,
        "updated_at": draft.resolved_at or draft.created_at,
        "resolved_at": draft.resolved_at,
    }


def _text_values(bug_id: UUID, bug: ReadyBug) -> dict[str, Any]:
    return {
        "bug_id": bug_id,
        "description": bug.draft.description,
        "description_html": bug.description_html,
        "operating_system": bug.draft.operating_system,
        "app_version": bug.draft.app_version,
    }
