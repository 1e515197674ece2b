"""The exact total of a list, counted by its reader only if there are few bugs to count.

Totals that are large by the planner's statistics are counted by a job and kept for all processes
(infra/kept_totals.py); a key contains everything that a total depends on, so the job needs only the key.
docs/adr/0016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bugrelay.domain.bugs.models import kept_totals
from bugrelay.domain.bugs.search.planner import BoundQuery, Plan
from bugrelay.domain.bugs.search.statements import ERA, KeyRow, keys_query, page_query, total_query
from bugrelay.infra import incremental_counts
from bugrelay.infra.db.query import Reader, Values
from bugrelay.infra.db.statistics import Common
from bugrelay.infra.incremental_counts import ByJob, Counted, CountedRowT, IncrementalCounts, Statement
from bugrelay.infra.kept_totals import KeptTotals

COUNT_JOB = "bugs.count_total"
TABLE = "bug_search"
MAX_KEY_LENGTH = 600  # characters of at most four bytes: an index entry can have 2,700 bytes

# The columns of filters that have another name.
_COLUMNS = {
    "application_ids": "application_id",
    "company_ids": "assigned_company_id",
    "company_id": "assigned_company_id",
}


def _statement_of(key: str) -> tuple[Statement[Counted], Values]:
    wanted = BoundQuery.of_total_key(key)
    return partial(total_query, wanted.spec), wanted.values


KEPT = KeptTotals(kept_totals, era=ERA, statement_of=_statement_of)
_BY_JOB = ByJob(KEPT.by_key, COUNT_JOB)


@dataclass(frozen=True)
class Totals:
    """Exact totals of lists.

    Attributes:
        counts: The incremental counts of this process.
        primary: Where totals are read, since a standby's snapshots do not tell what was visible.
    """

    counts: IncrementalCounts
    primary: Reader

    def known(self, wanted: BoundQuery) -> int | None:
        """The last known total, which suffices to choose a plan; None if it is not known."""
        return self.counts.known(wanted.total_key)

    async def read(self, wanted: BoundQuery) -> int:
        """The current total."""
        total, _ = await self._read(wanted, partial(total_query, wanted.spec.counted), wanted.values)
        return total

    async def read_with_page(
        self, reader: Reader, wanted: BoundQuery, *, plan: Plan, values: Values
    ) -> tuple[int, Sequence[KeyRow]]:
        """The total, and the keys of a page's rows; from one snapshot unless `reader` is a replica.

        Args:
            reader: The connection for bugs.
            wanted: The list.
            plan: How the page is found.
            values: The parameters of the list and the page.
        """
        if reader is not self.primary:
            return await self.read(wanted), await reader.rows(keys_query(wanted.spec, plan), values)
        total, rows = await self._read(wanted, partial(page_query, wanted.spec, plan), values)
        return total, [row for row in rows if row.id is not None]

    async def _read(
        self, wanted: BoundQuery, statement: Statement[CountedRowT], values: Values
    ) -> tuple[int, Sequence[CountedRowT]]:
        job = await self._job_for(wanted)
        return await self.counts.read(
            self.primary, wanted.total_key, statement=statement, values=values, by_job=job
        )

    async def _job_for(self, wanted: BoundQuery) -> ByJob | None:
        """The job that counts this total if it is expected to be too large for a reader; else None."""
        least = incremental_counts.MAX_COUNTED_HERE
        common = await self.counts.statistics.common(self.primary, TABLE, least=least)
        is_large = len(wanted.total_key) <= MAX_KEY_LENGTH and expected_hits(common, wanted) >= least
        return _BY_JOB if is_large else None


def expected_hits(common: Common, wanted: BoundQuery) -> float:
    """An estimated upper bound of the total. Values that the statistics do not have count as zero."""
    hits = [common.rows, *(_filter_hits(common, name, wanted.values[name]) for name in wanted.spec.filters)]
    search = wanted.search
    if search is not None and search.lexemes:
        words = common.values.get("document", {})
        of_words = [words.get(lexeme, 0.0) for lexeme in search.lexemes]
        hits.append(sum(of_words) if " | " in (search.all_words or "") else min(of_words))
    return min(hits)


def _filter_hits(common: Common, name: str, value: Any) -> float:
    shares = common.values.get(_COLUMNS.get(name, name), {})
    if name == "tags":
        return min(shares.get(tag, 0.0) for tag in value)
    if name in ("application_ids", "company_ids"):
        return sum(shares.get(one, 0.0) for one in value.strip("{}").split(","))
    return shares.get(str(value), 0.0)
