"""Applies changes at GitHub to tickets: those of their issues in the connected repository.

Echoes of our own changes are recognised by their marker, or because they change nothing; never by the actor, since the
token may be a person's. Deliveries may arrive twice, late and in any order: those older than the known state are
ignored.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import null, update
from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.companies.errors import CompanyNotFound
from bugrelay.domain.companies.schemas import Automation
from bugrelay.domain.github import repository
from bugrelay.domain.github.events import TicketSynced
from bugrelay.domain.github.issue_text import marked_id, without_marker
from bugrelay.domain.github.models import (
    CLOSED,
    EITHER,
    ENDED,
    IN,
    OPEN,
    SYNCED,
    GitHubComment,
    GitHubIssue,
)
from bugrelay.domain.github.schemas import ConnectionRow, IncomingFacts, IssueRow
from bugrelay.domain.tickets.errors import InvalidTransition, TicketNotFound
from bugrelay.domain.tickets.schemas import TicketState
from bugrelay.domain.tickets.schemes import DONE, SCHEMES
from bugrelay.domain.tickets.service.comments import write_comment
from bugrelay.domain.tickets.service.locking import lock_ticket
from bugrelay.domain.tickets.service.statuses import change_status
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import caused_by
from bugrelay.infra.text.normalising import SURROGATE, normalise

log = structlog.get_logger()

MAX_COMMENT = 10_000  # characters, as for all comments of tickets
MAX_READ = 4 * MAX_COMMENT
MAX_LOGIN = 100
STATES = {"closed": CLOSED, "reopened": OPEN}
GONE_ACTIONS = ("deleted", "transferred")
COMMENTED = "commented"
NOT_PLANNED = "not_planned"


async def apply(work: UnitOfWork, connection: ConnectionRow, facts: IncomingFacts) -> None:
    """Apply a change; ignored where no ticket of the company has this issue, or the connection is not configured for
    it."""
    if not connection.enabled or connection.repository_id != facts.repository_id:
        return
    ticket_id = await repository.linked_ticket(
        work,
        connection.company_id,
        repository_id=facts.repository_id,
        issue_id=facts.issue_id,
        number=facts.number,
    )
    if ticket_id is None:
        return
    with caused_by("github"):
        try:
            # Before its issue: the order of locks.
            ticket = await lock_ticket(work, Automation(connection.company_id), ticket_id)
        except (TicketNotFound, CompanyNotFound):
            return  # the ticket was removed, or the company is no longer verified
        if facts.action in STATES:
            await _apply_state(work, connection, ticket, facts)
        elif facts.action in GONE_ACTIONS:
            await _end_link(work, connection, ticket, facts)
        elif facts.action == COMMENTED:
            await _apply_comment(work, connection, ticket, facts)


async def _apply_state(
    work: UnitOfWork, connection: ConnectionRow, ticket: TicketState, facts: IncomingFacts
) -> None:
    issue = await repository.lock_issue(
        work, connection.company_id, ticket.id, repository_id=facts.repository_id
    )
    state = STATES[facts.action]
    if issue is None or facts.at is None or _is_old(issue, state, at=facts.at):
        return
    values: dict[str, Any] = {"issue_state": state, "issue_updated_at": facts.at}
    if issue.asked_state == state:
        values |= {"asked_state": null(), "pushed_state": state}
    elif issue.asked_state == EITHER:
        log.info("github_echo", ticket_id=str(ticket.id), state=state)
    elif state != issue.issue_state and connection.status_in:
        values["pushed_state"] = await _change_ticket(work, connection, ticket, facts, state=state)
    await _update_issue(work, connection, ticket.id, repository_id=facts.repository_id, values=values)


def _is_old(issue: IssueRow, state: str, *, at: datetime) -> bool:
    """Whether the change is not newer than the known state. GitHub's times have whole seconds: within one, another
    state counts as newer."""
    known = issue.issue_updated_at
    return known is not None and (at < known or (at == known and state == issue.issue_state))


async def _change_ticket(
    work: UnitOfWork, connection: ConnectionRow, ticket: TicketState, facts: IncomingFacts, *, state: str
) -> str:
    """Change the ticket's status to match the issue; returns the state of the issue that then counts as pushed."""
    if (ticket.category == DONE) == (state == CLOSED):
        return state
    status = _status(ticket, state, reason=facts.reason)
    try:
        await change_status(work, Automation(connection.company_id), ticket.id, status=status)
    except InvalidTransition:
        log.info("github_state_left_alone", ticket_id=str(ticket.id), status=ticket.status)
        return OPEN if ticket.category != DONE else CLOSED
    return state


