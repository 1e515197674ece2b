"""The planner of lists and searches: which plans are tried for a page, by the query spec and the known total.

Up to a few thousand matches are found by the search index and sorted. With more, a list in the order of an index is an
index scan that filters; relevance reads the rank tiers from the top, until no bug outside of a tier can be on the page;
and a deep page of the list of all bugs begins at a boundary time. These are pure functions: statements.py builds the
SQL of a plan, and service.py runs it. docs/adr/0016.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec

from bugrelay.infra.search.parser import SearchQuery
from bugrelay.infra.search.ranking import BEST_OUTSIDE, TIERS

MAX_SORTED = 3000  # matching bugs; up to here no plan for any order and words is faster than sorting all
MAX_WHOLE_TIER = 20_000  # matching bugs, up to which a tier is small enough to be read as a whole
TITLED = 10  # of so many bugs with a word, about one has it in its title
# From the beginning of a list to the end of a page; the statement of such a page is planned once.
NEAR_ROWS = 128
DEEP_OFFSET = 20_000  # bugs; a smaller offset takes about a millisecond to scan

_KEYS = {
    "recent": ("created_at", "id"),
    "oldest": ("created_at", "id"),
    "popular": ("vote_count", "created_at", "id"),
    "trending": ("recent_vote_count", "vote_count", "created_at", "id"),
}
KEY_TYPES: Mapping[str, type] = {
    "score": int,
    "recent_vote_count": int,
    "vote_count": int,
    "created_at": datetime,
    "id": UUID,
}


@dataclass(frozen=True)
class QuerySpec:
    """The conditions and the order of a list, without values.

    Attributes:
        filters: The names of the filters that apply.
        order: The name of the order.
        searching: Whether documents must match `:search`.
        words: The number of words that count for the rank.
    """

    filters: tuple[str, ...] = ()
    order: str = "recent"
    searching: bool = False
    words: int = 0

    @property
    def counted(self) -> QuerySpec:
        """The part that the total depends on, which is everything but the order."""
        return replace(self, order="", words=0)

    @property
    def is_ranked(self) -> bool:
        """Whether the list is sorted by the score of words; relevance without ranked words is newest first."""
        return self.order == "relevance" and self.words > 0

    @property
    def keys(self) -> tuple[str, ...]:
        """The sort keys, all in the same direction, so that a page can begin after any row; the id is the last."""
        if not self.is_ranked:
            return _KEYS["recent" if self.order == "relevance" else self.order]
        return ("score", "created_at", "id")


@dataclass(frozen=True)
class BoundQuery:
    """A query spec with its values.

    Attributes:
        spec: The conditions and the order.
        values: The values of the conditions' parameters, by name.
        search: The parsed search; None without one.
    """

    spec: QuerySpec
    values: Mapping[str, Any] = field(default_factory=dict)
    search: SearchQuery | None = None

    @cached_property
    def total_key(self) -> str:
        """All that the total depends on, as JSON. `false` is there because keys of an earlier release had a flag."""
        names = [*self.spec.filters, *(["search"] if self.spec.searching else [])]
        values = {name: self.values[name] for name in names}
        return msgspec.json.encode([self.spec.filters, False, values], order="sorted").decode()

    @classmethod
    def of_total_key(cls, key: str) -> BoundQuery:
        """The query that a key of a total stands for."""
        filters, _, values = msgspec.json.decode(key)
        return cls(QuerySpec(tuple(filters), order="", searching="search" in values), values)


@dataclass(frozen=True)
class Plan:
    """One way to find a page; by default all matches are found and sorted.

    Attributes:
        index_scan: Scan an index in the order of the list, and check each bug.
        all_first: Find all matches by their conditions, then sort them.
        tier: Read only bugs with a word in this tier; 0 for all.
        newest: Of those that are not in a higher tier, read only the newest months.
        keyset: Begin after the row whose keys are `:after_created_at` and so on.
        near: The page ends within `NEAR_ROWS`, and the list has no condition whose value matters for the plan.
        deep_offset: Read only bugs older than `:since`; the newer ones are counted, and subtracted from the offset.
    """

    index_scan: bool = False
    all_first: bool = False
    tier: int = 0
    newest: bool = False
    keyset: bool = False
    near: bool = False
    deep_offset: bool = False

    def is_settled(self, spec: QuerySpec, *, next_score: int | None) -> bool:
        """Whether the page that was found is final: no bug outside of the tier can be on it.

        Args:
            spec: The conditions and the order of the list.
            next_score: The score of the first bug after the page; None if there is none.
        """
        if not self.tier:
            return True
        return next_score is not None and next_score > BEST_OUTSIDE[self.tier] * spec.words


def plans(
    spec: QuerySpec, *, total: int, keyset: bool = False, page_end: int = NEAR_ROWS + 1, board: int = 0
) -> list[Plan]:
    """The plans to try in turn until the page is settled; the last one always settles it.

    Args:
        spec: The conditions and the order of the list.
        total: The number of matching bugs, as last known.
        keyset: Whether the page begins after a row.
        page_end: The number of rows up to the end of the page: from the beginning, or from that row.
        board: The number of bugs on the board, as last known; 0 if it is not known.
    """
    whole = Plan(keyset=keyset)
    if not spec.searching:
        return [_listed(spec, whole, total=total, page_end=page_end, board=board)]
    if total <= MAX_SORTED:
        fills_page = spec.is_ranked and spec.words == 1 and total >= TITLED * page_end
        return [replace(whole, tier=min(TIERS)), whole] if fills_page else [whole]
    if not spec.is_ranked:
        return [replace(whole, index_scan=True)]
    return [*_tiers(spec, total, whole), whole]


def _listed(spec: QuerySpec, whole: Plan, *, total: int, page_end: int, board: int) -> Plan:
    """The plan of a list without a search.

    Bugs in the order of their votes are anywhere in the table, so the scan of an index reads a block for each bug that
    it checks, which PostgreSQL underestimates. It checks about `board * page_end / total` bugs to fill the page.
    """
    if not spec.filters:
        return replace(whole, near=page_end <= NEAR_ROWS)
    by_votes = spec.order in ("popular", "trending")
    return replace(whole, all_first=by_votes and 0 < total * total <= board * page_end)


def _tiers(spec: QuerySpec, total: int, whole: Plan) -> list[Plan]:
    """Plans for the tiers from the top. For a very common word, the newest months of a tier are tried before all of it,
    except for the top tier, which is small."""
    top, *lower = (replace(whole, tier=tier) for tier in TIERS)
    if spec.words > 1 or total <= MAX_WHOLE_TIER:
        return [top, *lower]
    return [top, *(replace(plan, newest=newest) for plan in lower for newest in (True, False))]


def is_deep(spec: QuerySpec, *, offset: int, total: int) -> bool:
    """Whether the page is so deep in the list of all bugs that the rows before it are counted instead of scanned."""
    return spec == QuerySpec() and total > 0 and offset >= DEEP_OFFSET


def deep_boundary(bounds: Sequence[datetime], *, offset: int, total: int) -> datetime | None:
    """An estimated time slightly newer than the page; None if there is none.

    Args:
        bounds: The bounds of a histogram of `created_at` with equal frequencies, oldest first.
        offset: The number of bugs before the page, newest first.
        total: The number of bugs on the board.
    """
    index = int((1 - offset / total) * len(bounds)) + 2
    return bounds[index] if 0 < index < len(bounds) else None
