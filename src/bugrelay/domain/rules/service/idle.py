"""Idle tickets: found in the event log by a periodic job.

Each event is checked once, when it is as old as the rule's `idle_hours`. If its ticket has had no event since, the
ticket is idle, and the rule runs for this event: once for each idle period. Changes made by rules do not end an idle
period.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import update

from bugrelay.domain.companies.errors import CompanyNotFound
from bugrelay.domain.companies.schemas import Automation
from bugrelay.domain.events.repository import events_after
from bugrelay.domain.rules import repository
from bugrelay.domain.rules.models import WorkflowRule
from bugrelay.domain.rules.service.running import run_rules
from bugrelay.domain.tickets.service.acting import lock_member
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.jobs.queue import JobQueue

EVENTS_AT_ONCE = 500  # in one transaction


async def run_at_next_idle_ticket(
    work: UnitOfWork, company_id: UUID, *, rule_id: UUID, jobs: JobQueue
) -> bool:
    """Check the next events, and run the rule for the first idle ticket; returns whether there may be more."""
    automation = Automation(company_id)
    try:
        await lock_member(work, automation)
    except CompanyNotFound:
        return False
    found = await repository.lock_idle_rule(work, company_id, rule_id)
    if found is None:
        return False
    aged = await repository.next_aged_events(
        work, company_id, after=found.idle_seq, hours=found.idle_hours, limit=EVENTS_AT_ONCE
    )
    if not aged:
        return False
    seq = next((one.seq for one in aged if one.is_last), None)
    await _store_position(work, company_id, rule_id=rule_id, seq=seq or aged[-1].seq)
    if seq is None:
        return len(aged) == EVENTS_AT_ONCE
    (event,) = await events_after(work, company_id, seq - 1, limit=1)
    rules = await repository.rules_for_dry_run(work, automation, rule_id=rule_id)
    await run_rules(work, rules, event, jobs=jobs)
    return True


async def _store_position(work: UnitOfWork, company_id: UUID, *, rule_id: UUID, seq: int) -> None:
    await work.session.execute(
        update(WorkflowRule)
        .where(WorkflowRule.company_id == company_id, WorkflowRule.id == rule_id)
        .values(idle_seq=seq)
        .execution_options(synchronize_session=False)
    )
