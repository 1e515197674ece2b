"""The consumer `links`: propagates changes between tickets and public bugs, once for each event.

A ticket's status is carried over to the bug, where the link says so, in the name of the user who changed the ticket and
with their current rights. Changes of the bug become internal comments of its tickets, without an author.

Loop prevention: setting the present status is no change, a ticket gets no comment on a status that it has carried over
itself, and events with a causal chain longer than `MAX_CHAIN` have no effects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.bugs import repository as bugs
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.models import StatusChange
from bugrelay.domain.bugs.schemas import Status
from bugrelay.domain.bugs.service.statuses import change_status
from bugrelay.domain.companies.errors import CompanyNotFound
from bugrelay.domain.companies.schemas import Automation
from bugrelay.domain.events.schemas import Event, chain_after
from bugrelay.domain.links import repository
from bugrelay.domain.links.policies import carried_status
from bugrelay.domain.links.schemas import CarryingLink, LinkedTicket
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.schemes import SCHEMES
from bugrelay.domain.tickets.service.comments import write_comment
from bugrelay.errors import AccountBanned, InsufficientPermissions, InvalidToken
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import caused_by
from bugrelay.infra.viewer import Viewer

MAX_CHAIN: Final = 16  # entries of a causal chain
_SENTENCES: Final = {
    "status.changed": "went from `{from}` to `{to}`",
    "comment.created": "has a new comment",
    "response.created": "has a new official response",
    "bug.edited": "was edited ({fields})",
    "bug.removed": "was removed from the board",
    "bug.restored": "is back on the board",
    "bug.merged": "was merged into [another one]({site}/api/v1/bugs/{target_id})",
    "bug.unmerged": "is a bug of its own again",
}


async def propagate_events(work: UnitOfWork, events: Sequence[Event], *, site: str) -> int | None:
    """Handle events of one stream up to the first that has effects, so that its locks are held for no other.

    Args:
        work: The unit of work of the cursor.
        events: In order.
        site: The public URL, for links to bugs.

    Returns:
        How many were handled; None for all.
    """
    linked = await repository.bugs_with_links(work, [event for event in events if event.type in _SENTENCES])
    for number, event in enumerate(events, 1):
        if len(event.cause["chain"]) > MAX_CHAIN:
            continue
        acted = False
        if event.type == "ticket.status_changed":
            acted = await _carry(work, event)
        elif event.type in _SENTENCES and event.bug_id in linked:
            acted = await _comment_on_tickets(work, event, site=site)
        if acted:
            return number
    return None


# --- from the ticket to the bug ---------------------------------------------------------------------------------------


async def _carry(work: UnitOfWork, event: Event) -> bool:
    assert event.ticket_id is not None  # noqa: S101 - events of this type have both
    assert event.project_id is not None  # noqa: S101
    links = await repository.bugs_to_carry_to(
        work, company_id=event.stream, ticket_id=event.ticket_id, project_id=event.project_id
    )
    with caused_by("link", chain=chain_after(event, _chain_entry(event.ticket_id))):
        refused = [
            status
            for link in links
            if (status := _carried(event, link))
            and not await _carry_to(work, event, link.bug_id, status=status)
        ]
        if refused:  # the ticket is locked after the bugs
            reason = "the user who changed this ticket may not change the bug"
            text = f"The public bug did not become `{refused[0]}`: {reason}."
            await _add_comment(work, LinkedTicket(event.stream, event.ticket_id), text)
    return bool(links)


def _carried(event: Event, link: CarryingLink) -> Status | None:
    return carried_status(SCHEMES[link.scheme], old=event.data["from"], new=event.data["to"])


async def _carry_to(work: UnitOfWork, event: Event, bug_id: UUID, *, status: Status) -> bool:
    """Set the bug's status, unless it has it, or was removed or merged meanwhile; returns False if that is
    forbidden."""
    state = await bugs.bug_state(work, bug_id)
    if state is None or state.status == status:
        return True
    try:
        await _change_status(work, event, bug_id, status=status)
    except (AccountBanned, InvalidToken, InsufficientPermissions):
        return False
    except BugNotFound:
        return True
    return True


async def _change_status(work: UnitOfWork, event: Event, bug_id: UUID, *, status: Status) -> None:
    """
    Raises:
        AccountBanned, InvalidToken, BugNotFound
        InsufficientPermissions: The ticket was not changed by a user, or they are not on the company's team any more,
            or the bug is assigned to another company.
    """
    if event.actor_id is None:
        raise InsufficientPermissions
    await lock_active_user(work, event.actor_id)
    bug = await bugs.lock_bug(work, bug_id, before_writing=(StatusChange,))
    if bug is None:
        raise BugNotFound
    if bug.assigned_company_id != event.stream:
        raise InsufficientPermissions
    viewer = Viewer(user_id=event.actor_id)
    await change_status(work, viewer, bug_id, user_id=event.actor_id, status=status)


# --- from the bug to its tickets --------------------------------------------------------------------------------------


async def _comment_on_tickets(work: UnitOfWork, event: Event, *, site: str) -> bool:
    if event.bug_id is None or "source_id" in event.data:
        return False  # another bug was merged into it: only the tickets of that one get a comment
    sentence = _SENTENCES[event.type].format_map(
        {**event.data, "site": site, "fields": ", ".join(event.data.get("fields", ()))}
    )
    text = f"The public bug [{event.bug_id}]({site}/api/v1/bugs/{event.bug_id}) {sentence}."
    commented = False
    with caused_by("link", chain=chain_after(event)):
        for ticket in await repository.tickets_linked_to(work, event.bug_id):
            if _chain_entry(ticket.ticket_id) not in event.cause["chain"]:
                await _add_comment(work, ticket, text)
                commented = True
    return commented


async def _add_comment(work: UnitOfWork, ticket: LinkedTicket, text: str) -> None:
    """Add an internal comment without an author; nothing where the ticket was removed, or the company is no tenant."""
    try:
        await write_comment(
            work, Automation(ticket.company_id), ticket.ticket_id, content=text, is_internal=True
        )
    except (TicketNotFound, CompanyNotFound):
        return


def _chain_entry(ticket_id: UUID) -> str:
    """The entry in the chain of what was carried over from a ticket."""
    return f"link:{ticket_id}"
