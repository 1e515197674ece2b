"""How a page is found: from what a list asks for and how many bugs it has to the plans that are tried, in order.

A few thousand bugs are found by the search index and sorted. More than that are not read one by one: a list in the
order of an index is an index scan that keeps what matches; relevance reads the rank tiers from the top, and stops where
no bug outside of a tier can stand on the page; what is older than a moment far down the list of all bugs begins there.
Nothing in here reads: statements.py makes SQL of a plan, service.py runs it. docs/adr/0016.
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

MAX_SORTED = 3000  # bugs; up to here finding all and sorting them is as fast as anything
MAX_WHOLE_TIER = 100_000  # bugs that match, up to which tiers are small enough to be read whole
DEEP_OFFSET = 20_000  # bugs; fewer are stepped over one by one, in a millisecond

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
    """A list without its values: which conditions there are, and the order.

    Attributes:
        filters: Names of those that apply.
        order: By which the list is sorted.
        searching: Whether documents must match `:search`.
        words: How many words rank.
    """

    filters: tuple[str, ...] = ()
    order: str = "recent"
    searching: bool = False
    words: int = 0

    @property
    def counted(self) -> QuerySpec:
        """The part that the total depends on: the same for every order."""
        return replace(self, order="", words=0)

    @property
    def is_ranked(self) -> bool:
        """Whether the words decide the order: relevance without a word is the newest first."""
        return self.order == "relevance" and self.words > 0

    @property
    def keys(self) -> tuple[str, ...]:
        """What the list is ordered by, all in one direction, so that a page may begin after any row. The id is last."""
        if not self.is_ranked:
            return _KEYS["recent" if self.order == "relevance" else self.order]
        return ("score", "created_at", "id")


@dataclass(frozen=True)
class BoundQuery:
    """A query spec with its values.

    Attributes:
        spec: The conditions and the order.
        values: Of the parameters that the conditions name.
        search: What was typed.
    """

    spec: QuerySpec
    values: Mapping[str, Any] = field(default_factory=dict)
    search: SearchQuery | None = None

    @cached_property
    def total_key(self) -> str:
        """All that the total depends on, as JSON. `false` is there because the keys of a former release had a flag."""
        names = [*self.spec.filters, *(["search"] if self.spec.searching else [])]
        values = {name: self.values[name] for name in names}
        return msgspec.json.encode([self.spec.filters, False, values], order="sorted").decode()

    @classmethod
    def of_total_key(cls, key: str) -> BoundQuery:
        """What to count for a key."""
        filters, _, values = msgspec.json.decode(key)
        return cls(QuerySpec(tuple(filters), order="", searching="search" in values), values)


@dataclass(frozen=True)
class Plan:
    """One way to find a page; by default everything that matches is found and sorted.

    Attributes:
        index_scan: In the order of an index, with a look at each bug.
        tier: Only bugs with a word in this tier; 0 for all.
        newest: Of that tier, without those above it, only the newest months.
        keyset: After the row whose keys are `:after_created_at` and so on.
        deep_offset: Only bugs older than `:since`; the newer ones are part of the offset, and counted.
    """

    index_scan: bool = False
    tier: int = 0
    newest: bool = False
    keyset: bool = False
    deep_offset: bool = False

    def is_settled(self, spec: QuerySpec, *, next_score: int | None) -> bool:
        """Whether the page that was found is the true one: no bug outside of the tier can stand on it.

        Args:
            spec: What is asked for.
            next_score: Of the first bug after the page; None when none was found.
        """
        if not self.tier:
            return True
        return next_score is not None and next_score > BEST_OUTSIDE[self.tier] * spec.words


def plans(spec: QuerySpec, *, total: int, keyset: bool = False) -> list[Plan]:
    """What to try, one after the other, until the page is settled. The last one finds every page.

    Args:
        spec: What is asked for.
        total: Bugs that match, as far as is known.
        keyset: Whether the page begins after a row.
    """
    whole = Plan(keyset=keyset)
    if not spec.searching or total <= MAX_SORTED:
        return [whole]
    if not spec.is_ranked:
        return [replace(whole, index_scan=True)]
    return [*_tiers(spec, total, whole), whole]


def _tiers(spec: QuerySpec, total: int, whole: Plan) -> list[Plan]:
    """From the top down. Of a very common word the newest of a tier come before all of it; the top one is small."""
    top, *lower = (replace(whole, tier=tier) for tier in TIERS)
    if spec.words > 1 or total <= MAX_WHOLE_TIER:
        return [top, *lower]
    return [top, *(replace(plan, newest=newest) for plan in lower for newest in (True, False))]


def is_deep(spec: QuerySpec, *, offset: int, total: int) -> bool:
    """Whether the page is so far down the list of all bugs that the rows before it are counted, not read."""
    return spec == QuerySpec() and total > 0 and offset >= DEEP_OFFSET


def deep_boundary(bounds: Sequence[datetime], *, offset: int, total: int) -> datetime | None:
    """A moment a little newer than the page, at a guess; None where there is none.

    Args:
        bounds: Of parts of the board with about as many bugs each, the oldest first.
        offset: Bugs before the page, the newest first.
        total: Of the board.
    """
    index = int((1 - offset / total) * len(bounds)) + 2
    return bounds[index] if 0 < index < len(bounds) else None
