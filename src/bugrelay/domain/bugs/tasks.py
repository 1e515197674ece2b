"""Jobs of the board: ageing of votes, deletion of expired rows, and the upkeep of counts and of the index."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, text, tuple_, update

from bugrelay.domain.bugs import reassignment
from bugrelay.domain.bugs.events import VotesCounted
from bugrelay.domain.bugs.models import CaptchaToken, Vote
from bugrelay.domain.bugs.repository import aged_votes, lock_bugs_for_votes, vote_counts
from bugrelay.domain.bugs.search import counting
from bugrelay.domain.bugs.search.totals import COUNT_JOB, KEPT
from bugrelay.domain.bugs.similar.tasks import fold_similar
from bugrelay.infra.idempotency import KEPT_FOR, IdempotencyKey
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.platform import Platform

RECENT = timedelta(days=30)
BATCH = 2000  # rows in each transaction, so that locks are short whatever the board's size
BATCH_COUNTED = 200  # events in each transaction, which locks their streams
CAPTCHA_KEPT_FOR = timedelta(days=7)  # verifiers refuse a token after minutes
# Twice the time for which infra/incremental_counts.py uses a total that was not updated.
LOG_KEPT_FOR = timedelta(hours=1)

_BUGS_WITH_NEW_VOTES = text("SELECT votes_told(:most)")


async def age_votes(platform: Platform) -> None:
    """Take votes older than thirty days out of the count that `trending` sorts by."""
    while True:
        async with platform.work() as work:
            votes = await aged_votes(work, age=RECENT, limit=BATCH)
            await lock_bugs_for_votes(work, (vote.bug_id for vote in votes))
            # The date is written unchanged: it fires the trigger that decides what is recent and updates the count.
            await work.session.execute(
                update(Vote)
                .where(tuple_(Vote.bug_id, Vote.user_id).in_([(vote.bug_id, vote.user_id) for vote in votes]))
                .values(created_at=Vote.created_at)
                .execution_options(synchronize_session=False)
            )
        if len(votes) < BATCH:
            return


async def clean_up(platform: Platform) -> None:
    """Delete expired idempotency keys, used captcha tokens, and changes that no total needs any more."""
    async with platform.work() as work:
        await work.session.execute(
            delete(IdempotencyKey).where(IdempotencyKey.created_at < func.now() - KEPT_FOR)
        )
        await work.session.execute(
            delete(CaptchaToken).where(CaptchaToken.used_at < func.now() - CAPTCHA_KEPT_FOR)
        )
        await work.session.execute(
            text("DELETE FROM bug_search_changes WHERE at < now() - CAST(:kept AS interval)"),
            {"kept": LOG_KEPT_FOR},
        )


async def fold_tags(platform: Platform) -> None:
    """Fold the changes of tags into their counts, so that reading these stays fast."""
    async with platform.work() as work:
        await work.session.execute(text("SELECT tags_fold()"))


async def reassign_bugs(platform: Platform, *, application_id: str) -> None:
    """Assign the remaining bugs to the application's company, each batch in its own transaction; idempotent."""
    full = True
    while full:
        async with platform.work() as work:
            batch = await reassignment.reassign_batch(work.session, UUID(application_id), actor_id=None)
            for fact in batch:
                work.record(fact)
            full = len(batch) == reassignment.BATCH


async def record_vote_counts(platform: Platform) -> None:
    """Write the vote counts of bugs to the event log, for each bug at most once a minute; votes write no events."""
    full = True
    while full:
        async with platform.work() as work:
            bug_ids = (await work.session.scalars(_BUGS_WITH_NEW_VOTES, {"most": BATCH_COUNTED})).all()
            for bug in await vote_counts(work, bug_ids):
                work.record(
                    VotesCounted(bug_id=bug.id, company_id=bug.assigned_company_id, vote_count=bug.vote_count)
                )
        full = len(bug_ids) == BATCH_COUNTED


async def count_total(platform: Platform, *, key: str) -> None:
    """Count a total that a reader needs."""
    await KEPT.count_once(key, database_url=platform.settings.database_url, counts=platform.counts)


async def keep_totals(platform: Platform) -> None:
    """Update the kept totals, and count common ones that are missing."""
    await counting.keep_totals(database_url=platform.settings.database_url, counts=platform.counts)


TASKS = Tasks(
    by_name={reassignment.JOB: reassign_bugs, COUNT_JOB: count_total},
    periodic={
        "bugs.age_votes": Periodic("* * * * *", age_votes),
        "bugs.record_vote_counts": Periodic("* * * * * */15", record_vote_counts),
        "bugs.keep_totals": Periodic("* * * * *", keep_totals),
        "bugs.fold_tags": Periodic("* * * * *", fold_tags),
        "bugs.fold_similar": Periodic("* * * * * */15", fold_similar),
        "bugs.clean_up": Periodic("*/10 * * * *", clean_up),
    },
)
