"""From what a list of tickets asks for to the plans that find its page. Nothing in here reads.

A document carries marked lexemes for all that searches filter by (migrations/sql/ticket_document.sql): the company,
what decides who sees it, and what a list may ask for. So words, filters and sight are one tsquery, which the index
answers. docs/adr/0039-tickets-in-lists.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.schemas import TicketQuery
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.infra.search.parser import SearchQuery, any_of, quoted

MAX_SORTED = 5000  # tickets; up to here finding all and sorting them is as fast as anything
MAX_SCORED = 2000  # likewise where a score is computed of each
NEWEST_MONTHS = 3
MAX_WHOLE_TIER = 50_000  # tickets that match, up to which the best of all times are few enough to be read

WEIGHTS = {"A": 10, "D": 1}
"""Of a word in the title, and in the description; ten times the relevance, as on the board."""
NUMBER_WEIGHT = 30
"""Of the number of a ticket's key: who types a key means that ticket."""
BEST_OF_WORD = sum(WEIGHTS.values())

_KEY = "tickets:"  # what keys of totals begin with, so that no other list has the same
COMPANY, PROJECT, REPORTER, ASSIGNEE, NUMBER, MONTH = "^t", "^p", "^r", "^a", "^k", "^m"
_MARKS = {
    "scheme": "^s",
    "project_id": PROJECT,
    "reporter_id": REPORTER,
    "assignee_id": ASSIGNEE,
    "department": "^d",
    "tag": "^#",
}
_COLUMNS = ("status", "category", "priority", "created_from", "created_to")
_COUNTED = {"status", "category", "priority", "scheme", "project_id", "department"}
_INDEXED = {*_COLUMNS, "project_id", "reporter_id"}

KEYS: Mapping[str, tuple[str, ...]] = {
    "recent": ("created_at", "id"),
    "oldest": ("created_at", "id"),
    "updated": ("updated_at", "id"),
    "priority": ("urgency", "created_at", "id"),
    "relevance": ("score", "created_at", "id"),
}
KEY_TYPES: Mapping[str, type] = {
    "score": int,
    "urgency": int,
    "created_at": datetime,
    "updated_at": datetime,
    "id": UUID,
}


@dataclass(frozen=True)
class QuerySpec:
    """A list without its values.

    Attributes:
        filters: Names of those that apply.
        order: By which the list is sorted.
        sees_all: Whether the reader sees all of the company.
        searching: Whether words are searched for.
        words: How many of them rank.
    """

    filters: tuple[str, ...]
    order: str
    sees_all: bool
    searching: bool = False
    words: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """What the list is ordered by, all in one direction, so that a page may begin after any row. The id is last."""
        return KEYS[self.order]

    @property
    def is_indexed(self) -> bool:
        """Whether the table of tickets has an index for it, so that no document is looked at."""
        return self.sees_all and not self.searching and _INDEXED.issuperset(self.filters)

    @property
    def is_counted(self) -> bool:
        """Whether the total is kept by triggers."""
        return self.sees_all and not self.searching and _COUNTED.issuperset(self.filters)

    @property
    def columns(self) -> tuple[str, ...]:
        """Filters that documents have as columns; the others are marked lexemes."""
        return tuple(name for name in self.filters if name in _COLUMNS)


@dataclass(frozen=True)
class BoundQuery:
    """A query spec with its values.

    Attributes:
        spec: What is asked for.
        values: Of all parameters that its statements name.
        required: Lexemes that each document has, as far as that is known.
    """

    spec: QuerySpec
    values: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def without_columns(self) -> BoundQuery:
        """The same without what only columns tell: so many documents the search index finds."""
        marked = tuple(name for name in self.spec.filters if name not in _COLUMNS)
        return replace(self, spec=replace(self.spec, filters=marked))

    @cached_property
    def total_key(self) -> str:
        """All that the total depends on, as JSON."""
        values = {name: self.values[name] for name in ("company_id", "search", *self.spec.columns)}
        return _KEY + msgspec.json.encode(values, order="sorted").decode()

    @classmethod
    def of_total_key(cls, key: str) -> BoundQuery:
        """What to count for a key, which was not that of a list that triggers count."""
        values = msgspec.json.decode(key.removeprefix(_KEY))
        columns = tuple(name for name in _COLUMNS if name in values)
        return cls(QuerySpec(columns, order="", sees_all=True, searching=True), values)


