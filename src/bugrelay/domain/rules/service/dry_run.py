"""Dry runs: rules run for a ticket, and the transaction is rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from bugrelay.domain.companies.schemas import Automation, Tenant
from bugrelay.domain.events.schemas import Event
from bugrelay.domain.rules import policies, repository
from bugrelay.domain.rules.schemas import IDLE, Outcome, Rule
from bugrelay.domain.rules.service.running import RuleRunner
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import JobQueue

OTHER_TRIGGER, NO_EVENT, OWN, NOT_TRIED = "TRIGGER", "NO_EVENT", "CAUSED_BY_ITSELF", "NOT_TRIED"
ENOUGH_ACTIONS = 100  # of a test: it is one transaction, in which the ticket is locked


async def dry_run(
    work: UnitOfWork,
    tenant: Tenant,
    rules: Sequence[Rule],
    *,
    ticket_id: UUID,
    event: Event | None,
    jobs: JobQueue,
) -> list[Outcome]:
    """What each of these rules would do, in their order; each sees the changes of those before it.

    Rules after the first `ENOUGH_ACTIONS` actions are not run.

    Args:
        work: The unit of work; it is rolled back.
        tenant: The company.
        rules: The rules.
        ticket_id: A ticket of the company.
        event: The event to run them for; None: for each the last event of the ticket that triggers it.
        jobs: The queue; its rows are rolled back, too.

    Raises:
        TicketNotFound, CompanyNotFound
    """
    work.undo()
    outcomes: list[Outcome] = []
    tried = 0
    for rule in rules:
        if tried >= ENOUGH_ACTIONS:
            outcomes.append(Outcome(rule=rule, seq=None, state="unmatched", reason=NOT_TRIED))
            continue
        at = await _event_for(work, tenant, rule, ticket_id, event)
        outcome, actions = await _dry_run_one(work, tenant, rule, event=at, jobs=jobs)
        outcomes.append(outcome)
        tried += actions
    return outcomes


async def _event_for(
    work: UnitOfWork, tenant: Tenant, rule: Rule, ticket_id: UUID, event: Event | None, /
) -> Event | None:
    return event or await repository.latest_event(work, tenant, ticket_id, trigger=rule.trigger)


async def _dry_run_one(
    work: UnitOfWork, tenant: Tenant, rule: Rule, *, event: Event | None, jobs: JobQueue
) -> tuple[Outcome, int]:
    """The outcome, and how many actions were tried."""
    if event is None:
        return Outcome(rule=rule, seq=None, state="unmatched", reason=NO_EVENT), 0
    if rule.trigger not in (IDLE, policies.trigger_of(event)):
        return Outcome(rule=rule, seq=event.seq, state="unmatched", reason=OTHER_TRIGGER), 0
    if policies.is_caused_by(event, rule):
        return Outcome(rule=rule, seq=event.seq, state="unmatched", reason=OWN), 0
    runner = await RuleRunner.open(work, Automation(tenant.company_id), event, jobs=jobs)
    outcome = await runner.outcome_of(rule, run_id=new_id())
    return outcome, runner.tried
