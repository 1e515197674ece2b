"""State changes around each call: the intent is committed before it, the result after it.

Issues are created exactly once: `creating` is committed before the call. A run that finds it first searches GitHub's
list for the marker, and creates the issue only where it is not there after `LOST_AFTER`. Comments likewise.
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
RETRY_FOR = timedelta(days=1)
FIRST_PAUSE = timedelta(seconds=5)
MAX_PAUSE = timedelta(hours=1)
_DOUBLINGS = 10


# --- the repository -------------------------------------------------------------------------------------------------


async def record_repository(
    work: UnitOfWork, connection: ConnectionRow, found: Repository, *, login: str
) -> bool:
    """Store what was read of the repository; returns False where the connection was changed meanwhile."""
    values = {
        "repository_id": found.id,
        "is_private": found.private,
        "login": login,
        "checked_at": func.now(),
    }
    return await _update_connection(work, connection, **values)


async def switch_off(work: UnitOfWork, connection: ConnectionRow, *, jobs: JobQueue) -> None:
    """GitHub refuses the token: nothing is sent until an admin enters another one. The admins are mailed once."""
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
    """Update the connection if it still has the repository and the token of the call; returns whether it has."""
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
    """Record the intent to create the ticket's issue; returns False where there is one already."""
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
    """Record another attempt (compare-and-set on `tried_at`); returns False where somebody else has made one."""
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
    """The call was not executed: remove the intent."""
    await work.session.execute(
        delete(GitHubIssue)
        .where(*_issue(connection, ticket_id, repository_id), GitHubIssue.state == CREATING)
        .execution_options(synchronize_session=False)
    )


async def record_created(
    work: UnitOfWork, connection: ConnectionRow, ticket: TicketRow, issue: Issue, *, repository_id: int
) -> None:
    """Record the issue that was created."""
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
    """Record the state that is about to be requested, so that its echo is recognised; `either` where the response to a
    request of the other state was lost."""
    asked = GitHubIssue.asked_state
    noted = case((func.coalesce(asked, state) == state, state), else_=EITHER)
    await _note_asked(work, connection, ticket_id, repository_id=repository_id, asked=noted)


async def end_setting_state(
    work: UnitOfWork, connection: ConnectionRow, ticket_id: UUID, *, repository_id: int, former: str | None
) -> None:
    """The call was not executed: restore the previously requested state."""
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
    """Record that the issue is in this state: by our call (`issue`), or because it was already (None)."""
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
    """Record the intent to send a comment (compare-and-set on `tried_at`); returns False where somebody else has."""
    values = {
        "state": CREATING,
        "repository_id": repository_id,
        "tried_at": func.now(),
        "first_tried_at": func.coalesce(GitHubComment.first_tried_at, func.now()),
    }
    unchanged = GitHubComment.tried_at.is_not_distinct_from(tried_at)
    return await _update_comment(work, connection, comment_id, unchanged, **values)


async def end_commenting(work: UnitOfWork, connection: ConnectionRow, comment_id: UUID) -> None:
    """The call was not executed: remove the intent."""
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
    """Remove a finished push, unless it was requested again meanwhile."""
    await work.session.execute(
        delete(GitHubPush)
        .where(*_push(connection, push), GitHubPush.revision == push.revision)
        .execution_options(synchronize_session=False)
    )


async def continue_push(
    work: UnitOfWork, connection: ConnectionRow, push: PushRow, *, pause: timedelta = timedelta(0)
) -> None:
    """Continue the push after `pause`; resets its failures."""
    values = {"next_at": func.now() + pause, "attempts": 0, "failing_since": null()}
    await _update_push(work, connection, push, **values)


async def retry_later(
    work: UnitOfWork, connection: ConnectionRow, push: PushRow, ticket: TicketRow | None
) -> None:
    """Schedule a retry with exponential back-off; the push fails after `RETRY_FOR`."""
    doublings = func.least(GitHubPush.attempts, _DOUBLINGS)
    wait = func.least(FIRST_PAUSE * func.power(2, doublings), MAX_PAUSE)
    again = await _update_push(
        work,
        connection,
        push,
        func.coalesce(GitHubPush.failing_since, func.now()) > func.now() - RETRY_FOR,
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
    """Mark the push as failed, unless it was requested again meanwhile."""
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


async def schedule_catch_up(
    work: UnitOfWork,
    connection: ConnectionRow,
    *,
    pause: timedelta,
    moved: Mapping[str, datetime] | None = None,
) -> None:
    """Schedule the next catch-up, and store its positions."""
    await _update_connection(work, connection, catch_up_at=func.now() + pause, **(moved or {}))


def next_state(ticket: TicketRow, issue: IssueRow) -> Literal["open", "closed"] | None:
    """The state to push, or None where the last pushed state is right and no response was lost."""
    wanted: Literal["open", "closed"] = "closed" if ticket.category == DONE else "open"
    return None if wanted == issue.pushed_state and issue.asked_state is None else wanted
