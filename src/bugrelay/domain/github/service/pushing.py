"""What is written down around each call: before it, what is about to be asked; after it, what GitHub has answered.

Exactly once: that an issue is being created is committed before GitHub is asked to. Whoever finds that looks for it
in GitHub's list first, by its marker, and asks again only where it is not there a minute later. Comments likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import case, delete, func, null, update
from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.companies.repository import admins_of
from bugrelay.domain.github.client import Comment, Issue, Repository
from bugrelay.domain.github.events import GitHubConnectionSwitchedOff, TicketSynced
from bugrelay.domain.github.models import (
    CREATING,
    EITHER,
    FAILED,
    PENDING,
    SYNCED,
    UNAUTHORIZED,
    GitHubComment,
    GitHubConnection,
    GitHubIssue,
    GitHubPush,
)
from bugrelay.domain.github.schemas import ConnectionRow, IssueRow, PushRow, TicketRow
from bugrelay.domain.tickets.schemes import DONE
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import MAIL_QUEUE, JobQueue

MAIL_JOB = "github.mail_switched_off"
TRIED_FOR = timedelta(days=1)
FIRST_PAUSE = timedelta(seconds=5)
MAX_PAUSE = timedelta(hours=1)
_DOUBLINGS = 10


# --- the repository -------------------------------------------------------------------------------------------------


async def record_repository(
    work: UnitOfWork, connection: ConnectionRow, found: Repository, *, login: str
) -> bool:
    """Write down what GitHub says of the repository; whether the connection is still the one that asked."""
    values = {
        "repository_id": found.id,
        "is_private": found.private,
        "login": login,
        "checked_at": func.now(),
    }
    return await _update_connection(work, connection, **values)


async def switch_off(work: UnitOfWork, connection: ConnectionRow, *, jobs: JobQueue) -> None:
    """GitHub refuses the token: nothing is sent until an admin has entered another one. They are told once."""
    values = {"enabled": False, "switched_off_reason": UNAUTHORIZED, "updated_at": func.now()}
    if not await _update_connection(work, connection, GitHubConnection.enabled, **values):
        return
    work.record(
        GitHubConnectionSwitchedOff(
            connection_id=connection.id, company_id=connection.company_id, reason=UNAUTHORIZED
        )
    )
    for user_id in await admins_of(work, connection.company_id):
        await jobs.add(
            work.session,
            MAIL_JOB,
            queue=MAIL_QUEUE,
            connection_id=str(connection.id),
            user_id=str(user_id),
            occasion=str(new_id()),
        )


async def _update_connection(
    work: UnitOfWork, connection: ConnectionRow, *conditions: Any, **values: Any
) -> bool:
    """Whether it has still the token and the repository that GitHub was asked with."""
    changing = (
        update(GitHubConnection)
        .where(
            GitHubConnection.id == connection.id,
            GitHubConnection.repo.is_not_distinct_from(connection.repo),
            GitHubConnection.token_key.is_not_distinct_from(connection.token_key),
            *conditions,
        )
        .values(**values)
        .returning(GitHubConnection.id)
        .execution_options(synchronize_session=False)
    )
    return (await work.session.execute(changing)).first() is not None


# --- issues ---------------------------------------------------------------------------------------------------------


async def begin_creating(
    work: UnitOfWork, connection: ConnectionRow, ticket_id: UUID, *, repository_id: int, login: str
) -> bool:
    """Note that GitHub is about to be asked for the ticket's issue; whether nobody else has."""
    creating = (
        insert(GitHubIssue)
        .values(
            company_id=connection.company_id,
            ticket_id=ticket_id,
            repository_id=repository_id,
            state=CREATING,
            creator=login,
            first_tried_at=func.now(),
            tried_at=func.now(),
        )
        .on_conflict_do_nothing()
        .returning(GitHubIssue.ticket_id)
    )
    return (await work.session.execute(creating)).first() is not None


async def begin_creating_again(
    work: UnitOfWork, connection: ConnectionRow, ticket_id: UUID, *, repository_id: int, tried_at: datetime
) -> bool:
    """Note another try; whether nobody else has since the last one."""
    return await _update_issue(
        work,
        connection,
        ticket_id,
        GitHubIssue.state == CREATING,
        GitHubIssue.tried_at == tried_at,
        repository_id=repository_id,
        tried_at=func.now(),
    )


async def end_creating(
    work: UnitOfWork, connection: ConnectionRow, ticket_id: UUID, *, repository_id: int
) -> None:
    """GitHub has refused to create it, so it was not created."""
    await work.session.execute(
        delete(GitHubIssue)
        .where(*_issue(connection, ticket_id, repository_id), GitHubIssue.state == CREATING)
        .execution_options(synchronize_session=False)
    )


