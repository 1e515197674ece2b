"""Actions of rules, performed by the use cases that people's changes go through, with the same checks and facts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from bugrelay.domain.companies.models import REPORTER
from bugrelay.domain.companies.repository import admins_of
from bugrelay.domain.companies.schemas import Automation
from bugrelay.domain.events.schemas import event_id
from bugrelay.domain.rules import repository
from bugrelay.domain.rules.fields import EvaluationContext
from bugrelay.domain.rules.schemas import Action, ActionResult, Rule
from bugrelay.domain.rules.texts import Placeholders, fill_markdown
from bugrelay.domain.tickets.schemas import MAX_ASSIGNEES, TicketChanges, TicketState
from bugrelay.domain.tickets.service.comments import write_comment
from bugrelay.domain.tickets.service.editing import edit_ticket
from bugrelay.domain.tickets.service.locking import assignee_ids_of, lock_ticket
from bugrelay.domain.tickets.service.statuses import change_status
from bugrelay.domain.webhooks.service.queueing import queue_rule_run
from bugrelay.errors import BugRelayError
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.jobs.queue import NOTICE_QUEUE, JobQueue
from bugrelay.infra.text.tags import MAX_TAGS

NOTIFY_JOB = "rules.notify"
MAX_COMMENT_LENGTH = 10_000
MAX_RECIPIENTS = 50  # of one action
UNAVAILABLE_FROM = 500


@dataclass(kw_only=True)
class RuleExecution:
    """One execution of a rule for an event.

    Attributes:
        run_id: The id of the run that will be recorded.
        actor: The name of the user who caused the event.
        current: The current ticket; None after a change, until it is read again.
    """

    work: UnitOfWork
    automation: Automation
    rule: Rule
    run_id: UUID
    context: EvaluationContext
    actor: str
    jobs: JobQueue
    current: TicketState | None = None

    @property
    def ticket_id(self) -> UUID:
        return self.context.ticket.id

    @property
    def is_internal(self) -> bool:
        """Whether the event is internal: then comments and mails must be, too."""
        return self.context.event.visibility == "internal"

    async def ticket(self) -> TicketState:
        """The ticket after the previous actions."""
        if self.current is None:
            self.current = await lock_ticket(self.work, self.automation, self.ticket_id)
        return self.current

    async def edit(self, changes: TicketChanges) -> None:
        self.current = None
        await edit_ticket(self.work, self.automation, self.ticket_id, changes)

    async def change_status(self, status: str) -> None:
        self.current = None
        await change_status(self.work, self.automation, self.ticket_id, status=status)

    async def placeholders(self) -> Placeholders:
        ticket = await self.ticket()
        return Placeholders(key=ticket.key, title=ticket.title, status=ticket.status, actor=self.actor)


class _Skipped(Exception):
    """An action cannot be performed; the text is the reason code."""


async def perform(execution: RuleExecution, action: Action, *, index: int) -> ActionResult:
    """Perform one action; it is skipped where the ticket's scheme or rights forbid it.

    Args:
        execution: The execution of the rule.
        action: The action.
        index: Its index in the rule, from 0.
    """
    before = (await execution.ticket()).version
    try:
        result = await _ACTIONS[action.type](execution, action, index)
    except _Skipped as skipped:
        return ActionResult(action.type, "skipped", reason=str(skipped))
    except BugRelayError as error:
        if error.status >= UNAVAILABLE_FROM:
            raise
        return ActionResult(action.type, "skipped", reason=error.code)
    if result is not None:
        return result
    changed = (await execution.ticket()).version != before
    return ActionResult(action.type, "done" if changed else "unchanged")


async def _set_status(execution: RuleExecution, action: Action, _index: int) -> None:
    await execution.change_status(action.value or "")


async def _set_priority(execution: RuleExecution, action: Action, _index: int) -> None:
    await execution.edit(TicketChanges(priority=action.value))  # type: ignore[arg-type]  # validated when it was saved


async def _set_department(execution: RuleExecution, action: Action, _index: int) -> None:
    await execution.edit(TicketChanges(department=action.value or None))


async def _assign(execution: RuleExecution, action: Action, _index: int) -> None:
    """Present assignees are kept."""
    assigned = await assignee_ids_of(execution.work, execution.automation, execution.ticket_id)
    wanted = list(dict.fromkeys([*assigned, *(action.user_ids or ())]))
    if len(wanted) > MAX_ASSIGNEES:
        raise _Skipped("TOO_MANY_ASSIGNEES")
    await execution.edit(TicketChanges(assignee_ids=wanted))


async def _unassign(execution: RuleExecution, action: Action, _index: int) -> None:
    assigned = await assignee_ids_of(execution.work, execution.automation, execution.ticket_id)
    leaving = set(assigned if action.user_ids is None else action.user_ids)
    await execution.edit(TicketChanges(assignee_ids=[one for one in assigned if one not in leaving]))


async def _add_tag(execution: RuleExecution, action: Action, _index: int) -> None:
    tags = list(dict.fromkeys([*(await execution.ticket()).tags, action.value or ""]))
    if len(tags) > MAX_TAGS:
        raise _Skipped("TOO_MANY_TAGS")
    await execution.edit(TicketChanges(tags=tags))


async def _remove_tag(execution: RuleExecution, action: Action, _index: int) -> None:
    tags = (await execution.ticket()).tags
    await execution.edit(TicketChanges(tags=[tag for tag in tags if tag != action.value]))


async def _comment(execution: RuleExecution, action: Action, _index: int) -> ActionResult:
    content = fill_markdown(action.text or "", await execution.placeholders(), max_length=MAX_COMMENT_LENGTH)
    await write_comment(
        execution.work,
        execution.automation,
        execution.ticket_id,
        content=content,
        is_internal=action.is_internal or execution.is_internal,
    )
    return ActionResult(action.type, "done")


async def _notify(execution: RuleExecution, action: Action, index: int) -> ActionResult:
    """Queue one mail for each recipient, in this transaction."""
    recipients = await _recipients(execution, action)
    if not recipients:
        raise _Skipped("NOBODY_TO_TELL")
    for user_id in recipients:
        await execution.jobs.add(
            execution.work.session,
            NOTIFY_JOB,
            queue=NOTICE_QUEUE,
            company_id=str(execution.automation.company_id),
            run_id=str(execution.run_id),
            place=index,
            user_id=str(user_id),
        )
    return ActionResult(action.type, "done", told=recipients, text=action.text)


async def _recipients(execution: RuleExecution, action: Action) -> list[UUID]:
    """Active members of the company who may see it, without the user who caused the event."""
    ticket, to = execution.context.ticket, action.to or ()
    candidates = list(action.user_ids or ())
    if "reporter" in to:
        candidates.append(ticket.reporter_id)
    if "assignees" in to:
        candidates += await assignee_ids_of(execution.work, execution.automation, ticket.id)
    if "admins" in to:
        candidates += await admins_of(execution.work, execution.automation.company_id)
    members = await repository.members_among(execution.work, execution.automation, candidates)
    roles = {one.user_id: one.role for one in members}
    return [
        user_id
        for user_id in dict.fromkeys(candidates)
        if user_id in roles
        and user_id != execution.context.event.actor_id
        and not (execution.is_internal and roles[user_id] == REPORTER)
    ][:MAX_RECIPIENTS]


async def _webhook(execution: RuleExecution, action: Action, _index: int) -> ActionResult:
    if action.webhook_id is None:
        raise _Skipped("WEBHOOK_NOT_FOUND")
    event = execution.context.event
    is_queued = await queue_rule_run(
        execution.work,
        execution.automation.company_id,
        webhook_id=action.webhook_id,
        is_internal=execution.is_internal,
        data={
            "workflow_id": execution.rule.id,
            "run_id": execution.run_id,
            "event_id": event_id(event),
            "event_type": event.type,
            "ticket_id": event.ticket_id,
        },
    )
    if not is_queued:
        raise _Skipped("WEBHOOK_NOT_TOLD")
    return ActionResult(action.type, "done")


_ACTIONS: Mapping[str, Callable[[RuleExecution, Action, int], Awaitable[ActionResult | None]]] = {
    "set_status": _set_status,
    "set_priority": _set_priority,
    "set_department": _set_department,
    "assign": _assign,
    "unassign": _unassign,
    "add_tag": _add_tag,
    "remove_tag": _remove_tag,
    "comment": _comment,
    "notify": _notify,
    "webhook": _webhook,
}
