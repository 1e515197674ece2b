"""Query specs and plans for lists of tickets. Nothing here does I/O.

A document carries marked lexemes for all that searches filter by (migrations/sql/ticket_document.sql): the company,
what decides who sees it, and what a list may filter by. So words, filters and visibility are tsqueries, which one index
scan answers: each is a condition of its own, so that what one of them rules out is not looked up in the posting lists
of the others. A condition that another one implies is left out, since its posting list would be read for nothing.
docs/adr/0039-tickets-in-lists.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.schemas import TicketQuery
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.infra.db.query import Row
from bugrelay.infra.search.parser import SearchQuery, any_of, quoted

# Tickets that match, up to which finding all and sorting them is as fast as an index scan; and up to which computing a
# score of each is as fast as anything.
MAX_SORTED, MAX_SCORED = 5000, 500
# Between these, only the months that a page is probably in are read.
MIN_BY_MONTH, MAX_BY_MONTH = 500, 30_000
ROWS_BY_MONTH = 2  # for each of the page and those before it
# From here on the best of a ranking are probably a page, and from there on the newest of them.
MIN_BEST, MAX_WHOLE_TIER = 5000, 50_000
NEWEST_MONTHS = 3

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
_OF_ONE_COMPANY = {"project_id", "reporter_id", "assignee_id"}  # or of few, for people may belong to several
_COLUMNS = ("status", "category", "priority", "created_from", "created_to")
_IMPLYING_WORDS = {"best", "title"}  # parts of a ranking, whose tickets have all words that rank
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
        sees_all: Whether the reader sees all tickets that the filters leave.
        searching: Whether words are searched for.
        words: How many of them rank.
        words_only: Whether a ranking asks for all words that rank and nothing else: no phrase, nothing excluded.
        marks_company: Whether the index is searched for the company's mark. Without it, documents of other companies
            that the index finds are dropped by their column.
        is_total: Of a key that tells in one tsquery what a document must match.
    """

    filters: tuple[str, ...]
    order: str
    sees_all: bool
    searching: bool = False
    words: int = 0
    words_only: bool = False
    marks_company: bool = False
    is_total: bool = False

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
    def tsqueries(self) -> tuple[str, ...]:
        """Names of the parameters that a document must match: words, filters, what the reader sees, the company."""
        if self.is_total:
            return ("search",)
        wanted = {
            "all_words": self.searching,
            "marks": not _MARKS.keys().isdisjoint(self.filters),
            "sight": not self.sees_all,
            "company": self.marks_company,
        }
        return tuple(name for name, applies in wanted.items() if applies)

    def tsqueries_in(self, names: Sequence[str]) -> tuple[str, ...]:
        """The same for a part of a ranking: its own tsqueries, and what these do not imply."""
        is_implied = self.words_only and not _IMPLYING_WORDS.isdisjoint(names)
        return (*names, *(name for name in self.tsqueries if not (is_implied and name == "all_words")))

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
        marks: Marked lexemes that each document has.
        words: Those that each document has, as far as that is known.
        seen: Marked lexemes, one of which each document has that a reporter sees.
    """

    spec: QuerySpec
    values: Mapping[str, Any] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        """Lexemes that each document has, as far as that is known."""
        return (*self.marks, *self.words)

    def without_company(self) -> BoundQuery:
        """The same without the company's mark."""
        return replace(self, spec=replace(self.spec, marks_company=False))

    def without_columns(self) -> BoundQuery:
        """The same without conditions on columns: what the search index alone finds."""
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
        return cls(QuerySpec(columns, order="", sees_all=True, searching=True, is_total=True), values)


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
    words, all_words = (search.lexemes, search.all_words or "") if search else ((), "")
    order = order_of(query, words)
    marks = [_MARKS[name] + str(value) for name, value in filters.items() if name in _MARKS]
    seen = () if sees_all(tenant) else _seen(tenant, open_projects)
    if not set(seen).isdisjoint(marks):  # their own tickets, or those of an open project
        seen = ()
    spec = QuerySpec(
        tuple(filters),
        order,
        not seen,
        searching=search is not None,
        words=len(words),
        words_only=order == "relevance" and all_words == " & ".join(map(quoted, words)),
        marks_company=not seen and _OF_ONE_COMPANY.isdisjoint(filters),
    )
    company = COMPANY + str(tenant.company_id)
    sight = any_of(seen)
    values = {
        **filters,
        "company_id": tenant.company_id,
        "search": _all_of(filter(None, [all_words, *map(quoted, marks), quoted(company), sight])),
        "all_words": all_words,
        "marks": _all_of(map(quoted, marks)),
        "sight": sight,
        "company": quoted(company),
        **_ranking(words),
    }
    known = () if " | " in all_words else words
    return BoundQuery(spec, values, marks=(company, *marks), words=known, seen=seen)


