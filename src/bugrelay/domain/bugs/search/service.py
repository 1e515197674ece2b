"""Lists and searches of bugs, from a query to a page with an exact total.

The search is parsed (infra/search/parser.py) and bound to a query spec; the total (totals.py) decides which plans are
tried (planner.py); their SQL (statements.py) returns the keys of the page's rows, by which their bugs are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bugrelay.domain.bugs.repository import listed_bugs
from bugrelay.domain.bugs.schemas import BugItem, BugQuery
from bugrelay.domain.bugs.search.planner import (
    KEY_TYPES,
    BoundQuery,
    Plan,
    QuerySpec,
    deep_boundary,
    is_deep,
    plans,
)
from bugrelay.domain.bugs.search.some_words import Position, SomeWords, follow, position_of
from bugrelay.domain.bugs.search.statements import (
    APPLICATION_IDS,
    BOUNDS,
    COMPANY_IDS,
    KeyRow,
    keys_query,
)
from bugrelay.domain.bugs.search.totals import Totals
from bugrelay.errors import ValidationFailed
from bugrelay.infra.db.like import contains
from bugrelay.infra.db.query import Query, Reader, SnapshotReader
from bugrelay.infra.incremental_counts import IncrementalCounts
from bugrelay.infra.pagination import CursorPagination, decoded_cursor, encoded_cursor
from bugrelay.infra.search.parser import parse_search, tsqueries
from bugrelay.infra.text.names import name_key


@dataclass(frozen=True)
class BugPage:
    """A page of a list.

    Attributes:
        bugs: The bugs of the page, in the order of the list.
        total: The exact total of the list; for a search, the bugs with all words or, if there are none, with some.
        match: "all" or "some" of the words, by the first bug of the page; None without a search.
        ranked: Whether the total counts bugs with some of the words.
        next_cursor: The cursor of the next page; None on the last.
    """

    bugs: list[BugItem]
    total: int
    match: str | None
    ranked: bool = False
    next_cursor: str | None = None

    def pagination(self, query: BugQuery) -> CursorPagination:
        """The pagination; pages of bugs with some of the words may follow the last page of the total."""
        number = query.page_number
        pages = -(-self.total // query.limit)
        more = self.next_cursor is not None or (query.cursor is None and number < pages)
        return CursorPagination(number, query.limit, self.total, pages, more, number > 1, self.next_cursor)


_ALL = BoundQuery(QuerySpec())


class _Keys(NamedTuple):
    """A page before its bugs are read: their ids as text, the total, and the cursor of the next page, if any."""

    ids: list[str]
    total: int
    next_cursor: str | None


async def list_bugs(
    reader: SnapshotReader,
    counts: IncrementalCounts,
    query: BugQuery,
    *,
    some_words: SomeWords | None = None,
    primary: Reader | None = None,
) -> BugPage:
    """A page of listed bugs. For a search, bugs with some of the words follow those with all.

    Args:
        reader: The connection for bugs.
        counts: The incremental counts of this process.
        query: The query.
        some_words: Finds bugs with some of the words; None for bugs with all words only.
        primary: The connection for totals if `reader` is a replica.

    Raises:
        ValidationFailed: The cursor is of another list, or was sent together with a page.
    """
    if query.cursor is not None and query.page > 1:
        raise ValidationFailed.of("cursor", "already names a page: leave out `page`")
    totals = Totals(counts, primary or reader)
    wanted = await _bound(reader, query)
    if wanted is None:
        return BugPage([], 0, "all")
    position = position_of(query.cursor) if some_words and wanted.spec.is_ranked else None
    if position is None:
        found = await _keys(reader, totals, query, wanted)
    else:
        found = _Keys([], await totals.read(wanted), None)
    goes_on = position or follow(wanted, hits=found.total)
    if some_words is None or found.next_cursor or not goes_on:
        bugs = await listed_bugs(reader, found.ids)
        return BugPage(
            bugs, found.total, "all" if wanted.spec.searching else None, next_cursor=found.next_cursor
        )
    return await _with_some_words(reader, some_words, query, wanted, found=found, position=position)


async def _bound(reader: Reader, query: BugQuery) -> BoundQuery | None:
    """The query spec and its values; None for a search that no bug can match."""
    filters = await _filters(reader, query)
    spec = QuerySpec(tuple(filters), query.order)
    if query.search is None:
        return BoundQuery(spec, filters)
    search = await parse_search(reader, query.search)
    if search.all_words is None:
        return None
    spec = replace(spec, searching=True, words=len(search.lexemes))
    return BoundQuery(spec, {**filters, **tsqueries(search)}, search)


async def _with_some_words(
    reader: SnapshotReader,
    some_words: SomeWords,
    query: BugQuery,
    wanted: BoundQuery,
    *,
    found: _Keys,
    position: Position | None,
) -> BugPage:
    """A page that bugs with some of the words fill, after those in `found`."""
    begin = position or Position(some_words.at or datetime.now(UTC))
    ranked = await some_words.ranked(
        reader,
        wanted,
        hits=found.total,
        shown=found.ids,
        at=begin.at,
        page_end=query.offset + query.limit if query.cursor is None else None,
    )
    if wanted.spec.is_ranked:
        shown = _next_ranked(query, ranked, begin, found=found)
    else:
        shown = await _sorted(reader, query, wanted.spec.order, ranked)
    bugs = await listed_bugs(reader, [*found.ids, *shown.ids])
    match = "some" if ranked and not found.ids else "all"
    total, is_ranked = (found.total, False) if found.total else (len(ranked), bool(ranked))
    return BugPage(bugs, total, match, ranked=is_ranked, next_cursor=shown.next_cursor)


def _next_ranked(query: BugQuery, ranked: Sequence[str], begin: Position, *, found: _Keys) -> _Keys:
    """The bugs of the ranking that fill the page."""
    first = begin.first(ranked) + (max(0, query.offset - found.total) if query.cursor is None else 0)
    last = first + query.limit - len(found.ids)
    more = last < len(ranked)
    cursor = begin.cursor(query.page_number + 1, found=ranked, offset=last) if more else None
    return _Keys([*ranked[first:last]], len(ranked), cursor)


async def _sorted(reader: Reader, query: BugQuery, order: str, ranked: Sequence[str]) -> _Keys:
    """A page of the ranked bugs in another order."""
    spec = QuerySpec(("bug_ids",), order)
    ids = ",".join(ranked)
    plan = Plan(keyset=query.cursor is not None)
    values = {"bug_ids": f"{{{ids}}}", **_position(query, spec)}
    rows = await reader.rows(keys_query(spec, plan), values)
    return _shown(query, spec, rows, total=len(ranked))


async def _filters(reader: Reader, query: BugQuery) -> dict[str, Any]:
    """The values of the filters that apply, by name. Parts of names are resolved to ids, which are indexed."""
    values: dict[str, Any] = {
        "status": query.status,
        "priority": query.priority,
        "tags": query.tags.split(",") if query.tags else None,
        "application_id": query.application_id,
        "company_id": query.company_id,
        "reporter_id": query.reporter_id,
    }
    if query.application:
        values["application_ids"] = await _ids(reader, APPLICATION_IDS, name_key(query.application))
    if query.company:
        values["company_ids"] = await _ids(reader, COMPANY_IDS, query.company)
    return {name: value for name, value in values.items() if value is not None}


async def _ids(reader: Reader, query: Query[str], part: str) -> str:
    (ids,) = await reader.rows(query, {"part": contains(part)})
    return ids


async def _keys(reader: Reader, totals: Totals, query: BugQuery, wanted: BoundQuery) -> _Keys:
    """The total and the keys of the page's rows, by one statement for each plan that is tried."""
    spec, limit = wanted.spec, query.limit
    values = {**wanted.values, **_position(query, spec)}
    known = totals.known(wanted)
    if spec.searching and not known:
        known = await totals.read(wanted)
        if not known:
            return _Keys([], 0, None)
    tried = plans(
        spec,
        total=known or 0,
        keyset=query.cursor is not None,
        page_end=values["offset"] + values["limit"],
        board=totals.known(_ALL) or 0,
    )
    if is_deep(spec, offset=query.offset, total=known or 0):
        tried, values = await _deep_offset(reader, totals, tried, values, total=known or 0)
    for plan in tried:
        total, rows = await totals.read_with_page(reader, wanted, plan=plan, values=values)
        next_score = rows[limit].score if len(rows) > limit else None
        if total <= query.offset or plan.is_settled(spec, next_score=next_score):
            break
    return _shown(query, spec, rows, total=total)


