"""The hourly catch-up: GitHub does not repeat lost deliveries, so changes since the last catch-up are read."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from bugrelay.domain.github import repository
from bugrelay.domain.github.client import Comment, Issue
from bugrelay.domain.github.errors import Refused, Unavailable
from bugrelay.domain.github.schemas import IncomingFacts
from bugrelay.domain.github.sending import SyncRun, TargetRepository
from bugrelay.domain.github.service import incoming, pushing
from bugrelay.domain.github.service.connections import CATCH_UP_EVERY

log = structlog.get_logger()

AFTER_A_FAILURE = timedelta(minutes=5)
OVERLAP = timedelta(minutes=1)  # allows for clock skew, and for several changes within one second


async def catch_up(run: SyncRun) -> None:
    """Read changes of issues and comments since the last time, if any ticket has its issue in the repository.

    The position is stored after each page, so that an interrupted catch-up continues from there.

    Raises:
        Limited, LeaseLost
    """
    pause = CATCH_UP_EVERY
    try:
        target = await run.check_repository()
        await _read_issues(run, target)
        await _read_comments(run, target)
    except Unavailable as error:
        log.warning("github_catch_up_put_off", connection_id=str(run.connection.id), cause=str(error))
        pause = AFTER_A_FAILURE
    except Refused as refusal:
        log.warning("github_catch_up_refused", connection_id=str(run.connection.id), cause=str(refusal))
        if refusal.is_unauthorized:
            async with run.work() as work:
                await pushing.switch_off(work, run.connection, jobs=run.jobs)
    async with run.work() as work:
        await pushing.schedule_catch_up(work, run.connection, pause=pause)


async def _has_issues(run: SyncRun, target: TargetRepository) -> bool:
    return await repository.has_issues(run.reader, run.connection.company_id, repository_id=target.id)


async def _read_issues(run: SyncRun, target: TargetRepository) -> None:
    if not run.connection.status_in or not await _has_issues(run, target):
        return
    since = run.connection.issues_since - OVERLAP
    async for page in run.user.issues(target.name, since=since, sort="updated"):
        for issue in page:
            if issue.pull_request is None:
                await _apply(run, _issue_facts(issue, target))
        await _record_progress(run, issues_since=_latest(page))


async def _read_comments(run: SyncRun, target: TargetRepository) -> None:
    if run.connection.comments_in == "off" or not await _has_issues(run, target):
        return
    since = run.connection.comments_since - OVERLAP
    async for page in run.user.comments(target.name, since=since):
        for comment in page:
            if comment.created_at >= since:  # older ones were edited
                await _apply(run, _comment_facts(comment, target))
        await _record_progress(run, comments_since=_latest(page))


async def _apply(run: SyncRun, facts: IncomingFacts) -> None:
    async with run.work() as work:
        await incoming.apply(work, run.connection, facts)


async def _record_progress(run: SyncRun, **moved: datetime | None) -> None:
    known = {name: moment for name, moment in moved.items() if moment is not None}
    if known:
        async with run.work() as work:
            await pushing.schedule_catch_up(work, run.connection, pause=timedelta(0), moved=known)


def _latest(page: list[Issue] | list[Comment]) -> datetime | None:
    return max((one.updated_at for one in page), default=None)


def _issue_facts(issue: Issue, target: TargetRepository) -> IncomingFacts:
    return IncomingFacts(
        action="closed" if issue.state == "closed" else "reopened",
        repository_id=target.id,
        issue_id=issue.id,
        at=issue.updated_at,
        reason=issue.state_reason,
    )


def _comment_facts(comment: Comment, target: TargetRepository) -> IncomingFacts:
    return IncomingFacts(
        action="commented",
        repository_id=target.id,
        number=comment.issue_number,
        comment_id=comment.id,
        login=comment.user.login if comment.user else None,
        body=(comment.body or "")[: incoming.MAX_READ],
    )
