"""Rules run at events of the log: in their order, under the ticket's lock, each once at an event.

Where they do much at one event, they do it in several transactions, so that nobody waits long for the ticket. What
fails in a rule is undone and written down, and the stream goes on; what the database cannot do at the moment is tried
again with the event.
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
from bugrelay.domain.rules.fields import Situation
from bugrelay.domain.rules.models import RUNS_WILD, WorkflowRule, WorkflowRun
from bugrelay.domain.rules.schemas import ActionResult, Outcome, Rule
from bugrelay.domain.rules.service.acting import UNAVAILABLE_FROM, Acting, do
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.service.opening import open_ticket
from bugrelay.errors import BugRelayError
from bugrelay.infra.db.database import translated
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import caused_by
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import MAIL_QUEUE, JobQueue

CONSUMER = "rules"
BATCH = 100  # events; one that sets rules off ends the turn
ENOUGH_ACTIONS = 10  # for a transaction; so it does 19 at most
DISABLED_JOB = "rules.mail_disabled"
SOMEBODY = "Somebody"
FAILED, NOT_UNDERSTOOD, CHAIN_TOO_LONG = "INTERNAL_ERROR", "NOT_UNDERSTOOD", "CHAIN_TOO_LONG"

log = structlog.get_logger()


class _RunsWild(Exception):
    """A rule that does too much to one ticket."""


def run_rules_with(jobs: JobQueue) -> Callable[[UnitOfWork, Sequence[Event]], Awaitable[int | None]]:
    """The consumer of the event log. It locks one ticket a transaction, so it handles no event behind the first that
    sets rules off."""

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
    """Run those of these rules that are behind the last that ran at this event, in their order, until it is enough for
    a transaction; whether all had their turn. Nothing where nobody sees the ticket any more, or the company is not
    verified."""
    automation = Automation(event.stream)
    try:
        running = await Running.open(work, automation, event, jobs=jobs)
    except (TicketNotFound, CompanyNotFound):
        return True
    ran = await repository.rules_that_ran(work, automation, event.seq)
    for rule in policies.behind(rules, ran):
        if running.tried >= ENOUGH_ACTIONS:
            return False
        if not policies.follows_from(event, rule):
            await running.run(rule)
    return True


class Running:
    """Rules at one event, one after the other; each sees what those before it have done.

    Args:
        work: The change, in which the ticket is locked.
        automation: In whose name they act.
        event: What they run at.
        jobs: Where mails are asked for.

    Attributes:
        tried: How many actions it has begun with, whatever became of them.
    """

    def __init__(self, work: UnitOfWork, automation: Automation, event: Event, *, jobs: JobQueue) -> None:
        self._work = work
        self._automation = automation
        self._event = event
        self._jobs = jobs
        self._seen: tuple[Situation, str] | None = None
        self.tried = 0

    @classmethod
    async def open(cls, work: UnitOfWork, automation: Automation, event: Event, *, jobs: JobQueue) -> Running:
        """With the ticket locked.

        Raises:
            TicketNotFound, CompanyNotFound
        """
        running = cls(work, automation, event, jobs=jobs)
        await running._look()
        return running

    async def run(self, rule: Rule) -> Outcome:
        """Run a rule, and write down what it did, unless it does nothing here."""
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
        """Do what the rule says, all of it or nothing."""
        try:
            situation, actor = await self._look()
            if not policies.matches(rule, situation):
                return self._outcome(rule, "unmatched", reason="CONDITIONS")
            if policies.is_too_far(self._event):
                return self._outcome(rule, "skipped", reason=CHAIN_TOO_LONG)
            acting = self._acting(rule, run_id=run_id, situation=situation, actor=actor)
            results = await self._act(acting)
        except _RunsWild:
            await self._disable(rule, run_id=run_id)
            return self._outcome(rule, "disabled", reason=RUNS_WILD.upper())
        except Exception as error:  # noqa: BLE001 - a rule that fails stops no other
            return self._failed(rule, error)
        is_done = any(one.outcome != "skipped" for one in results)
        return self._outcome(rule, "done" if is_done else "skipped", results=results)

    async def _look(self) -> tuple[Situation, str]:
        """The ticket as it stands, and who set the rules off; read again when something was done to it."""
        if self._seen is None:
            ticket_id = self._event.ticket_id
            if ticket_id is None:
                raise TicketNotFound
            ticket = await open_ticket(self._work, self._automation, ticket_id)
            around = await repository.surroundings_of(
                self._work, self._automation, ticket_id, actor_id=self._event.actor_id
            )
            if around is None:
                raise TicketNotFound
            situation = Situation(
                event=self._event,
                ticket=ticket,
                assignee_ids=around.assignee_ids,
                comment_count=around.comment_count,
                attachment_count=around.attachment_count,
                created_at=around.created_at,
                now=around.now,
            )
            self._seen = situation, around.actor or SOMEBODY
        return self._seen

    def _acting(self, rule: Rule, *, run_id: UUID, situation: Situation, actor: str) -> Acting:
        return Acting(
            work=self._work,
            automation=self._automation,
            rule=rule,
            run_id=run_id,
            situation=situation,
            actor=actor,
            jobs=self._jobs,
            present=situation.ticket,
        )

    async def _act(self, acting: Acting) -> list[ActionResult]:
        """
        Raises:
            _RunsWild: Nothing of it was done, for it would be too much.
        """
        actions = policies.actions_of(acting.rule)
        self.tried += len(actions)
        chain = chain_after(self._event, policies.name_in_chains(acting.rule.id))
        self._seen = None
        with caused_by("rule", chain=chain):
            async with self._work.savepoint():
                results = [await do(acting, action, place=place) for place, action in enumerate(actions)]
                await self._refuse_too_much(acting, sum(one.outcome == "done" for one in results))
        return results

    async def _refuse_too_much(self, acting: Acting, acts: int) -> None:
        before = await repository.recent_acts(
            self._work, self._automation, acting.ticket_id, rule_id=acting.rule.id, at=self._event.at
        )
        if before + acts > policies.MAX_ACTS:
            raise _RunsWild

    async def _disable(self, rule: Rule, *, run_id: UUID) -> None:
        """It runs no more until an admin enables it; the admins are mailed, once."""
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
        """What a rule's own form or values caused.

        Raises:
            Exception: What the database cannot do at the moment, and is tried again.
        """
        said = translated(error)
        if isinstance(said, BugRelayError) and said.status >= UNAVAILABLE_FROM:
            raise said
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