def bound(
    tenant: Tenant, query: TicketQuery, *, search: SearchQuery | None, open_projects: Sequence[UUID]
) -> BoundQuery:
    """The query with its values.

    Args:
        tenant: Who asks.
        query: What is asked for.
        search: What was typed, if anything was; some of it can match.
        open_projects: Whose tickets a reporter sees whoever reported them.
    """
    filters = {name: value for name in (*_COLUMNS, *_MARKS) if (value := getattr(query, name)) is not None}
    words = search.lexemes if search else ()
    spec = QuerySpec(
        tuple(filters),
        order_of(query, words),
        sees_all(tenant),
        searching=search is not None,
        words=len(words),
    )
    marks = [_MARKS[name] + str(value) for name, value in filters.items() if name in _MARKS]
    marks.append(COMPANY + str(tenant.company_id))
    asked = [quoted(mark) for mark in marks]
    sight = [] if spec.sees_all else [_sight(tenant, open_projects)]
    values = {
        **filters,
        "company_id": tenant.company_id,
        "search": _all_of([*_words(search), *asked, *sight]),
        **_ranking(words),
    }
    alternatives = search is not None and " | " in (search.all_words or "")
    return BoundQuery(spec, values, required=(*marks, *(() if alternatives else words)))


def order_of(query: TicketQuery, words: Sequence[str]) -> str:
    """Relevance without a word that ranks is the newest first."""
    order = query.sort or ("recent" if query.q is None else "relevance")
    return "recent" if order == "relevance" and not words else order


def _words(search: SearchQuery | None) -> list[str]:
    return [search.all_words] if search and search.all_words else []


def _all_of(parts: Iterable[str]) -> str:
    return " & ".join(f"({part})" for part in parts)


def _sight(tenant: Tenant, open_projects: Sequence[UUID]) -> str:
    """tsquery of what a reporter sees."""
    projects = (PROJECT + str(project_id) for project_id in open_projects)
    return any_of([REPORTER + str(tenant.user_id), ASSIGNEE + str(tenant.user_id), *projects])


def _ranking(words: Sequence[str]) -> dict[str, str]:
    """tsqueries of what ranks: each word by its fields, and the sets that stand on top of a ranking."""
    values: dict[str, str] = {}
    for i, word in enumerate(words):
        values |= {f"word_{i}_{label}": f"{quoted(word)}:{label}" for label in WEIGHTS}
        values[f"number_{i}"] = quoted(NUMBER + word)
    if words:
        numbered = any_of(NUMBER + word for word in words)
        in_title = _all_of(quoted("^1" + word) for word in words)
        in_both = _all_of(quoted("^2" + word) for word in words)
        values |= {
            "numbered": numbered,
            "best": f"{in_both} & !({numbered})",
            "top": f"{numbered} | {in_title}",
        }
    return values


def newest_months(newest: datetime) -> str:
    """tsquery of the tickets of the last months."""
    month = newest.year * 12 + newest.month
    return any_of(f"{MONTH}{month - back}" for back in range(NEWEST_MONTHS))


@dataclass(frozen=True)
class Plan:
    """One way to find a page; by default everything that matches is found and sorted.

    Attributes:
        index_scan: In the order of an index of tickets, with a look at each one's document.
        tier: Of a ranking: "best", only tickets with a word as their number or all words in title and description, of
            the latter "newest" alone the newest; "top", those with a word as their number or all words in the title.
        keyset: After the row whose keys are `:after_created_at` and so on.
    """

    index_scan: bool = False
    tier: str = ""
    keyset: bool = False

    def is_settled(self, spec: QuerySpec, *, next_score: int | None) -> bool:
        """Whether the page that was found is the true one: no ticket that was not looked at can stand on it.

        Args:
            spec: What is asked for.
            next_score: Of the first ticket after the page; None when none was found.
        """
        if not self.tier:
            return True
        if next_score is None:
            return False
        if self.tier in ("newest", "best"):  # others as good are older, so that they stand below
            return next_score >= BEST_OF_WORD * spec.words
        return next_score > BEST_OF_WORD * (spec.words - 1) + WEIGHTS["D"]


def plans(spec: QuerySpec, *, total: int, keyset: bool) -> list[Plan]:
    """What to try, one after the other, until the page is settled. The last one finds every page.

    Args:
        spec: What is asked for.
        total: Tickets that match, as far as is known.
        keyset: Whether the page begins after a row.
    """
    whole = Plan(keyset=keyset)
    if spec.order == "relevance":
        tiers = ("best", "top") if total > MAX_SCORED else ()
        tiers = ("newest", *tiers[1:]) if total > MAX_WHOLE_TIER else tiers
        return [*(Plan(tier=tier, keyset=keyset) for tier in tiers), whole]
    if spec.is_indexed or total <= MAX_SORTED:
        return [whole]
    return [Plan(index_scan=True, keyset=keyset)]
