"""Change a bug's status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, update

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.bugs import policies, repository
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.events import ActedAsAdmin, StatusChanged
from bugrelay.domain.bugs.models import RESOLVED_STATUSES, Bug, StatusChange
from bugrelay.domain.companies.repository import lock_role_of
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.viewer import Viewer


async def change_status(
    work: UnitOfWork, viewer: Viewer, bug_id: UUID, *, user_id: UUID, status: str
) -> None:
    """Set the status, `resolved_at` and the history; setting the current status changes nothing but `updated_at`.

    Raises:
        BugNotFound, AccountBanned
        InsufficientPermissions: Since the guard's check the bug was reassigned, or the member has left.
    """
    await lock_active_user(work, user_id)
    bug = await repository.lock_bug(work, bug_id, before_writing=(StatusChange,))
    if bug is None:
        raise BugNotFound
    company_id = bug.assigned_company_id
    role = None
    if company_id is not None:
        role = await lock_role_of(work, user_id=user_id, company_id=company_id)
    if not policies.may_answer_officially(viewer, company_role=role):
        raise InsufficientPermissions
    await work.session.execute(
        update(Bug).where(Bug.id == bug_id).values(**_values(bug.status, status)),
        execution_options={"synchronize_session": False},
    )
    if status != bug.status:
        change = StatusChanged(
            bug_id=bug_id,
            company_id=company_id,
            change_id=new_id(),
            old=bug.status,
            new=status,
            answering_company_id=company_id if role else None,
            actor_id=user_id,
        )
        await _write_history(work, change)
        work.record(change)
        if role is None:
            work.record(_act(bug_id, admin_id=user_id, before=bug.status, after=status))


async def _write_history(work: UnitOfWork, change: StatusChanged) -> None:
    await work.session.execute(
        insert(StatusChange).values(
            id=change.change_id,
            bug_id=change.bug_id,
            from_status=change.old,
            to_status=change.new,
            user_id=change.actor_id,
            company_id=change.answering_company_id,
        )
    )


def _act(bug_id: UUID, *, admin_id: UUID, before: str, after: str) -> ActedAsAdmin:
    """The fact for the audit log: a user without a role in the company can only have acted as a system admin."""
    return ActedAsAdmin(
        admin_id,
        "bug_status_change",
        resource="bug",
        resource_id=bug_id,
        before={"status": before},
        after={"status": after},
    )


def _values(before: str, after: str) -> dict[str, Any]:
    """`resolved_at` is set on entering a resolved status, kept between two of them, cleared on leaving."""
    values: dict[str, Any] = {"status": after, "updated_at": func.clock_timestamp()}
    if after in RESOLVED_STATUSES and before not in RESOLVED_STATUSES:
        values["resolved_at"] = datetime.now(UTC)
    elif after not in RESOLVED_STATUSES:
        values["resolved_at"] = None
    return values
