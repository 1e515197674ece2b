"""One sync run: the push that has been due for longest, up to its next write. No transaction is open during a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog

from bugrelay.domain.github import repository
from bugrelay.domain.github.client import Comment, GitHubUser, Issue, Repository
from bugrelay.domain.github.errors import LeaseLost, Limited, Refused, Unavailable, Unreached
from bugrelay.domain.github.issue_text import (
    TicketText,
    comment_body,
    issue_body,
    issue_labels,
    issue_title,
    marked_id,
)
from bugrelay.domain.github.models import CREATING, ENDED, OPEN
from bugrelay.domain.github.repository import LOST_AFTER
from bugrelay.domain.github.schemas import CommentRow, ConnectionRow, IssueRow, PushRow, TicketRow
from bugrelay.domain.github.service import pushing
from bugrelay.domain.support.service.confirmation import record_public_issue
from bugrelay.domain.tickets.schemes import SCHEMES
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import caused_by
from bugrelay.infra.jobs.queue import JobQueue

log = structlog.get_logger()

REPOSITORY_CHECKED_FOR = timedelta(seconds=60)
CLOCK_SKEW = timedelta(minutes=10)  # between GitHub's clock and ours

Work = Callable[[], UnitOfWork]
Describe = Callable[[ConnectionRow, TicketRow, bool], Awaitable[TicketText]]
"""Reads what is sent of a ticket; the last argument is whether the repository is private."""

_NOT_EXECUTED = (Refused, Limited, LeaseLost, Unreached)
"""Errors after which we know that the call had no effect at GitHub."""


@dataclass(frozen=True)
class TargetRepository:
    """The repository of a connection, and the owner of its token, as they were last checked."""

    name: str
    id: int
    is_private: bool
    login: str


@dataclass(frozen=True, kw_only=True)
class SyncRun:
    """One run for a connection, under the lease of its token.

    Attributes:
        work: Begins a unit of work.
        reader: Reads the database.
        connection: The connection.
        repo: The repository's name, `owner/name`.
        user: GitHub's API with the connection's token.
        labels: Labels of each issue, besides those of the ticket.
        describe: Reads what is sent of a ticket.
        jobs: The queue, for mails.
    """

    work: Work
    reader: Reader
    connection: ConnectionRow
    repo: str
    user: GitHubUser
    labels: tuple[str, ...]
    describe: Describe
    jobs: JobQueue

    async def check_repository(self) -> TargetRepository:
        """The repository; it is read from GitHub again after `REPOSITORY_CHECKED_FOR`, since it may have become public.

        Raises:
            Refused: Also where nothing may be sent to it.
            Unavailable, Limited, LeaseLost
        """
        known = self.connection
        if (
            known.repository_id is not None
            and known.login is not None
            and known.checked_at is not None
            and known.checked_at > datetime.now(UTC) - REPOSITORY_CHECKED_FOR
        ):
            return self._usable(
                TargetRepository(self.repo, known.repository_id, bool(known.is_private), known.login)
            )
        found = await self.user.repository(self.repo)
        owner = (
            await self.user.account()
        )  # checked again: accounts are renamed, and the operator's token may change
        if known.repository_id not in (None, found.id):
            raise Refused(
                "Another repository has this name now; an admin of the company has to enter the right one"
            )
        async with self.work() as work:
            if not await pushing.record_repository(work, known, found, login=owner.login):
                raise LeaseLost
        _check_usable(found)
        return self._usable(TargetRepository(self.repo, found.id, found.private, owner.login))

    def _usable(self, target: TargetRepository) -> TargetRepository:
        if not (target.is_private or self.connection.allow_public):
            raise Refused("The repository is public; an admin of the company has to set allow_public")
        return target

    async def send(self) -> None:
        """Work on the push that has been due for longest, up to one write.

        Raises:
            Limited, LeaseLost
        """
        push = await repository.due_push(self.reader, self.connection.id)
        if push is None:
            return
        ticket = await repository.ticket_text_row(self.reader, self.connection.company_id, push.ticket_id)
        try:
            await self._send(push, ticket)
        except (Limited, LeaseLost):
            raise
        except Refused as refusal:
            await self._fail(push, ticket, refusal)
        except Exception as error:  # noqa: BLE001 - a defect in one push must not stop the others
            cause = str(error) if isinstance(error, Unavailable) else repr(error.__cause__ or error)[:300]
            log.warning("github_push_put_off", ticket_id=str(push.ticket_id), cause=cause)
            with caused_by("github"):
                async with self.work() as work:
                    await pushing.retry_later(work, self.connection, push, ticket)

    async def _fail(self, push: PushRow, ticket: TicketRow | None, refusal: Refused) -> None:
        log.warning("github_push_failed", ticket_id=str(push.ticket_id), cause=str(refusal))
        with caused_by("github"):
            async with self.work() as work:
                if refusal.is_unauthorized:
                    await pushing.switch_off(work, self.connection, jobs=self.jobs)
                await pushing.fail(work, self.connection, push, ticket, sentence=str(refusal))

    async def _send(self, push: PushRow, ticket: TicketRow | None) -> None:
        if ticket is None:
            await self._end(push)
            return
        target = await self.check_repository()
        issue = await repository.issue_of(
            self.reader, self.connection.company_id, ticket.id, repository_id=target.id
        )
        if issue is None:
            await self._start_creating(push, ticket, target)
        elif issue.state == CREATING:
            await self._resume_creating(push, ticket, target, issue)
        elif issue.state == ENDED:
            await self._end(push)
        else:
            await self._update_issue(push, ticket, target, issue)

    async def _end(self, push: PushRow) -> None:
        async with self.work() as work:
            await pushing.end_push(work, self.connection, push)

    # --- the issue ----------------------------------------------------------------------------------------------

    async def _start_creating(self, push: PushRow, ticket: TicketRow, target: TargetRepository) -> None:
        """Create the issue, where this is wanted: a ticket with an issue in a previous repository gets none by
        itself."""
        if not push.may_create:
            await self._end(push)
            return
        text = await self.describe(self.connection, ticket, target.is_private)
        async with self.work() as work:
            begun = await pushing.begin_creating(
                work, self.connection, ticket.id, repository_id=target.id, login=target.login
            )
        if begun:
            await self._create_issue(push, ticket, target, text)

    async def _resume_creating(
        self, push: PushRow, ticket: TicketRow, target: TargetRepository, issue: IssueRow
    ) -> None:
        """A previous attempt has lost GitHub's response: look for the issue before it is created again."""
        found = await self._find_issue(ticket.id, target, issue)
        if found is not None:
            await self._record_issue(push, ticket, target, found)
        elif not issue.may_try_again:  # the request may be in flight; this was read before the list
            async with self.work() as work:
                await pushing.continue_push(work, self.connection, push, pause=LOST_AFTER)
        else:
            text = await self.describe(self.connection, ticket, target.is_private)
            async with self.work() as work:
                begun = await pushing.begin_creating_again(
                    work, self.connection, ticket.id, repository_id=target.id, tried_at=issue.tried_at
                )
            if begun:
                await self._create_issue(push, ticket, target, text)

    async def _find_issue(self, ticket_id: UUID, target: TargetRepository, issue: IssueRow) -> Issue | None:
        since = issue.first_tried_at - CLOCK_SKEW
        pages = self.user.issues(target.name, since=since, sort="created", creator=issue.creator)
        async for page in pages:
            for one in page:
                if one.pull_request is None and marked_id(one.body) == ticket_id:
                    return one
        return None

    async def _create_issue(
        self, push: PushRow, ticket: TicketRow, target: TargetRepository, text: TicketText
    ) -> None:
        try:
            issue = await self.user.create_issue(
                target.name,
                title=issue_title(text),
                body=issue_body(text),
                labels=issue_labels(text, self.labels),
            )
        except _NOT_EXECUTED:
            async with self.work() as work:
                await pushing.end_creating(work, self.connection, ticket.id, repository_id=target.id)
            raise
        await self._record_issue(push, ticket, target, issue)

    async def _record_issue(
        self, push: PushRow, ticket: TicketRow, target: TargetRepository, issue: Issue
    ) -> None:
        with caused_by("github"):
            async with self.work() as work:
                await pushing.record_created(work, self.connection, ticket, issue, repository_id=target.id)
                if not target.is_private:
                    await record_public_issue(
                        work,
                        company_id=self.connection.company_id,
                        ticket_id=ticket.id,
                        url=issue.html_url,
                    )
                await pushing.continue_push(work, self.connection, push)

    # --- its state and its comments -------------------------------------------------------------------------------

    async def _update_issue(
        self, push: PushRow, ticket: TicketRow, target: TargetRepository, issue: IssueRow
    ) -> None:
        number = issue.number
        if number is None:  # excluded by a check constraint
            return
        state = pushing.next_state(ticket, issue) if self.connection.status_out else None
        if state is not None:
            await self._set_state(push, ticket, target, issue, number=number, state=state)
            return
        comment = None
        if self.connection.comments_out:
            comment = await repository.unsent_comment(
                self.reader, self.connection.company_id, ticket.id, repository_id=target.id
            )
        if comment is None:
            await self._end(push)
        else:
            await self._send_comment(push, comment, target, number)

    async def _set_state(
        self,
        push: PushRow,
        ticket: TicketRow,
        target: TargetRepository,
        issue: IssueRow,
        *,
        number: int,
        state: Literal["open", "closed"],
    ) -> None:
        answer = None
        if state != issue.issue_state or issue.asked_state is not None:
            answer = await self._ask_for_state(ticket, target, issue, number=number, state=state)
        async with self.work() as work:
            await pushing.record_state(
                work, self.connection, ticket.id, repository_id=target.id, state=state, issue=answer
            )
            await pushing.continue_push(work, self.connection, push)

    async def _ask_for_state(
        self,
        ticket: TicketRow,
        target: TargetRepository,
        issue: IssueRow,
        *,
        number: int,
        state: Literal["open", "closed"],
    ) -> Issue:
        async with self.work() as work:
            await pushing.begin_setting_state(
                work, self.connection, ticket.id, repository_id=target.id, state=state
            )
        try:
            return await self.user.set_state(target.name, number, state=state, reason=_reason(ticket, state))
        except _NOT_EXECUTED:
            async with self.work() as work:
                await pushing.end_setting_state(
                    work, self.connection, ticket.id, repository_id=target.id, former=issue.asked_state
                )
            raise

    async def _send_comment(
        self, push: PushRow, comment: CommentRow, target: TargetRepository, number: int
    ) -> None:
        if comment.state == CREATING:
            found = await self._find_comment(comment, target)
            if found is not None:
                await self._record_comment(push, comment, found)
                return
            if not comment.may_try_again:
                async with self.work() as work:
                    await pushing.continue_push(work, self.connection, push, pause=LOST_AFTER)
                return
        async with self.work() as work:
            begun = await pushing.begin_commenting(
                work,
                self.connection,
                comment.comment_id,
                repository_id=target.id,
                tried_at=comment.tried_at,
            )
        if begun:
            await self._create_comment(push, comment, target, number)

    async def _find_comment(self, comment: CommentRow, target: TargetRepository) -> Comment | None:
        since = (comment.first_tried_at or datetime.now(UTC)) - CLOCK_SKEW
        async for page in self.user.comments(target.name, since=since):
            for one in page:
                if marked_id(one.body) == comment.comment_id:
                    return one
        return None

    async def _create_comment(
        self, push: PushRow, comment: CommentRow, target: TargetRepository, number: int
    ) -> None:
        author = comment.author if target.is_private else None
        body = comment_body(comment.content, author=author, comment_id=comment.comment_id)
        try:
            sent = await self.user.create_comment(target.name, number, body=body)
        except _NOT_EXECUTED:
            async with self.work() as work:
                await pushing.end_commenting(work, self.connection, comment.comment_id)
            raise
        await self._record_comment(push, comment, sent)

    async def _record_comment(self, push: PushRow, comment: CommentRow, sent: Comment) -> None:
        async with self.work() as work:
            await pushing.record_comment(work, self.connection, comment.comment_id, sent)
            await pushing.continue_push(work, self.connection, push)


def _reason(ticket: TicketRow, state: str) -> str:
    if state == OPEN:
        return "reopened"
    return "not_planned" if ticket.status == SCHEMES[ticket.scheme].declined_status else "completed"


def _check_usable(found: Repository) -> None:
    """
    Raises:
        Refused
    """
    if not found.has_issues:
        raise Refused("Issues are disabled in the repository")
    if found.archived:
        raise Refused("The repository is archived")
