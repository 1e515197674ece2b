"""Lists and searches: a total that is exact, and a page whose plan is chosen by that total (list_queries.py).

A few thousand bugs are gathered by the search index and sorted. More than that are not touched one by one: lists in
the order of an index walk that index and keep what matches; relevance ranks the layers of the document from the top
(migrations/sql/search_layers.sql) and stops where no bug outside a layer can stand above the page. docs/adr/0016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bugrelay.domain.bugs.repository import contains, item_of
from bugrelay.domain.bugs.schemas import BugItem, BugQuery
from bugrelay.domain.bugs.search.counting import TABLE, counted_by, total_key
from bugrelay.domain.bugs.search.parser import WEIGHTS, SearchQuery, layered, quoted
from bugrelay.domain.bugs.search.statements import (
    APPLICATIONS,
    BOUNDS,
    COMPANIES,
    HITS,
    ITEMS,
    LAYERS,
    QuerySpec,
    keys_query,
    most_words_query,
    order_keys,
    page_query,
    total_query,
)
from bugrelay.errors import ValidationFailed
from bugrelay.infra import incremental_counts as infra_totals
from bugrelay.infra.db.database import Query, Reader
from bugrelay.infra.incremental_counts import IncrementalCounts
from bugrelay.infra.pagination import CursorPagination, decoded_cursor, encoded_cursor
from bugrelay.infra.text.names import name_key

MAX_CANDIDATES = 20_000  # bugs looked at, about, when none has all the words
SOME = ", some"  # ends the order's name in a cursor of bugs with some of the words
DEEP = 20_000  # bugs that are stepped over one by one; a millisecond
GATHERED = 3000  # up to here collecting and sorting is as fast as anything
LAYERED_WHOLE = 100_000  # hits up to which the layers are small enough as they are


@dataclass(frozen=True)
class BugPage:
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
    reader: Reader,
    counts: IncrementalCounts,
    query: BugQuery,
    search: SearchQuery | None,
    *,
    primary: Reader | None = None,
) -> BugPage:
    """A page of visible bugs. A search that no bug matches in full gives those with most of its words.

    Args:
        reader: Where it reads.
        totals: Of this process.
        query: What is asked for.
        search: `query.search`, read by `parse_search`.
        primary: Where totals are taken when `reader` is a replica.

    Raises:
        ValidationFailed: A cursor of another list.
    """
    source = _Source(reader, counts, primary or reader, search)
    values = await _filter_values(reader, query)
    spec = QuerySpec(tuple(values), query.order)
    if search is None:
        return await _page(source, query, spec, values, match=None)
    if search.all_words is None:
        return BugPage([], 0, "all")
    words = len(search.lexemes)
    spec = replace(spec, words=words, searching=True)
    values |= _word_values(search) | {"search": search.all_words}
    if query.cursor is None or not decoded_cursor(query.cursor).order.endswith(SOME):
        page = await _page(source, query, spec, values, match="all", search=search)
        if page.total or query.cursor is not None or words < 2:  # noqa: PLR2004 - "some" of one word is none
            return page
    rarer = await _rarer_words(reader, search)
    return await _page_of_most(source, query, spec, values | {"search": rarer.any_word})


@dataclass(frozen=True)
class _Source:
    """Where a list comes from: bugs from `reader`, totals from `primary`, the same one unless a replica reads."""

    reader: Reader
    counts: IncrementalCounts
    primary: Reader
    search: SearchQuery | None

    async def total(self, key: str, spec: QuerySpec, values: dict[str, Any]) -> int:
        total, _ = await self._read(total_query, key, spec, values)
        return total

    async def page(
        self, key: str, spec: QuerySpec, values: dict[str, Any]
    ) -> tuple[int, Sequence[tuple[Any, ...]]]:
        """The total, and the keys of the page's rows, of which the last is the id."""
        if self.primary is not self.reader:
            return await self.total(key, spec, values), await self.reader.rows(keys_query(spec), values)
        total, rows = await self._read(page_query, key, spec, values)
        return total, [row for row in rows if row[-1] is not None]

    async def _read(
        self,
        statement: Callable[..., Query[tuple[Any, ...]]],
        key: str,
        spec: QuerySpec,
        values: dict[str, Any],
    ) -> tuple[int, Sequence[tuple[Any, ...]]]:
        count, changes = statement(spec, incremental=False), statement(spec, incremental=True)
        common = await self.counts.statistics.common(self.primary, TABLE, least=infra_totals.MAX_COUNTED_HERE)
        by_job = counted_by(key, spec, values, common=common, search=self.search)
        return await self.counts.read(
            self.primary, key, count=count, changes=changes, values=values, by_job=by_job
        )


