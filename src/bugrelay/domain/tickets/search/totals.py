"""Totals that no trigger keeps: exact, and counted by their reader only when there are few tickets to count.

What the planner's statistics call common is counted by a job and kept where every process finds it
(infra/kept_totals.py); a key says all that a total depends on, so the job can count it from the key alone. Where no job
has counted it, and its reader cannot in time, it is estimated, and said to be. docs/adr/0016, docs/adr/0039.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from bugrelay.domain.tickets.models import ticket_kept_totals
from bugrelay.domain.tickets.search.query import BoundQuery, Plan
from bugrelay.domain.tickets.search.statements import ERA, KeyRow, keys_query, page_query, total_query
from bugrelay.infra import incremental_counts
from bugrelay.infra.db.query import Reader, Values
from bugrelay.infra.db.statistics import Common
from bugrelay.infra.incremental_counts import (
    ByJob,
    Counted,
    CountedRowT,
    IncrementalCounts,
    Statement,
    TotalNotCounted,
)
from bugrelay.infra.kept_totals import KeptTotals

COUNT_JOB = "tickets.count_total"
TABLE = "ticket_search"
MAX_KEY_LENGTH = 600  # characters, of at most four bytes: an entry of an index holds 2,700


def _statement_of(key: str) -> tuple[Statement[Counted], Values]:
    wanted = BoundQuery.of_total_key(key)
    return partial(total_query, wanted.spec), wanted.values


KEPT = KeptTotals(ticket_kept_totals, era=ERA, statement_of=_statement_of)
_BY_JOB = ByJob(KEPT.by_key, COUNT_JOB)


@dataclass
class Totals:
    """Of the lists that one request reads.

    Attributes:
        reader: The primary.
        counts: Of this process.
        is_estimated: Whether one of them took too long to count: those that follow are estimated.
    """

    reader: Reader
    counts: IncrementalCounts
    is_estimated: bool = False

    async def found_by(self, wanted: BoundQuery) -> BoundQuery:
        """What the index is searched for: not for the company's mark where nearly all documents have it."""
        if wanted.spec.is_indexed or not wanted.spec.marks_company:
            return wanted
        return wanted.without_company() if has_nearly_all(await self._common(), wanted) else wanted

    async def about(self, wanted: BoundQuery) -> int:
        """The total as it was a moment ago, good for choosing a plan."""
        if not wanted.spec.is_counted:
            known = self.counts.known(wanted.total_key)
            if known is not None:
                return known
        statement = partial(total_query, replace(wanted.spec, order="", words=0, words_only=False))
        found = await self._read(wanted, statement, wanted.values)
        return await self._estimated(wanted) if found is None else found[0]

    async def with_page(self, wanted: BoundQuery, plan: Plan, values: Values) -> tuple[int, Sequence[KeyRow]]:
        """The total, and the keys of a page's rows; of one snapshot where it is exact.

        Args:
            wanted: The list.
            plan: How the page is found.
            values: Of the list and the page.
        """
        found = await self._read(wanted, partial(page_query, wanted.spec, plan), values)
        if found is not None:
            total, rows = found
            return total, [row for row in rows if row.id is not None]
        keys = await self.reader.rows(keys_query(wanted.spec, plan), values)
        return await self._total_beside(wanted, plan, values, found=len(keys)), keys

    async def _total_beside(self, wanted: BoundQuery, plan: Plan, values: Values, *, found: int) -> int:
        """The total beside a page that it was not counted with: known where the list ends on the page, else estimated,
        and never in contradiction with the page."""
        seen: int = values["offset"] + found
        ends_here = plan.is_whole and not plan.keyset and found < values["limit"]
        if ends_here and (found or not values["offset"]):
            self.is_estimated = False
            return seen
        estimated = await self._estimated(wanted)
        return min(seen, estimated) if ends_here else max(seen, estimated)

    async def _read(
        self, wanted: BoundQuery, statement: Statement[CountedRowT], values: Values
    ) -> tuple[int, Sequence[CountedRowT]] | None:
        """The total and the rows of the statement; None where it takes too long to count."""
        if wanted.spec.is_counted:
            rows = await self.reader.rows(statement(incremental=False), values)
            return rows[0].total, rows
        self.is_estimated |= self.counts.has_given_up(wanted.total_key)
        if self.is_estimated:
            return None
        job = await self._job_for(wanted)
        try:
            return await self.counts.read(
                self.reader, wanted.total_key, statement=statement, values=values, by_job=job
            )
        except TotalNotCounted:
            self.is_estimated = True
            return None

    async def _job_for(self, wanted: BoundQuery) -> ByJob | None:
        """The job that counts this total, when more tickets are to be expected than a reader counts."""
        if wanted.spec.is_indexed or len(wanted.total_key) > MAX_KEY_LENGTH:
            return None
        least = incremental_counts.MAX_COUNTED_HERE
        return _BY_JOB if expected_hits(await self._common(), wanted) >= least else None

    async def _estimated(self, wanted: BoundQuery) -> int:
        return estimated_hits(await self._common(), wanted)

    async def _common(self) -> Common:
        return await self.counts.statistics.common(
            self.reader, TABLE, least=incremental_counts.MAX_COUNTED_HERE
        )


def has_nearly_all(common: Common, wanted: BoundQuery) -> bool:
    """Whether the company has nearly all documents: those of others are fewer than a reader counts."""
    company = common.values.get("document", {}).get(wanted.marks[0])
    return company is not None and common.rows - company < incremental_counts.MAX_COUNTED_HERE


def expected_hits(common: Common, wanted: BoundQuery) -> float:
    """About how many tickets a list has, at most. A lexeme that the statistics do not name is rare."""
    shares = common.values.get("document", {})
    return min([common.rows, *(shares.get(lexeme, 0.0) for lexeme in wanted.required)])


def estimated_hits(common: Common, wanted: BoundQuery) -> int:
    """About how many tickets a list has, as if words, sight and columns had nothing to do with each other."""
    rare = incremental_counts.MAX_COUNTED_HERE / 2  # what the statistics do not name

    def share(name: str, *values: str) -> float:
        known = common.values.get(name, {})
        hits = sum(known.get(value, 0.0) for value in values) or rare
        return min(1.0, hits / max(common.rows, 1.0))

    shares = [min(share("document", mark) for mark in wanted.marks)]
    shares += [share("document", word) for word in wanted.words]
    if wanted.seen:
        shares.append(share("document", *wanted.seen))
    shares += [
        share(name, wanted.values[name])
        for name in ("status", "category", "priority")
        if name in wanted.spec.columns
    ]
    return round(common.rows * math.prod(shares))