def order_of(query: TicketQuery, words: Sequence[str]) -> str:
    """Relevance without a word that ranks is the newest first."""
    order = query.sort or ("recent" if query.q is None else "relevance")
    return "recent" if order == "relevance" and not words else order


def _all_of(parts: Iterable[str]) -> str:
    return " & ".join(f"({part})" for part in parts)


def _seen(tenant: Tenant, open_projects: Sequence[UUID]) -> tuple[str, ...]:
    """What a document has one of that a reporter sees."""
    projects = (PROJECT + str(project_id) for project_id in open_projects)
    return (REPORTER + str(tenant.user_id), ASSIGNEE + str(tenant.user_id), *projects)


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
            "title": f"{in_title} & !({in_both}) & !({numbered})",
            "top": f"{numbered} | {in_title}",
        }
    return values


class Span(Row):
    """When the oldest and the newest ticket of a company were made; None where there are none."""

    oldest: datetime | None = None
    newest: datetime | None = None


def months_of_page(spec: QuerySpec, span: Span, values: Mapping[str, Any], *, total: int) -> str:
    """tsquery of the months that a page of `total` tickets is probably in; of a ranking, of the newest ones.

    Args:
        spec: What is asked for.
        span: Of the company's tickets.
        values: Of the query and of the page's position.
        total: Tickets that match, about.

    Returns:
        The tsquery; empty where these are all months, so that reading them alone would save nothing.
    """
    if span.oldest is None or span.newest is None:
        return ""
    oldest, newest = _day(span.oldest), _day(span.newest)
    if spec.order == "relevance":
        return any_of(MONTH + str(newest // _DAYS - back) for back in range(NEWEST_MONTHS))
    rows = (values["offset"] + values["limit"]) * ROWS_BY_MONTH
    days = -(-rows * (newest - oldest + 1) // max(total, 1))
    edge = "created_from" if spec.order == "oldest" else "created_to"
    begins = [_day(values[name]) for name in (edge, "after_created_at") if values.get(name)]
    if spec.order == "oldest":
        first = max([oldest, *begins])
        last = max(first, min(newest, first + days))
    else:
        last = min([newest, *begins])
        first = min(last, max(oldest, last - days))
    if first <= oldest and newest <= last:
        return ""
    return any_of(MONTH + str(month) for month in range(first // _DAYS, last // _DAYS + 1))


_DAYS = 31


def _day(moment: datetime) -> int:
    """In UTC, as if all months had 31 days; `// _DAYS` is the month as documents have it, counted from the year 0."""
    with suppress(OverflowError):  # in the year 1 and the year 9999, which made-up cursors may name
        moment = moment.astimezone(UTC)
    return (moment.year * 12 + moment.month) * _DAYS + moment.day - 1


@dataclass(frozen=True)
class Plan:
    """One way to find a page; by default everything that matches is found and sorted.

    Attributes:
        index_scan: In the order of an index of tickets, with a look at each one's document.
        tier: Of a ranking: "best", only tickets with a word as their number or all words in title and description;
            "top", those with a word as their number or all words in the title.
        months: Only tickets of `:months`; in a ranking, but for those with a word as their number.
        keyset: After the row whose keys are `:after_created_at` and so on.
    """

    index_scan: bool = False
    tier: str = ""
    months: bool = False
    keyset: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether every ticket that matches is looked at."""
        return not self.tier and not self.months

    def is_settled(self, spec: QuerySpec, *, is_full: bool, next_score: int | None) -> bool:
        """Whether the page that was found is the true one: no ticket that was not looked at can stand on it.

        Args:
            spec: What is asked for.
            is_full: Whether a ticket was found after the page.
            next_score: Of that ticket, in a ranking.
        """
        if self.is_whole:
            return True
        if not is_full or next_score is None:
            return is_full
        if self.tier == "best":  # others as good are older, so that they stand below
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
        return [*_tiers(total=total, keyset=keyset), whole]
    if spec.is_indexed:
        return [whole]
    last = whole if total <= MAX_SORTED else Plan(index_scan=True, keyset=keyset)
    if spec.order in ("recent", "oldest") and MIN_BY_MONTH < total <= MAX_BY_MONTH:
        return [Plan(months=True, keyset=keyset), last]
    return [last]


def _tiers(*, total: int, keyset: bool) -> list[Plan]:
    """What stands on top of a ranking."""
    if total <= MAX_SCORED:
        return []
    top = Plan(tier="top", keyset=keyset)
    if total <= MIN_BEST:
        return [top]
    return [Plan(tier="best", months=total > MAX_WHOLE_TIER, keyset=keyset), top]
