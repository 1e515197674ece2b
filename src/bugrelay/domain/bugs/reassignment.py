"""Reassignment of bugs with their application: when it is assigned to another company, so are its bugs.

The first batch is reassigned in the transaction of the assignment. An application may have more bugs than a request has
time for (each one's search document is rewritten), so a job reassigns the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.bugs.events import BugReassigned
from bugrelay.domain.bugs.models import Bug
from bugrelay.domain.bugs.repository import lock_company_of_application, lock_misassigned
from bugrelay.domain.companies.events import ApplicationAssigned
from bugrelay.infra.events import EventBus
from bugrelay.infra.jobs.queue import JobQueue

BATCH = 200
JOB = "bugs.follow_application"


async def reassign_batch(
    session: AsyncSession, application_id: UUID, *, actor_id: UUID | None
) -> list[BugReassigned]:
    """Assign up to `BATCH` bugs to the current company of their application; if there are fewer, none is left."""
    company_id = await lock_company_of_application(session, application_id)
    former = await lock_misassigned(session, application_id, company_id=company_id, limit=BATCH)
    await session.execute(
        update(Bug).where(Bug.id.in_(former)).values(assigned_company_id=company_id),
        execution_options={"synchronize_session": False},
    )
    return [
        BugReassigned(
            bug_id=bug_id, company_id=company_id, former_company_id=former_company_id, actor_id=actor_id
        )
        for bug_id, former_company_id in former.items()
    ]


def subscribe(bus: EventBus, jobs: JobQueue) -> None:
    async def reassign(
        session: AsyncSession, assignments: Sequence[ApplicationAssigned]
    ) -> list[BugReassigned]:
        reassigned = []
        for assignment in assignments:
            batch = await reassign_batch(session, assignment.application_id, actor_id=assignment.actor_id)
            reassigned += batch
            if len(batch) == BATCH:
                await jobs.add(session, JOB, application_id=str(assignment.application_id))
        return reassigned

    bus.subscribe_durable(reassign, ApplicationAssigned)
