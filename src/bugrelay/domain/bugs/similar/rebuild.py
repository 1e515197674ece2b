"""`bugrelay reindex similar`: a rebuild of the index in one transaction, while the old one serves."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import text

from bugrelay.infra.platform import Platform

BATCH = 1000  # documents for each statement
DOCUMENTS_A_PART = 100_000  # whose postings one statement builds and sorts
STATEMENT_SECONDS = 600

# Changes that are pending now are contained in the texts that are read afterwards; later ones stay pending.
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
    """Rebuild the index and return the number of its documents. An aborted rebuild has changed nothing.

    It blocks nobody: queries use the old index until the commit, and changes stay pending until then. It needs space
    for a second copy of the index, which is reused afterwards.

    Args:
        platform: The ports of the process.
        on_step: Called after each step with the number of finished steps and of all.
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
