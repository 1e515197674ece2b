"""Tickets to which nothing has happened for so long: found in the log, by the clock.

Each event is looked at once, when it is as old as a rule asks for. If nothing happened to its ticket since, the ticket
is idle, and the rule runs at this event: once an idle time. What rules did ends none.
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

LOOKED_AT = 500  # events a transaction


async def run_at_next_idle(work: UnitOfWork, company_id: UUID, *, rule_id: UUID, jobs: JobQueue) -> bool:
    """Look at the next events, and run the rule at the first idle ticket; whether there may be more."""
    automation = Automation(company_id)
    try:
        await lock_member(work, automation)
    except CompanyNotFound:
        return False
    found = await repository.lock_idle_rule(work, company_id, rule_id)
    if found is None:
        return False
    past = await repository.next_past(
        work, company_id, after=found.idle_seq, hours=found.idle_hours, limit=LOOKED_AT
    )
    if not past:
        return False
    seq = next((one.seq for one in past if one.is_last), None)
    await _move(work, company_id, rule_id=rule_id, seq=seq or past[-1].seq)
    if seq is None:
        return len(past) == LOOKED_AT
    (event,) = await events_after(work, company_id, seq - 1, limit=1)
    rules = await repository.rules_to_try(work, automation, rule_id=rule_id)
    await run_rules(work, rules, event, jobs=jobs)
    return True


async def _move(work: UnitOfWork, company_id: UUID, *, rule_id: UUID, seq: int) -> None:
    await work.session.execute(
        update(WorkflowRule)
        .where(WorkflowRule.company_id == company_id, WorkflowRule.id == rule_id)
        .values(idle_seq=seq)
        .execution_options(synchronize_session=False)
    )