async def record_created(
    work: UnitOfWork, connection: ConnectionRow, ticket: TicketRow, issue: Issue, *, repository_id: int
) -> None:
    """Write down the issue of a ticket."""
    created = await _update_issue(
        work,
        connection,
        ticket.id,
        GitHubIssue.state == CREATING,
        repository_id=repository_id,
        state=SYNCED,
        issue_id=issue.id,
        number=issue.number,
        url=issue.html_url,
        issue_state=issue.state,
        issue_updated_at=issue.updated_at,
        synced_at=func.now(),
    )
    if created:
        _record(work, connection, ticket, outcome="synced", number=issue.number)


async def begin_setting_state(
    work: UnitOfWork, connection: ConnectionRow, ticket_id: UUID, *, repository_id: int, state: str
) -> None:
    """Note which state GitHub is about to be asked for: when it tells of that, it is no news. Where the answer to the
    other one was lost, neither is."""
    asked = GitHubIssue.asked_state
    noted = case((func.coalesce(asked, state) == state, state), else_=EITHER)
    await _note_asked(work, connection, ticket_id, repository_id=repository_id, asked=noted)


async def end_setting_state(
    work: UnitOfWork, connection: ConnectionRow, ticket_id: UUID, *, repository_id: int, former: str | None
) -> None:
    """GitHub has not done it, so what it was asked for before is all that it may tell of."""
    await _note_asked(work, connection, ticket_id, repository_id=repository_id, asked=former)


async def _note_asked(
    work: UnitOfWork, connection: ConnectionRow, ticket_id: UUID, *, repository_id: int, asked: Any
) -> None:
    of_link = GitHubIssue.state == SYNCED
    await _update_issue(work, connection, ticket_id, of_link, repository_id=repository_id, asked_state=asked)


async def record_state(
    work: UnitOfWork,
    connection: ConnectionRow,
    ticket_id: UUID,
    *,
    repository_id: int,
    state: str,
    issue: Issue | None,
) -> None:
    """The issue is in this state now, by our asking or (None) because it was already."""
    values: dict[str, Any] = {"pushed_state": state, "asked_state": null()}
    if issue is not None:
        values |= {
            "issue_state": issue.state,
            "issue_updated_at": func.greatest(GitHubIssue.issue_updated_at, issue.updated_at),
            "synced_at": func.now(),
        }
    await _update_issue(
        work, connection, ticket_id, GitHubIssue.state == SYNCED, repository_id=repository_id, **values
    )


def _issue(connection: ConnectionRow, ticket_id: UUID, repository_id: int) -> tuple[Any, ...]:
    return (
        GitHubIssue.company_id == connection.company_id,
        GitHubIssue.ticket_id == ticket_id,
        GitHubIssue.repository_id == repository_id,
    )


async def _update_issue(
    work: UnitOfWork,
    connection: ConnectionRow,
    ticket_id: UUID,
    *conditions: Any,
    repository_id: int,
    **values: Any,
) -> bool:
    changing = (
        update(GitHubIssue)
        .where(*_issue(connection, ticket_id, repository_id), *conditions)
        .values(**values)
        .returning(GitHubIssue.ticket_id)
        .execution_options(synchronize_session=False)
    )
    return (await work.session.execute(changing)).first() is not None


def _record(
    work: UnitOfWork,
    connection: ConnectionRow,
    ticket: TicketRow,
    *,
    outcome: Literal["synced", "failed", "ended"],
    number: int | None,
) -> None:
    work.record(
        TicketSynced(
            ticket_id=ticket.id,
            company_id=connection.company_id,
            project_id=ticket.project_id,
            outcome=outcome,
            number=number,
            version=ticket.version,
        )
    )


# --- comments -------------------------------------------------------------------------------------------------------


async def begin_commenting(
    work: UnitOfWork,
    connection: ConnectionRow,
    comment_id: UUID,
    *,
    repository_id: int,
    tried_at: datetime | None,
) -> bool:
    """Note that a comment is about to be sent; whether nobody else has since `tried_at`."""
    values = {
        "state": CREATING,
        "repository_id": repository_id,
        "tried_at": func.now(),
        "first_tried_at": func.coalesce(GitHubComment.first_tried_at, func.now()),
    }
    unchanged = GitHubComment.tried_at.is_not_distinct_from(tried_at)
    return await _update_comment(work, connection, comment_id, unchanged, **values)


