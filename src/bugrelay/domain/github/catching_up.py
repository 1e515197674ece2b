"""The hourly catch-up: GitHub repeats no delivery that was lost, so what has changed since is read."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from bugrelay.domain.github import repository
from bugrelay.domain.github.client import Comment, Issue
from bugrelay.domain.github.errors import Refused, Unavailable
from bugrelay.domain.github.schemas import IncomingFacts
from bugrelay.domain.github.sending import Place, Turn
from bugrelay.domain.github.service import incoming, pushing
from bugrelay.domain.github.service.connections import CATCH_UP_EVERY

log = structlog.get_logger()

AFTER_A_FAILURE = timedelta(minutes=5)
OVERLAP = timedelta(minutes=1)  # what GitHub's clock and ours may be apart, and what is written in one second


async def catch_up(turn: Turn) -> None:
    """Read what has changed in the repository since the last time, if any ticket has its issue there.

    Up to where it has been read is kept with each page: what is interrupted goes on from there.

    Raises:
        Limited, LeaseLost
    """
    pause = CATCH_UP_EVERY
    try:
        place = await turn.look_at_repository()
        await _read_issues(turn, place)
        await _read_comments(turn, place)
    except Unavailable as error:
        log.warning("github_catch_up_put_off", connection_id=str(turn.connection.id), cause=str(error))
        pause = AFTER_A_FAILURE
    except Refused as refusal:
        log.warning("github_catch_up_refused", connection_id=str(turn.connection.id), cause=str(refusal))
        if refusal.is_unauthorized:
            async with turn.work() as work:
                await pushing.switch_off(work, turn.connection, jobs=turn.jobs)
    async with turn.work() as work:
        await pushing.put_off_catch_up(work, turn.connection, pause=pause)


async def _has_issues(turn: Turn, place: Place) -> bool:
    return await repository.has_issues(turn.reader, turn.connection.company_id, repository_id=place.id)


async def _read_issues(turn: Turn, place: Place) -> None:
    if not turn.connection.status_in or not await _has_issues(turn, place):
        return
    since = turn.connection.issues_since - OVERLAP
    async for page in turn.user.issues(place.name, since=since, sort="updated"):
        for issue in page:
            if issue.pull_request is None:
                await _apply(turn, _issue_facts(issue, place))
        await _record_progress(turn, issues_since=_latest(page))


async def _read_comments(turn: Turn, place: Place) -> None:
    if turn.connection.comments_in == "off" or not await _has_issues(turn, place):
        return
    since = turn.connection.comments_since - OVERLAP
    async for page in turn.user.comments(place.name, since=since):
        for comment in page:
            if comment.created_at >= since:  # an older one was corrected
                await _apply(turn, _comment_facts(comment, place))
        await _record_progress(turn, comments_since=_latest(page))


async def _apply(turn: Turn, facts: IncomingFacts) -> None:
    async with turn.work() as work:
        await incoming.apply(work, turn.connection, facts)


async def _record_progress(turn: Turn, **moved: datetime | None) -> None:
    known = {name: moment for name, moment in moved.items() if moment is not None}
    if known:
        async with turn.work() as work:
            await pushing.put_off_catch_up(work, turn.connection, pause=timedelta(0), moved=known)


def _latest(page: list[Issue] | list[Comment]) -> datetime | None:
    return max((one.updated_at for one in page), default=None)


def _issue_facts(issue: Issue, place: Place) -> IncomingFacts:
    return IncomingFacts(
        action="closed" if issue.state == "closed" else "reopened",
        repository_id=place.id,
        issue_id=issue.id,
        at=issue.updated_at,
        reason=issue.state_reason,
    )


def _comment_facts(comment: Comment, place: Place) -> IncomingFacts:
    return IncomingFacts(
        action="commented",
        repository_id=place.id,
        number=comment.issue_number,
        comment_id=comment.id,
        login=comment.user.login if comment.user else None,
        body=(comment.body or "")[: incoming.MAX_READ],
    )
