"""Runs rules for events of the log: in their order, under the ticket's lock, each once for an event.

Where they perform many actions for one event, they are spread over several transactions, so that nobody waits long for
the ticket. A rule that fails is rolled back to its savepoint and recorded as failed, and the stream continues. Where
the database is unavailable, the event is retried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import func, insert, update

from bugrelay.domain.companies.errors import CompanyNotFound
from bugrelay.domain.companies.repository import admins_of
from bugrelay.domain.companies.schemas import Automation
from bugrelay.domain.events.schemas import Event, chain_after
from bugrelay.domain.rules import policies, repository
from bugrelay.domain.rules.events import WorkflowDisabled
from bugrelay.domain.rules.fields import EvaluationContext
from bugrelay.domain.rules.models import RUNS_WILD, WorkflowRule, WorkflowRun
from bugrelay.domain.rules.schemas import ActionResult, Outcome, Rule
from bugrelay.domain.rules.service.actions import UNAVAILABLE_FROM, RuleExecution, perform
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.service.locking import lock_ticket
from bugrelay.errors import BugRelayError
from bugrelay.infra.db.database import translated
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import caused_by
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import MAIL_QUEUE, JobQueue

CONSUMER = "rules"
BATCH = 100  # events; the first one that triggers rules ends it
ENOUGH_ACTIONS = 10  # after which a transaction ends; so it has at most 19
DISABLED_JOB = "rules.mail_disabled"
SOMEBODY = "Somebody"
FAILED, NOT_UNDERSTOOD, CHAIN_TOO_LONG = "INTERNAL_ERROR", "NOT_UNDERSTOOD", "CHAIN_TOO_LONG"

log = structlog.get_logger()


class _TooManyActs(Exception):
    """A rule has reached `MAX_ACTS` on one ticket."""


def run_rules_with(jobs: JobQueue) -> Callable[[UnitOfWork, Sequence[Event]], Awaitable[int | None]]:
    """The consumer of the event log. It locks one ticket in a transaction, so it stops after the first event that
    triggers rules."""

    async def run(work: UnitOfWork, events: Sequence[Event]) -> int | None:
        rules = await repository.rules_to_run(work, events[0].stream)
        for handled, event in enumerate(events, 1):
            trigger = policies.trigger_of(event)
            due = [rule for rule in rules if rule.trigger == trigger and rule.active_since <= event.at]
            if due:
                is_done = await run_rules(work, due, event, jobs=jobs)
                return handled if is_done else handled - 1
        return None

    return run


async def run_rules(work: UnitOfWork, rules: Sequence[Rule], event: Event, *, jobs: JobQueue) -> bool:
    """Run the rules that remain for an event, in their order, until they have tried `ENOUGH_ACTIONS`.

    Nothing is done where the ticket was removed, or the company is not verified.

    Returns:
        Whether all rules were run.
    """
    automation = Automation(event.stream)
    try:
        runner = await RuleRunner.open(work, automation, event, jobs=jobs)
    except (TicketNotFound, CompanyNotFound):
        return True
    ran = await repository.rules_that_ran(work, automation, event.seq)
    for rule in policies.remaining_after(rules, ran):
        if runner.tried >= ENOUGH_ACTIONS:
            return False
        if not policies.is_caused_by(event, rule):
            await runner.run(rule)
    return True


class RuleRunner:
    """Runs rules for one event, one after the other; each sees the changes of those before it.

    Args:
        work: The unit of work, which locks the ticket.
        automation: The company, without a user.
        event: The event.
        jobs: The queue, for mails.

    Attributes:
        tried: The number of actions that were tried, whatever their outcome.
    """

    def __init__(self, work: UnitOfWork, automation: Automation, event: Event, *, jobs: JobQueue) -> None:
        self._work = work
        self._automation = automation
        self._event = event
        self._jobs = jobs
        self._loaded: tuple[EvaluationContext, str] | None = None
        self.tried = 0

    @classmethod
    async def open(
        cls, work: UnitOfWork, automation: Automation, event: Event, *, jobs: JobQueue
    ) -> RuleRunner:
        """Create a runner, and lock the ticket.

        Raises:
            TicketNotFound, CompanyNotFound
        """
        runner = cls(work, automation, event, jobs=jobs)
        await runner._load()
        return runner

    async def run(self, rule: Rule) -> Outcome:
        """Run a rule, and record the run, unless it does not match."""
        run_id = new_id()
        outcome = await self.outcome_of(rule, run_id=run_id)
        if outcome.state == "unmatched":
            return outcome
        await self._work.session.execute(
            insert(WorkflowRun).values(
                id=run_id,
                company_id=self._automation.company_id,
                rule_id=rule.id,
                ticket_id=self._event.ticket_id,
                seq=self._event.seq,
                state=outcome.state,
                reason=outcome.reason,
                acts=outcome.acts,
                results=msgspec.to_builtins(outcome.results),
                happened_at=self._event.at,
            )
        )
        return outcome

    async def outcome_of(self, rule: Rule, *, run_id: UUID) -> Outcome:
        """Perform the actions of a rule, all or none."""
        try:
            context, actor = await self._load()
            if not policies.matches(rule, context):
                return self._outcome(rule, "unmatched", reason="CONDITIONS")
            if policies.is_chain_too_long(self._event):
                return self._outcome(rule, "skipped", reason=CHAIN_TOO_LONG)
            execution = self._execution(rule, run_id=run_id, context=context, actor=actor)
            results = await self._act(execution)
        except _TooManyActs:
            await self._disable(rule, run_id=run_id)
            return self._outcome(rule, "disabled", reason=RUNS_WILD.upper())
        except Exception as error:  # noqa: BLE001 - a failing rule must not stop the others
            return self._failed(rule, error)
        is_done = any(one.outcome != "skipped" for one in results)
        return self._outcome(rule, "done" if is_done else "skipped", results=results)

    async def _load(self) -> tuple[EvaluationContext, str]:
        """The current ticket, locked, and the name of the event's actor; read again after changes."""
        if self._loaded is None:
            ticket_id = self._event.ticket_id
            if ticket_id is None:
                raise TicketNotFound
            ticket = await lock_ticket(self._work, self._automation, ticket_id)
            found = await repository.ticket_context(
                self._work, self._automation, ticket_id, actor_id=self._event.actor_id
            )
            if found is None:
                raise TicketNotFound
            context = EvaluationContext(
                event=self._event,
                ticket=ticket,
                assignee_ids=found.assignee_ids,
                comment_count=found.comment_count,
                attachment_count=found.attachment_count,
                created_at=found.created_at,
                now=found.now,
            )
            self._loaded = context, found.actor or SOMEBODY
        return self._loaded

    def _execution(
        self, rule: Rule, *, run_id: UUID, context: EvaluationContext, actor: str
    ) -> RuleExecution:
        return RuleExecution(
            work=self._work,
            automation=self._automation,
            rule=rule,
            run_id=run_id,
            context=context,
            actor=actor,
            jobs=self._jobs,
            current=context.ticket,
        )

    async def _act(self, execution: RuleExecution) -> list[ActionResult]:
        """
        Raises:
            _TooManyActs: The actions were rolled back.
        """
        actions = policies.actions_of(execution.rule)
        self.tried += len(actions)
        chain = chain_after(self._event, policies.chain_entry(execution.rule.id))
        self._loaded = None
        with caused_by("rule", chain=chain):
            async with self._work.savepoint():
                results = [
                    await perform(execution, action, index=index) for index, action in enumerate(actions)
                ]
                await self._check_rate(execution, sum(one.outcome == "done" for one in results))
        return results

    async def _check_rate(self, execution: RuleExecution, acts: int) -> None:
        before = await repository.recent_acts(
            self._work, self._automation, execution.ticket_id, rule_id=execution.rule.id, at=self._event.at
        )
        if before + acts > policies.MAX_ACTS:
            raise _TooManyActs

    async def _disable(self, rule: Rule, *, run_id: UUID) -> None:
        """Disable a rule until an admin enables it again; the admins are mailed, once."""
        company_id = self._automation.company_id
        disabling = (
            update(WorkflowRule)
            .where(WorkflowRule.company_id == company_id, WorkflowRule.id == rule.id, WorkflowRule.enabled)
            .values(
                enabled=False,
                disabled_reason=RUNS_WILD,
                disabled_at=func.now(),
                version=WorkflowRule.version + 1,
                updated_at=func.now(),
            )
            .returning(WorkflowRule.id)
            .execution_options(synchronize_session=False)
        )
        if await self._work.session.scalar(disabling) is None:
            return
        self._work.record(WorkflowDisabled(rule_id=rule.id, company_id=company_id, reason=RUNS_WILD))
        log.warning("workflow_rule_disabled", rule_id=str(rule.id), company_id=str(company_id))
        for user_id in await admins_of(self._work, company_id):
            await self._jobs.add(
                self._work.session,
                DISABLED_JOB,
                queue=MAIL_QUEUE,
                company_id=str(company_id),
                rule_id=str(rule.id),
                user_id=str(user_id),
                occasion=str(run_id),
            )

    def _failed(self, rule: Rule, error: Exception) -> Outcome:
        """The outcome of a rule that failed by itself.

        Raises:
            BugRelayError: The database is unavailable; the event is retried.
        """
        cause = translated(error)
        if isinstance(cause, BugRelayError) and cause.status >= UNAVAILABLE_FROM:
            raise cause
        log.warning("workflow_rule_failed", rule_id=str(rule.id), cause=repr(error)[:300])
        is_ours = not isinstance(error, msgspec.ValidationError | KeyError | TypeError)
        return self._outcome(rule, "failed", reason=FAILED if is_ours else NOT_UNDERSTOOD)

    def _outcome(
        self, rule: Rule, state: str, *, reason: str | None = None, results: Sequence[ActionResult] = ()
    ) -> Outcome:
        return Outcome(
            rule=rule,
            seq=self._event.seq,
            state=state,  # type: ignore[arg-type]
            reason=reason,
            results=list(results),
        )
