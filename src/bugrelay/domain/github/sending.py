"""One turn of sending: what is due for longest, as far as one write brings it. No transaction is open while GitHub is
asked."""

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
from bugrelay.domain.github.repository import UNSEEN_FOR
from bugrelay.domain.github.schemas import CommentRow, ConnectionRow, IssueRow, PushRow, TicketRow
from bugrelay.domain.github.service import pushing
from bugrelay.domain.support.service.confirmation import note_public_issue
from bugrelay.domain.tickets.schemes import SCHEMES
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import caused_by
from bugrelay.infra.jobs.queue import JobQueue

log = structlog.get_logger()

REPOSITORY_SEEN_FOR = timedelta(seconds=60)
CLOCKS_APART = timedelta(minutes=10)  # that GitHub's clock and ours may be

Work = Callable[[], UnitOfWork]
Describe = Callable[[ConnectionRow, TicketRow, bool], Awaitable[TicketText]]
"""What GitHub is told of a ticket; the last argument is whether the repository is private."""

_NOT_DONE = (Refused, Limited, LeaseLost, Unreached)
"""After which we know that GitHub has not done what it was to be asked."""


@dataclass(frozen=True)
class Place:
    """A repository, as the connection knows it at this moment."""

    name: str
    id: int
    is_private: bool
    login: str


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn with a connection's token.

    Attributes:
        work: Begins a change of the database.
        reader: Reads it.
        connection: Whose turn it is.
        repo: The repository's name.
        user: GitHub, with the connection's token.
        labels: Of each issue, besides those of its own.
        describe: What is told of a ticket.
        jobs: Has mails sent.
    """

    work: Work
    reader: Reader
    connection: ConnectionRow
    repo: str
    user: GitHubUser
    labels: tuple[str, ...]
    describe: Describe
    jobs: JobQueue

    async def look_at_repository(self) -> Place:
        """The repository, asked for where we have not for a minute: it may have become public.

        Raises:
            Refused: Also where nothing may be sent there.
            Unavailable, Limited, LeaseLost
        """
        known = self.connection
        if (
            known.repository_id is not None
            and known.login is not None
            and known.checked_at is not None
            and known.checked_at > datetime.now(UTC) - REPOSITORY_SEEN_FOR
        ):
            return self._usable(Place(self.repo, known.repository_id, bool(known.is_private), known.login))
        found = await self.user.repository(self.repo)
        login = (
            await self.user.account()
        ).login  # an account can be renamed, and an operator's token be another's
        if known.repository_id not in (None, found.id):
            raise Refused(
                "Another repository has this name now; an admin of the company has to enter it again"
            )
        async with self.work() as work:
            if not await pushing.record_repository(work, known, found, login=login):
                raise LeaseLost
        _check_usable(found)
        return self._usable(Place(self.repo, found.id, found.private, login))

    def _usable(self, place: Place) -> Place:
        if not (place.is_private or self.connection.allow_public):
            raise Refused("The repository is public; an admin of the company has to allow that")
        return place

    async def send(self) -> None:
        """Send what is due for longest, up to one write.

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
        except Exception as error:  # noqa: BLE001 - whatever one ticket meets with, the others go on
            cause = str(error) if isinstance(error, Unavailable) else repr(error.__cause__ or error)[:300]
            log.warning("github_push_put_off", ticket_id=str(push.ticket_id), cause=cause)
            with caused_by("github"):
                async with self.work() as work:
                    await pushing.try_again(work, self.connection, push, ticket)

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
        place = await self.look_at_repository()
        issue = await repository.issue_of(
            self.reader, self.connection.company_id, ticket.id, repository_id=place.id
        )
        if issue is None:
            await self._begin_issue(push, ticket, place)
        elif issue.state == CREATING:
            await self._find_issue(push, ticket, place, issue)
        elif issue.state == ENDED:
            await self._end(push)
        else:
            await self._update_issue(push, ticket, place, issue)

    async def _end(self, push: PushRow) -> None:
        async with self.work() as work:
            await pushing.end_push(work, self.connection, push)

    # --- the issue ----------------------------------------------------------------------------------------------

    async def _begin_issue(self, push: PushRow, ticket: TicketRow, place: Place) -> None:
        """A ticket that had its issue elsewhere, and is not asked to have one here, has none."""
        if not push.may_create:
            await self._end(push)
            return
        told = await self.describe(self.connection, ticket, place.is_private)
        async with self.work() as work:
            begun = await pushing.begin_creating(
                work, self.connection, ticket.id, repository_id=place.id, login=place.login
            )
        if begun:
            await self._create_issue(push, ticket, place, told)

    async def _find_issue(self, push: PushRow, ticket: TicketRow, place: Place, issue: IssueRow) -> None:
        """Somebody has asked for it and does not know the answer."""
        found = await self._listed_issue(ticket.id, place, issue)
        if found is not None:
            await self._record_issue(push, ticket, place, found)
        elif not issue.may_try_again:  # it may be on its way; looked at before the list was
            async with self.work() as work:
                await pushing.go_on(work, self.connection, push, pause=UNSEEN_FOR)
        else:
            told = await self.describe(self.connection, ticket, place.is_private)
            async with self.work() as work:
                begun = await pushing.begin_creating_again(
                    work, self.connection, ticket.id, repository_id=place.id, tried_at=issue.tried_at
                )
            if begun:
                await self._create_issue(push, ticket, place, told)

    async def _listed_issue(self, ticket_id: UUID, place: Place, issue: IssueRow) -> Issue | None:
        since = issue.first_tried_at - CLOCKS_APART
        pages = self.user.issues(place.name, since=since, sort="created", creator=issue.creator)
        async for page in pages:
            for one in page:
                if one.pull_request is None and marked_id(one.body) == ticket_id:
                    return one
        return None

    async def _create_issue(self, push: PushRow, ticket: TicketRow, place: Place, told: TicketText) -> None:
        try:
            issue = await self.user.create_issue(
                place.name,
                title=issue_title(told),
                body=issue_body(told),
                labels=issue_labels(told, self.labels),
            )
        except _NOT_DONE:
            async with self.work() as work:
                await pushing.end_creating(work, self.connection, ticket.id, repository_id=place.id)
            raise
        await self._record_issue(push, ticket, place, issue)

    async def _record_issue(self, push: PushRow, ticket: TicketRow, place: Place, issue: Issue) -> None:
        with caused_by("github"):
            async with self.work() as work:
                await pushing.record_created(work, self.connection, ticket, issue, repository_id=place.id)
                if not place.is_private:
                    await note_public_issue(
                        work,
                        company_id=self.connection.company_id,
                        ticket_id=ticket.id,
                        url=issue.html_url,
                    )
                await pushing.go_on(work, self.connection, push)

    # --- its state and its comments -------------------------------------------------------------------------------

    async def _update_issue(self, push: PushRow, ticket: TicketRow, place: Place, issue: IssueRow) -> None:
        number = issue.number
        if number is None:  # the database does not allow for it
            return
        state = pushing.next_state(ticket, issue) if self.connection.status_out else None
        if state is not None:
            await self._set_state(push, ticket, place, issue, number=number, state=state)
            return
        comment = None
        if self.connection.comments_out:
            comment = await repository.unsent_comment(
                self.reader, self.connection.company_id, ticket.id, repository_id=place.id
            )
        if comment is None:
            await self._end(push)
        else:
            await self._send_comment(push, comment, place, number)

    async def _set_state(
        self,
        push: PushRow,
        ticket: TicketRow,
        place: Place,
        issue: IssueRow,
        *,
        number: int,
        state: Literal["open", "closed"],
    ) -> None:
        answer = None
        if state != issue.issue_state or issue.asked_state is not None:
            answer = await self._ask_for_state(ticket, place, issue, number=number, state=state)
        async with self.work() as work:
            await pushing.record_state(
                work, self.connection, ticket.id, repository_id=place.id, state=state, issue=answer
            )
            await pushing.go_on(work, self.connection, push)

    async def _ask_for_state(
        self,
        ticket: TicketRow,
        place: Place,
        issue: IssueRow,
        *,
        number: int,
        state: Literal["open", "closed"],
    ) -> Issue:
        async with self.work() as work:
            await pushing.begin_setting_state(
                work, self.connection, ticket.id, repository_id=place.id, state=state
            )
        try:
            return await self.user.set_state(place.name, number, state=state, reason=_reason(ticket, state))
        except _NOT_DONE:
            async with self.work() as work:
                await pushing.end_setting_state(
                    work, self.connection, ticket.id, repository_id=place.id, former=issue.asked_state
                )
            raise

    async def _send_comment(self, push: PushRow, comment: CommentRow, place: Place, number: int) -> None:
        if comment.state == CREATING:
            found = await self._listed_comment(comment, place)
            if found is not None:
                await self._record_comment(push, comment, found)
                return
            if not comment.may_try_again:
                async with self.work() as work:
                    await pushing.go_on(work, self.connection, push, pause=UNSEEN_FOR)
                return
        async with self.work() as work:
            begun = await pushing.begin_commenting(
                work,
                self.connection,
                comment.comment_id,
                repository_id=place.id,
                tried_at=comment.tried_at,
            )
        if begun:
            await self._create_comment(push, comment, place, number)

    async def _listed_comment(self, comment: CommentRow, place: Place) -> Comment | None:
        since = (comment.first_tried_at or datetime.now(UTC)) - CLOCKS_APART
        async for page in self.user.comments(place.name, since=since):
            for one in page:
                if marked_id(one.body) == comment.comment_id:
                    return one
        return None

    async def _create_comment(self, push: PushRow, comment: CommentRow, place: Place, number: int) -> None:
        author = comment.author if place.is_private else None
        body = comment_body(comment.content, author=author, comment_id=comment.comment_id)
        try:
            sent = await self.user.create_comment(place.name, number, body=body)
        except _NOT_DONE:
            async with self.work() as work:
                await pushing.end_commenting(work, self.connection, comment.comment_id)
            raise
        await self._record_comment(push, comment, sent)

    async def _record_comment(self, push: PushRow, comment: CommentRow, sent: Comment) -> None:
        async with self.work() as work:
            await pushing.record_comment(work, self.connection, comment.comment_id, sent)
            await pushing.go_on(work, self.connection, push)


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
        raise Refused("Issues are switched off in the repository")
    if found.archived:
        raise Refused("The repository is archived")