async def _page(
    source: _Source,
    query: BugQuery,
    spec: QuerySpec,
    values: dict[str, Any],
    *,
    match: str | None,
    search: SearchQuery | None = None,
) -> BugPage:
    """Total and ids by one statement, then what is shown of these bugs by another, whose plan is always the same."""
    key = total_key(spec, values)
    hits = source.counts.known(key)
    if hits is None and spec.searching:
        hits = await source.total(key, spec, values)
    # One row more than is shown tells whether there are more.
    values = values | {"limit": query.limit + 1, "offset": query.offset}
    if query.cursor is not None:
        if query.page > 1:
            raise ValidationFailed.of("cursor", "leads to a page of its own: leave out page")
        spec = replace(spec, after=True)
        values |= _after(query.cursor, spec)
    if query.offset >= DEEP and spec == QuerySpec((), "recent") and hits:
        spec, values = await _deep_offset(source, spec, values, offset=query.offset, total=hits)
    total: int = 0
    rows: Sequence[tuple[Any, ...]] = ()
    if search is not None:
        values |= _layer_values(search)
    for planned, best_outside in _plans(spec, hits or 0):
        total, rows = await source.page(key, planned, values)
        if best_outside is None or total <= query.offset:
            break
        if len(rows) > query.limit and rows[-1][0] > best_outside * spec.words:
            break
    ids = [row[-1] for row in rows[: query.limit]]
    more = len(rows) > query.limit
    cursor = _cursor(query, spec, rows[query.limit - 1]) if more else None
    return BugPage(await _items(source.reader, ids), total, match, cursor)


async def _deep_offset(
    source: _Source, spec: QuerySpec, values: dict[str, Any], *, offset: int, total: int
) -> tuple[QuerySpec, dict[str, Any]]:
    """Far down the list of all bugs: what is newer than some moment is counted, not stepped over.

    Its count is a total like any other, so it is carried forward and exact; where the moment lies only has to be a
    good guess. The page then begins that much nearer.
    """
    bounds = [row[0] for row in await source.reader.rows(BOUNDS)]
    older = 1 - offset / total
    place = int(older * len(bounds)) + 2
    if not 0 < place < len(bounds):
        return spec, values
    since = {"since": bounds[place]}
    newer = replace(spec, since=True)
    skipped = await source.total(total_key(newer, since), newer, since)
    if skipped > offset:
        return spec, values
    return replace(spec, before=True), values | since | {"offset": offset - skipped}


def _plans(spec: QuerySpec, hits: int) -> Sequence[tuple[QuerySpec, int | None]]:
    """What to try, one after the other, each with the best score that a word can have outside its layer."""
    if not spec.searching or hits <= GATHERED:
        return [(spec, None)]
    if spec.order != "relevance":
        return [(replace(spec, index_scan=True), None)]
    if spec.at_least:
        return [(spec, None)]
    plans = [(replace(spec, layer=layer), best) for layer, best in LAYERS]
    if (
        spec.words == 1 and hits > LAYERED_WHOLE
    ):  # the newest of each layer before all of it; the top one is small
        top, *lower = plans
        plans = [
            top,
            *((replace(one, newest=newest), best) for one, best in lower for newest in (True, False)),
        ]
    return [*plans, (spec, None)]