def _shown(query: BugQuery, spec: QuerySpec, rows: Sequence[KeyRow], *, total: int) -> _Keys:
    """The keys of the page, without the extra row that only tells whether there are more."""
    more = len(rows) > query.limit
    cursor = _cursor(query, spec, rows[query.limit - 1]) if more else None
    return _Keys([row.id for row in rows[: query.limit] if row.id], total, cursor)


async def _deep_offset(
    reader: Reader, totals: Totals, tried: list[Plan], values: dict[str, Any], *, total: int
) -> tuple[list[Plan], dict[str, Any]]:
    """The plan and values for a deep page of the list of all bugs: bugs newer than a boundary time are counted.

    Their count is an incremental total, so it is exact; the boundary only has to be a good estimate. The offset is
    reduced by that count.
    """
    offset = values["offset"]
    since = deep_boundary(await reader.rows(BOUNDS), offset=offset, total=total)
    if since is None:
        return tried, values
    newer = await totals.read(BoundQuery(QuerySpec(("since",)), {"since": since}))
    if newer > offset:
        return tried, values
    return [Plan(deep_offset=True)], {**values, "since": since, "offset": offset - newer}


# --- keyset and offset ----------------------------------------------------------------------------------------------


def _position(query: BugQuery, spec: QuerySpec) -> dict[str, Any]:
    """The parameters for offset or keyset, and the limit, with an extra row that tells whether there are more.

    Raises:
        ValidationFailed: The cursor is of a list in another order.
    """
    position = {"limit": query.limit + 1, "offset": query.offset}
    return position if query.cursor is None else {**position, **_keyset(query.cursor, spec)}


def _keyset(cursor: str, spec: QuerySpec) -> Mapping[str, Any]:
    """The keys of the row after which the page begins, by parameter."""
    keys = decoded_cursor(cursor).keys_of(spec.order, [KEY_TYPES[name] for name in spec.keys])
    return {f"after_{name}": key for name, key in zip(spec.keys, keys, strict=True)}


def _cursor(query: BugQuery, spec: QuerySpec, row: KeyRow) -> str:
    """The cursor of the page that begins after this row."""
    return encoded_cursor(spec.order, query.page_number + 1, [getattr(row, name) for name in spec.keys])
