"""What rules do to a ticket: by the use cases that people's changes go through, with the same checks and facts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from bugrelay.domain.companies.models import REPORTER
from bugrelay.domain.companies.repository import admins_of
from bugrelay.domain.companies.schemas import Automation
from bugrelay.domain.events.schemas import event_id
from bugrelay.domain.rules import repository
from bugrelay.domain.rules.fields import Situation
from bugrelay.domain.rules.schemas import Action, ActionResult, Rule
from bugrelay.domain.rules.texts import Words, fill_markdown
from bugrelay.domain.tickets.schemas import MAX_ASSIGNEES, TicketChanges, TicketState
from bugrelay.domain.tickets.service.comments import write_comment
from bugrelay.domain.tickets.service.editing import edit_ticket
from bugrelay.domain.tickets.service.opening import assignee_ids_of, open_ticket
from bugrelay.domain.tickets.service.statuses import change_status
from bugrelay.domain.webhooks.service.queueing import queue_rule_run
from bugrelay.errors import BugRelayError
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.jobs.queue import NOTICE_QUEUE, JobQueue
from bugrelay.infra.text.tags import MAX_TAGS

NOTIFY_JOB = "rules.notify"
MAX_COMMENT_LENGTH = 10_000
MAX_TOLD = 50  # people, of one action
UNAVAILABLE_FROM = 500


@dataclass(kw_only=True)
class Acting:
    """A rule at work.

    Attributes:
        run_id: Of the run that is going to be written down.
        actor: The name of who set it off.
        present: The ticket as it stands, where nothing was done to it since it was read.
    """

    work: UnitOfWork
    automation: Automation
    rule: Rule
    run_id: UUID
    situation: Situation
    actor: str
    jobs: JobQueue
    present: TicketState | None = None

    @property
    def ticket_id(self) -> UUID:
        return self.situation.ticket.id

    @property
    def is_internal(self) -> bool:
        """What follows from something internal is said to nobody who may not know of it."""
        return self.situation.event.visibility == "internal"

    async def ticket(self) -> TicketState:
        """As it stands after the actions before."""
        if self.present is None:
            self.present = await open_ticket(self.work, self.automation, self.ticket_id)
        return self.present

    async def edit(self, changes: TicketChanges) -> None:
        self.present = None
        await edit_ticket(self.work, self.automation, self.ticket_id, changes)

    async def change_status(self, status: str) -> None:
        self.present = None
        await change_status(self.work, self.automation, self.ticket_id, status=status)

    async def words(self) -> Words:
        ticket = await self.ticket()
        return Words(key=ticket.key, title=ticket.title, status=ticket.status, actor=self.actor)


class _Skipped(Exception):
    """An action that is not to be done, and why."""


async def do(acting: Acting, action: Action, *, place: int) -> ActionResult:
    """Do one action; what the ticket's rules forbid is skipped.

    Args:
        acting: The rule at work.
        action: What to do.
        place: Which of the rule's actions it is, counted from 0.
    """
    before = (await acting.ticket()).version
    try:
        told = await _ACTIONS[action.type](acting, action, place)
    except _Skipped as skipped:
        return ActionResult(action.type, "skipped", reason=str(skipped))
    except BugRelayError as error:
        if error.status >= UNAVAILABLE_FROM:
            raise
        return ActionResult(action.type, "skipped", reason=error.code)
    if told is not None:
        return told
    changed = (await acting.ticket()).version != before
    return ActionResult(action.type, "done" if changed else "unchanged")


async def _set_status(acting: Acting, action: Action, _place: int) -> None:
    await acting.change_status(action.value or "")


async def _set_priority(acting: Acting, action: Action, _place: int) -> None:
    await acting.edit(TicketChanges(priority=action.value))  # type: ignore[arg-type]  # checked when it was saved


async def _set_department(acting: Acting, action: Action, _place: int) -> None:
    await acting.edit(TicketChanges(department=action.value or None))


async def _assign(acting: Acting, action: Action, _place: int) -> None:
    """Those who work on it already stay."""
    former = await assignee_ids_of(acting.work, acting.automation, acting.ticket_id)
    wanted = list(dict.fromkeys([*former, *(action.user_ids or ())]))
    if len(wanted) > MAX_ASSIGNEES:
        raise _Skipped("TOO_MANY_ASSIGNEES")
    await acting.edit(TicketChanges(assignee_ids=wanted))


async def _unassign(acting: Acting, action: Action, _place: int) -> None:
    former = await assignee_ids_of(acting.work, acting.automation, acting.ticket_id)
    leaving = set(former if action.user_ids is None else action.user_ids)
    await acting.edit(TicketChanges(assignee_ids=[one for one in former if one not in leaving]))


async def _add_tag(acting: Acting, action: Action, _place: int) -> None:
    tags = list(dict.fromkeys([*(await acting.ticket()).tags, action.value or ""]))
    if len(tags) > MAX_TAGS:
        raise _Skipped("TOO_MANY_TAGS")
    await acting.edit(TicketChanges(tags=tags))


async def _remove_tag(acting: Acting, action: Action, _place: int) -> None:
    tags = (await acting.ticket()).tags
    await acting.edit(TicketChanges(tags=[tag for tag in tags if tag != action.value]))


async def _comment(acting: Acting, action: Action, _place: int) -> ActionResult:
    content = fill_markdown(action.text or "", await acting.words(), max_length=MAX_COMMENT_LENGTH)
    await write_comment(
        acting.work,
        acting.automation,
        acting.ticket_id,
        content=content,
        is_internal=action.is_internal or acting.is_internal,
    )
    return ActionResult(action.type, "done")


async def _notify(acting: Acting, action: Action, place: int) -> ActionResult:
    """One mail each, by jobs of this transaction."""
    told = await _recipients(acting, action)
    if not told:
        raise _Skipped("NOBODY_TO_TELL")
    for user_id in told:
        await acting.jobs.add(
            acting.work.session,
            NOTIFY_JOB,
            queue=NOTICE_QUEUE,
            company_id=str(acting.automation.company_id),
            run_id=str(acting.run_id),
            place=place,
            user_id=str(user_id),
        )
    return ActionResult(action.type, "done", told=told, text=action.text)


async def _recipients(acting: Acting, action: Action) -> list[UUID]:
    """Active members of the company who may know of it, without the one who set it off."""
    ticket, to = acting.situation.ticket, action.to or ()
    candidates = list(action.user_ids or ())
    if "reporter" in to:
        candidates.append(ticket.reporter_id)
    if "assignees" in to:
        candidates += await assignee_ids_of(acting.work, acting.automation, ticket.id)
    if "admins" in to:
        candidates += await admins_of(acting.work, acting.automation.company_id)
    members = await repository.members_among(acting.work, acting.automation, candidates)
    roles = {one.user_id: one.role for one in members}
    return [
        user_id
        for user_id in dict.fromkeys(candidates)
        if user_id in roles
        and user_id != acting.situation.event.actor_id
        and not (acting.is_internal and roles[user_id] == REPORTER)
    ][:MAX_TOLD]


async def _webhook(acting: Acting, action: Action, _place: int) -> ActionResult:
    if action.webhook_id is None:
        raise _Skipped("WEBHOOK_NOT_FOUND")
    event = acting.situation.event
    is_queued = await queue_rule_run(
        acting.work,
        acting.automation.company_id,
        webhook_id=action.webhook_id,
        is_internal=acting.is_internal,
        data={
            "workflow_id": acting.rule.id,
            "run_id": acting.run_id,
            "event_id": event_id(event),
            "event_type": event.type,
            "ticket_id": event.ticket_id,
        },
    )
    if not is_queued:
        raise _Skipped("WEBHOOK_NOT_TOLD")
    return ActionResult(action.type, "done")


_ACTIONS: Mapping[str, Callable[[Acting, Action, int], Awaitable[ActionResult | None]]] = {
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
