"""Lists and searches of bugs: one story, from a query to a page with an exact total.

What was typed is parsed (parser.py) and bound to a query spec; the total (totals.py) decides which plans are tried
(planner.py); their SQL (statements.py) gives the keys of the page's rows, and these what is shown of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bugrelay.domain.bugs.repository import listed_bugs
from bugrelay.domain.bugs.schemas import BugItem, BugQuery
from bugrelay.domain.bugs.search.parser import parse_search, tsqueries
from bugrelay.domain.bugs.search.partial_match import partial_match
from bugrelay.domain.bugs.search.planner import (
    KEY_TYPES,
    BoundQuery,
    Plan,
    QuerySpec,
    deep_boundary,
    is_deep,
    plans,
)
from bugrelay.domain.bugs.search.statements import (
    APPLICATION_IDS,
    BOUNDS,
    COMPANY_IDS,
    KeyRow,
)
from bugrelay.domain.bugs.search.totals import Totals
from bugrelay.errors import ValidationFailed
from bugrelay.infra.db.like import contains
from bugrelay.infra.db.query import Query, Reader
from bugrelay.infra.incremental_counts import IncrementalCounts
from bugrelay.infra.pagination import CursorPagination, decoded_cursor, encoded_cursor
from bugrelay.infra.text.names import name_key

PARTIAL = ", some"  # ends the order's name in a cursor of bugs with some of the words


@dataclass(frozen=True)
class BugPage:
    """A page of a list.

    Attributes:
        bugs: In the list's order.
        total: Of the list, exact.
        match: "all" or "some" of the words; None without a search.
        next_cursor: Leads to the next page; None on the last.
    """

    bugs: list[BugItem]
    total: int
    match: str | None
    next_cursor: str | None = None

    def pagination(self, query: BugQuery) -> CursorPagination:
        number = query.page_number
        pages = -(-self.total // query.limit)
        more = self.next_cursor is not None if query.cursor is not None else number < pages
        return CursorPagination(number, query.limit, self.total, pages, more, number > 1, self.next_cursor)


async def list_bugs(
    reader: Reader, counts: IncrementalCounts, query: BugQuery, *, primary: Reader | None = None
) -> BugPage:
    """A page of visible bugs. A search that no bug matches in full gives those with most of its words.

    Args:
        reader: Where bugs are read.
        counts: Of this process.
        query: What is asked for.
        primary: Where totals are read when `reader` is a replica.

    Raises:
        ValidationFailed: A cursor of another list.
    """
    totals = Totals(counts, primary or reader)
    filters = await _filters(reader, query)
    wanted = BoundQuery(QuerySpec(tuple(filters), query.order), filters)
    if query.search is None:
        return await _page(reader, totals, query, wanted)
    search = await parse_search(reader, query.search)
    if search.all_words is None:
        return BugPage([], 0, "all")
    spec = replace(wanted.spec, searching=True, words=len(search.lexemes))
    wanted = BoundQuery(spec, {**filters, **tsqueries(search)}, search)
    if not (search.lexemes and _is_partial(query)):
        page = await _page(reader, totals, query, wanted)
        if page.total or query.cursor is not None or len(search.lexemes) <= 1:
            return page
    partial = await partial_match(reader, wanted, search)
    return await _page(reader, totals, query, partial) if partial else BugPage([], 0, "some")


async def _filters(reader: Reader, query: BugQuery) -> dict[str, Any]:
    """The filters that apply, by name. Parts of names become ids first: ids are what the indexes know."""
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


async def _page(reader: Reader, totals: Totals, query: BugQuery, wanted: BoundQuery) -> BugPage:
    """Total and keys by one statement, then what is shown of these bugs by another, whose plan is always the same."""
    spec, limit = wanted.spec, query.limit
    values = {**wanted.values, **_position(query, spec)}
    known = totals.known(wanted)
    if known is None and spec.searching:
        known = await totals.read(wanted)
    tried = plans(spec, total=known or 0, keyset=query.cursor is not None)
    if is_deep(spec, offset=query.offset, total=known or 0):
        tried, values = await _deep_offset(reader, totals, tried, values, total=known or 0)
    for plan in tried:
        total, rows = await totals.read_with_page(reader, wanted, plan=plan, values=values)
        more = len(rows) > limit
        next_score = rows[limit].score if more else None
        if total <= query.offset or plan.is_settled(spec, next_score=next_score):
            break
    bugs = await listed_bugs(reader, [row.id for row in rows[:limit] if row.id])
    cursor = _cursor(query, spec, rows[limit - 1]) if more else None
    return BugPage(bugs, total, _match(spec), cursor)


async def _deep_offset(
    reader: Reader, totals: Totals, tried: list[Plan], values: dict[str, Any], *, total: int
) -> tuple[list[Plan], dict[str, Any]]:
    """Far down the list of all bugs: what is newer than some moment is counted, not stepped over.

    Its count is a total like any other, so it is carried forward and exact; where the moment lies only has to be a
    good guess. The page then begins that much nearer.
    """
    offset = values["offset"]
    since = deep_boundary(await reader.rows(BOUNDS), offset=offset, total=total)
    if since is None:
        return tried, values
    newer = await totals.read(BoundQuery(QuerySpec(("since",)), {"since": since}))
    if newer > offset:
        return tried, values
    return [Plan(deep_offset=True)], {**values, "since": since, "offset": offset - newer}


def _match(spec: QuerySpec) -> str | None:
    if not spec.searching:
        return None
    return "some" if spec.partial else "all"


# --- where a page begins --------------------------------------------------------------------------------------------


def _position(query: BugQuery, spec: QuerySpec) -> dict[str, Any]:
    """Offset or keyset, and the limit: one row more than is shown tells whether there are more.

    Raises:
        ValidationFailed: The cursor is of a list in another order, or stands beside a page.
    """
    position = {"limit": query.limit + 1, "offset": query.offset}
    return position if query.cursor is None else {**position, **_keyset(query, query.cursor, spec)}


def _keyset(query: BugQuery, cursor: str, spec: QuerySpec) -> Mapping[str, Any]:
    """The keys of the row that the page begins after, by parameter."""
    if query.page > 1:
        raise ValidationFailed.of("cursor", "leads to a page of its own: leave out page")
    keys = decoded_cursor(cursor).keys_of(_list_name(spec), [KEY_TYPES[name] for name in spec.keys])
    return {f"after_{name}": key for name, key in zip(spec.keys, keys, strict=True)}


def _cursor(query: BugQuery, spec: QuerySpec, row: KeyRow) -> str:
    """Leads to the page that begins after this row."""
    return encoded_cursor(_list_name(spec), query.page_number + 1, [getattr(row, name) for name in spec.keys])


def _list_name(spec: QuerySpec) -> str:
    """What a cursor belongs to: lists whose keys mean the same."""
    return spec.order + PARTIAL if spec.partial else spec.order


def _is_partial(query: BugQuery) -> bool:
    """Whether a cursor leads on among bugs with some of the words."""
    return query.cursor is not None and decoded_cursor(query.cursor).order.endswith(PARTIAL)