async def end_commenting(work: UnitOfWork, connection: ConnectionRow, comment_id: UUID) -> None:
    """GitHub has refused it, so it is not there."""
    values = {"state": PENDING, "repository_id": null(), "tried_at": null(), "first_tried_at": null()}
    await _update_comment(work, connection, comment_id, GitHubComment.state == CREATING, **values)


async def record_comment(
    work: UnitOfWork, connection: ConnectionRow, comment_id: UUID, comment: Comment
) -> None:
    await _update_comment(work, connection, comment_id, state=SYNCED, github_id=comment.id)


async def _update_comment(
    work: UnitOfWork, connection: ConnectionRow, comment_id: UUID, *conditions: Any, **values: Any
) -> bool:
    changing = (
        update(GitHubComment)
        .where(
            GitHubComment.company_id == connection.company_id,
            GitHubComment.comment_id == comment_id,
            GitHubComment.state != SYNCED,
            *conditions,
        )
        .values(**values)
        .returning(GitHubComment.comment_id)
        .execution_options(synchronize_session=False)
    )
    return (await work.session.execute(changing)).first() is not None


# --- pushes ---------------------------------------------------------------------------------------------------------


async def end_push(work: UnitOfWork, connection: ConnectionRow, push: PushRow) -> None:
    """Nothing is left to send, unless somebody has asked for more meanwhile."""
    await work.session.execute(
        delete(GitHubPush)
        .where(*_push(connection, push), GitHubPush.revision == push.revision)
        .execution_options(synchronize_session=False)
    )


async def go_on(
    work: UnitOfWork, connection: ConnectionRow, push: PushRow, *, pause: timedelta = timedelta(0)
) -> None:
    """There is more to send, and nothing has failed."""
    values = {"next_at": func.now() + pause, "attempts": 0, "failing_since": null()}
    await _update_push(work, connection, push, **values)


async def try_again(
    work: UnitOfWork, connection: ConnectionRow, push: PushRow, ticket: TicketRow | None
) -> None:
    """GitHub did not answer: with doubling pauses for a day, then no more."""
    doublings = func.least(GitHubPush.attempts, _DOUBLINGS)
    wait = func.least(FIRST_PAUSE * func.power(2, doublings), MAX_PAUSE)
    again = await _update_push(
        work,
        connection,
        push,
        func.coalesce(GitHubPush.failing_since, func.now()) > func.now() - TRIED_FOR,
        attempts=GitHubPush.attempts + 1,
        failing_since=func.coalesce(GitHubPush.failing_since, func.now()),
        next_at=func.now() + wait,
    )
    if not again:
        sentence = "GitHub could not be reached for a day"
        await fail(work, connection, push, ticket, sentence=sentence)


async def fail(
    work: UnitOfWork, connection: ConnectionRow, push: PushRow, ticket: TicketRow | None, *, sentence: str
) -> None:
    """GitHub will not take it. Where somebody has asked for more meanwhile, that is tried."""
    current = GitHubPush.revision == push.revision
    failed = await _update_push(work, connection, push, current, state=FAILED, error=sentence)
    if failed and ticket is not None:
        _record(work, connection, ticket, outcome="failed", number=None)


def _push(connection: ConnectionRow, push: PushRow) -> tuple[Any, ...]:
    return (
        GitHubPush.company_id == connection.company_id,
        GitHubPush.ticket_id == push.ticket_id,
        GitHubPush.connection_id == connection.id,
    )


async def _update_push(
    work: UnitOfWork, connection: ConnectionRow, push: PushRow, *conditions: Any, **values: Any
) -> bool:
    changing = (
        update(GitHubPush)
        .where(*_push(connection, push), *conditions)
        .values(**values)
        .returning(GitHubPush.ticket_id)
        .execution_options(synchronize_session=False)
    )
    return (await work.session.execute(changing)).first() is not None


# --- the catch-up ---------------------------------------------------------------------------------------------------


async def put_off_catch_up(
    work: UnitOfWork,
    connection: ConnectionRow,
    *,
    pause: timedelta,
    moved: Mapping[str, datetime] | None = None,
) -> None:
    """When changes are read next, and up to where they have been."""
    await _update_connection(work, connection, catch_up_at=func.now() + pause, **(moved or {}))


def next_state(ticket: TicketRow, issue: IssueRow) -> Literal["open", "closed"] | None:
    """The state that the issue is to be brought to: what the ticket's category has become since it was told last.

    Where an answer was lost, nobody knows what it was told.
    """
    wanted: Literal["open", "closed"] = "closed" if ticket.category == DONE else "open"
    return None if wanted == issue.pushed_state and issue.asked_state is None else wanted
