"""`bugrelay reindex similar`: the index made anew in one transaction, while the former one serves."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import text

from bugrelay.infra.platform import Platform

BATCH = 1000  # documents a statement
DOCUMENTS_A_PART = 100_000  # whose postings are made by one statement, and sorted by it
STATEMENT_SECONDS = 600

# What is pending at that moment is in the texts that are read afterwards; what comes later stays pending.
BEGIN = tuple(
    map(
        text,
        (
            "SELECT pg_advisory_xact_lock(7203474)",  # of similar_fold
            "DELETE FROM similar_pending",
            "DELETE FROM similar_blocks",
            "DELETE FROM similar_docs",
            "DELETE FROM similar_words",
            "DELETE FROM similar_totals",
        ),
    )
)
_BUGS = text("SELECT id FROM bugs WHERE removed_at IS NULL ORDER BY created_at, id")
_ADD = text("SELECT similar_add(CAST(:bugs AS uuid[]))")
_POST = text("SELECT similar_post(0, :parts, :part)")


async def rebuild(platform: Platform, *, on_step: Callable[[int, int], None]) -> int:
    """Make the index anew and give the number of its documents. One that is cut off has changed nothing.

    Nobody waits for it: questions are answered by the former index until the commit, and changes are pending until
    then. It makes a second copy of the index, whose space is used again afterwards.

    Args:
        platform: Whose board.
        on_step: Is told how many steps are done, and of how many.
    """
    async with platform.work() as work:
        await work.set_timeouts(statement_seconds=STATEMENT_SECONDS, lock_seconds=STATEMENT_SECONDS)
        for statement in BEGIN:
            await work.session.execute(statement)
        bugs = list(await work.session.scalars(_BUGS))
        batches = [bugs[first : first + BATCH] for first in range(0, len(bugs), BATCH)]
        parts = max(1, -(-len(bugs) // DOCUMENTS_A_PART))
        steps = len(batches) + parts
        for done, batch in enumerate(batches, start=1):
            await work.session.execute(_ADD, {"bugs": batch})
            on_step(done, steps)
        for part in range(parts):
            await work.session.execute(_POST, {"parts": parts, "part": part})
            on_step(len(batches) + part + 1, steps)
    return len(bugs)
