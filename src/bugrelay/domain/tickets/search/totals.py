"""Totals that no trigger keeps: exact, and counted by their reader only when there are few tickets to count.

What the planner's statistics call common is counted by a job (counting.py) and kept where every process finds it; a key
says all that a total depends on, so the job can count it from the key alone. docs/adr/0016, docs/adr/0039.
"""

from __future__ import annotations

from sqlalchemy import bindparam, literal_column, select

from bugrelay.domain.tickets.models import ticket_kept_totals
from bugrelay.domain.tickets.search.query import BoundQuery
from bugrelay.domain.tickets.search.statements import ERA
from bugrelay.infra import incremental_counts
from bugrelay.infra.db.query import Query, Reader
from bugrelay.infra.db.statistics import Common
from bugrelay.infra.incremental_counts import ByJob, Counted, IncrementalCounts

COUNT_JOB = "tickets.count_total"
TABLE = "ticket_search"
MAX_KEY_LENGTH = 600  # characters, of at most four bytes: an entry of an index holds 2,700

# Of this era, of this server, and younger than the log of changes by far, as those of the board.
_kept = ticket_kept_totals.c
READ_KEPT = Query(
    select(_kept.total, _kept.snapshot, _kept.era).where(
        _kept.key == bindparam("key"),
        _kept.era == ERA,
        _kept.cluster == literal_column("(SELECT system_identifier FROM pg_control_system())"),
        _kept.carried_at > literal_column("now() - interval '30 minutes'"),
    ),
    Counted,
)
_BY_JOB = ByJob(READ_KEPT, COUNT_JOB)


async def job_for(reader: Reader, counts: IncrementalCounts, wanted: BoundQuery) -> ByJob | None:
    """The job that counts this total, when more tickets are to be expected than a reader counts."""
    if wanted.spec.is_indexed or len(wanted.total_key) > MAX_KEY_LENGTH:
        return None
    least = incremental_counts.MAX_COUNTED_HERE
    common = await counts.statistics.common(reader, TABLE, least=least)
    return _BY_JOB if expected_hits(common, wanted) >= least else None


def expected_hits(common: Common, wanted: BoundQuery) -> float:
    """About how many tickets a list has, at most. A lexeme that the statistics do not name is rare."""
    shares = common.values.get("document", {})
    return min([common.rows, *(shares.get(lexeme, 0.0) for lexeme in wanted.required)])