async def _items(reader: Reader, ids: list[str]) -> list[BugItem]:
    """These bugs in this order, without those that were removed a moment ago."""
    if not ids:
        return []
    return [item_of(row) for row in await reader.rows(ITEMS, {"ids": f"{{{','.join(ids)}}}"})]


async def _rarer_words(reader: Reader, search: SearchQuery) -> SearchQuery:
    """The words that candidates are gathered by: the rarest first, while they are expected to be few enough.

    A word that the statistics do not name is rare. The commonest words of a pasted sentence tell nothing about its
    twin, and would bring in most of the board.
    """
    hits = {word: float(count) for word, count in await reader.rows(HITS, {"words": list(search.lexemes)})}
    by_rarity = sorted(search.lexemes, key=lambda lexeme: hits.get(lexeme, 0))
    chosen = [by_rarity[0]]
    expected = hits.get(by_rarity[0], 0)
    for lexeme in by_rarity[1:]:
        expected += hits.get(lexeme, 0)
        if expected > MAX_CANDIDATES:
            break
        chosen.append(lexeme)
    return replace(search, lexemes=tuple(chosen))


async def _page_of_most(source: _Source, query: BugQuery, spec: QuerySpec, values: dict[str, Any]) -> BugPage:
    """Bugs with at least half of the words, or, where none has, with as many as any bug has."""
    row = await source.reader.row(most_words_query(spec), values)
    most = (row[0] if row else None) or 0
    if not most:
        return BugPage([], 0, "some")
    at_least = min(most, -(-spec.words // 2))
    spec = replace(spec, at_least=True)
    return await _page(source, query, spec, values | {"at_least": at_least}, match="some")


def _list_name(spec: QuerySpec) -> str:
    """What a cursor belongs to: lists whose keys mean the same."""
    return spec.order + SOME if spec.at_least else spec.order


def _cursor(query: BugQuery, spec: QuerySpec, row: tuple[Any, ...]) -> str:
    """Where the page behind this one begins: behind this row."""
    return encoded_cursor(_list_name(spec), query.page_number + 1, row)


def _after(cursor: str, spec: QuerySpec) -> dict[str, Any]:
    """The keys of the row that the page is to begin behind, by parameter.

    Raises:
        ValidationFailed: The cursor is of a list in another order.
    """
    keys = decoded_cursor(cursor).keys_of(
        _list_name(spec), [key.type.python_type for key in order_keys(spec)]
    )
    return {f"after_{i}": key for i, key in enumerate(keys)}


async def _filter_values(reader: Reader, query: BugQuery) -> dict[str, Any]:
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
        values["application_ids"] = await _ids(reader, APPLICATIONS, name_key(query.application))
    if query.company:
        values["company_ids"] = await _ids(reader, COMPANIES, query.company)
    return {name: value for name, value in values.items() if value is not None}


async def _ids(reader: Reader, query: Query[tuple[Any, ...]], part: str) -> str:
    ((ids,),) = await reader.rows(query, {"part": contains(part)})
    return str(ids)


def _word_values(search: SearchQuery) -> dict[str, str]:
    values: dict[str, str] = {}
    for i, lexeme in enumerate(search.lexemes):
        values[f"word_{i}"] = quoted(lexeme)
        for label, _ in WEIGHTS:
            values[f"word_{i}_{label}"] = f"{quoted(lexeme)}:{label}"
    return values


def _layer_values(search: SearchQuery) -> dict[str, str]:
    """The tsqueries of what is in a layer, and of what is not."""
    values: dict[str, str] = {}
    for layer, _ in LAYERS:
        values[f"layer_{layer}"] = layered(search, layer)
        values[f"not_layer_{layer}"] = f"!({layered(search, layer)})"
    return values
