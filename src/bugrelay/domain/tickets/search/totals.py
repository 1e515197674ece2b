"""Totals that no trigger keeps: exact, and counted by their reader only when there are few tickets to count.

What the planner's statistics call common is counted by a job and kept where every process finds it
(infra/kept_totals.py); a key says all that a total depends on, so the job can count it from the key alone.
docs/adr/0016, docs/adr/0039.
"""

from __future__ import annotations

from functools import partial

from bugrelay.domain.tickets.models import ticket_kept_totals
from bugrelay.domain.tickets.search.query import BoundQuery
from bugrelay.domain.tickets.search.statements import ERA, total_query
from bugrelay.infra import incremental_counts
from bugrelay.infra.db.query import Reader, Values
from bugrelay.infra.db.statistics import Common
from bugrelay.infra.incremental_counts import ByJob, Counted, IncrementalCounts, Statement
from bugrelay.infra.kept_totals import KeptTotals

COUNT_JOB = "tickets.count_total"
TABLE = "ticket_search"
MAX_KEY_LENGTH = 600  # characters, of at most four bytes: an entry of an index holds 2,700


def _statement_of(key: str) -> tuple[Statement[Counted], Values]:
    wanted = BoundQuery.of_total_key(key)
    return partial(total_query, wanted.spec), wanted.values


KEPT = KeptTotals(ticket_kept_totals, era=ERA, statement_of=_statement_of)
_BY_JOB = ByJob(KEPT.by_key, COUNT_JOB)


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