def _status(ticket: TicketState, state: str, *, reason: str | None) -> str:
    scheme = SCHEMES[ticket.scheme]
    if state == OPEN:
        return scheme.resumed_status
    return scheme.declined_status if reason == NOT_PLANNED else scheme.status_like(DONE)


async def _end_link(
    work: UnitOfWork, connection: ConnectionRow, ticket: TicketState, facts: IncomingFacts
) -> None:
    """The issue was deleted or transferred: the ticket has none, and does not get another by itself."""
    await _update_issue(
        work,
        connection,
        ticket.id,
        repository_id=facts.repository_id,
        values={"state": ENDED, "asked_state": null()},
    )
    work.record(
        TicketSynced(
            ticket_id=ticket.id,
            company_id=connection.company_id,
            project_id=ticket.project_id,
            outcome="ended",
            number=facts.number,
            version=ticket.version,
        )
    )


async def _update_issue(
    work: UnitOfWork,
    connection: ConnectionRow,
    ticket_id: UUID,
    *,
    repository_id: int,
    values: dict[str, Any],
) -> None:
    await work.session.execute(
        update(GitHubIssue)
        .where(
            GitHubIssue.company_id == connection.company_id,
            GitHubIssue.ticket_id == ticket_id,
            GitHubIssue.repository_id == repository_id,
            GitHubIssue.state == SYNCED,
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )


async def _apply_comment(
    work: UnitOfWork, connection: ConnectionRow, ticket: TicketState, facts: IncomingFacts
) -> None:
    """Add a comment unless it is our own or known already; the caller holds the ticket's lock."""
    if facts.comment_id is None or await _is_ours(work, connection, ticket.id, facts):
        return
    known = await repository.is_known_comment(
        work, connection.company_id, repository_id=facts.repository_id, github_id=facts.comment_id
    )
    content = _content(facts.body or "")
    if known or connection.comments_in == "off" or not content:
        return
    comment_id = await write_comment(
        work,
        Automation(connection.company_id),
        ticket.id,
        content=content,
        is_internal=connection.comments_in == "internal",
        author_name=f"{_usable(facts.login or '')[:MAX_LOGIN] or 'somebody'} on GitHub",
    )
    await work.session.execute(
        insert(GitHubComment).values(
            company_id=connection.company_id,
            comment_id=comment_id,
            ticket_id=ticket.id,
            direction=IN,
            state=SYNCED,
            repository_id=facts.repository_id,
            github_id=facts.comment_id,
        )
    )


async def _is_ours(
    work: UnitOfWork, connection: ConnectionRow, ticket_id: UUID, facts: IncomingFacts
) -> bool:
    """Whether it is a comment that we have sent: it ends in its marker, and has its id, since markers can be copied."""
    comment_id = marked_id(facts.body)
    if comment_id is None:
        return False
    own = await repository.lock_own_comment(work, connection.company_id, ticket_id, comment_id=comment_id)
    if own is None or own.github_id not in (None, facts.comment_id):
        return False
    await work.session.execute(
        update(GitHubComment)
        .where(GitHubComment.company_id == connection.company_id, GitHubComment.comment_id == comment_id)
        .values(state=SYNCED, github_id=facts.comment_id, repository_id=facts.repository_id)
        .execution_options(synchronize_session=False)
    )
    return True


def _content(body: str) -> str:
    """The text in the form of our comments, cut to their length."""
    text = _usable(without_marker(body[:MAX_READ]))
    return text if len(text) <= MAX_COMMENT else f"{text[: MAX_COMMENT - 1]}…"


def _usable(text: str) -> str:
    """Normalised, without characters that cannot be stored."""
    return normalise(SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\0", "")))
