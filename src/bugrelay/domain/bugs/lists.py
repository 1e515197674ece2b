"""SELECTs of lists and searches: a total that is exact, and a page whose plan is chosen by that total.

A few thousand bugs are gathered by the search index and sorted. More than that are not touched one by one: lists in
the order of an index walk that index and keep what matches; relevance ranks the layers of the document from the top
(migrations/sql/0005_lists.sql) and stops where no bug outside a layer can stand above the page. docs/adr/0016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    MetaData,
    Select,
    SmallInteger,
    String,
    Subquery,
    Table,
    Text,
    Uuid,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR, aggregate_order_by
from sqlalchemy.sql import operators
from sqlalchemy.types import UserDefinedType

from bugrelay.domain.bugs.models import Bug, BugSearch
from bugrelay.domain.bugs.repository import ITEM_COLUMNS, VISIBLE, contains, item_of, joined
from bugrelay.domain.bugs.schemas import BugItem, BugQuery
from bugrelay.domain.bugs.search import WEIGHTS, SearchQuery, layered, quoted, tsquery
from bugrelay.domain.companies.models import Application, Company
from bugrelay.errors import ValidationFailed
from bugrelay.http.pagination import CursorPagination, decoded_cursor, encoded_cursor
from bugrelay.infra.db import Query, Reader
from bugrelay.infra.text import comparable
from bugrelay.infra.totals import Totals

MOST_CANDIDATES = 20_000  # bugs looked at, about, when none has all the words
SOME = ", some"  # ends the order's name in a cursor of bugs with some of the words
DEEP = 20_000  # bugs that are stepped over one by one; a millisecond
GATHERED = 3000  # up to here collecting and sorting is as fast as anything

NEWEST_MONTHS = 3
LAYERED_WHOLE = 100_000  # hits up to which the layers are small enough as they are

# The highest score of a single word that is not in the layer, from the top layer down.
LAYERS = ((3, 11), (2, 10), (1, 5))


class _PgSnapshot(UserDefinedType[str]):
    """Which transactions a statement could see."""

    def get_col_spec(self, **_: Any) -> str:
        return "pg_snapshot"


_changes = Table(
    "bug_search_changes",
    MetaData(),
    Column("id", BigInteger),
    Column("transaction_id", Text),
    Column("sign", SmallInteger),
    Column("document", TSVECTOR),
    Column("status", String),
    Column("priority", String),
    Column("tags", ARRAY(Text)),
    Column("application_id", Uuid),
    Column("assigned_company_id", Uuid),
    Column("reporter_id", Uuid),
    Column("created_at", DateTime(timezone=True)),
)
_SNAPSHOT = literal_column("pg_current_snapshot()::text", Text).label("snapshot")
_ERA = literal_column("(SELECT era::text FROM bug_search_era)", Text).label("era")


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


@dataclass(frozen=True)
class _Shape:
    """What the SQL of a list depends on. Its values are parameters, so a shape is compiled once."""

    filters: tuple[str, ...]
    order: str
    words: int = 0
    searching: bool = False
    at_least: bool = False
    layer: int = 0
    newest: bool = False
    walking: bool = False
    after: bool = False
    since: bool = False
    before: bool = False


async def list_bugs(
    reader: Reader,
    totals: Totals,
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
    source = _Source(reader, totals, primary or reader)
    values = await _filter_values(reader, query)
    shape = _Shape(tuple(values), query.order)
    if search is None:
        return await _page(source, query, shape, values, match=None)
    if search.all_words is None:
        return BugPage([], 0, "all")
    words = len(search.lexemes)
    shape = replace(shape, words=words, searching=True)
    values |= _word_values(search) | {"search": search.all_words}
    if query.cursor is None or not decoded_cursor(query.cursor).order.endswith(SOME):
        page = await _page(source, query, shape, values, match="all", search=search)
        if page.total or query.cursor is not None or words < 2:  # noqa: PLR2004 - "some" of one word is none
            return page
    rarer = await _rarer_words(reader, search)
    return await _page_of_most(source, query, shape, values | {"search": rarer.any_word})


@dataclass(frozen=True)
class _Source:
    """Where a list comes from: bugs from `reader`, totals from `primary`, the same one unless a replica reads."""

    reader: Reader
    totals: Totals
    primary: Reader

    async def total(self, key: str, shape: _Shape, values: dict[str, Any]) -> int:
        total, _ = await self._read(_total_query, key, shape, values)
        return total

    async def page(
        self, key: str, shape: _Shape, values: dict[str, Any]
    ) -> tuple[int, Sequence[tuple[Any, ...]]]:
        """The total, and the keys of the page's rows, of which the last is the id."""
        if self.primary is not self.reader:
            return await self.total(key, shape, values), await self.reader.rows(_keys_query(shape), values)
        total, rows = await self._read(_page_query, key, shape, values)
        return total, [row for row in rows if row[-1] is not None]

    async def _read(
        self, statement: Callable[..., Query], key: str, shape: _Shape, values: dict[str, Any]
    ) -> tuple[int, Sequence[tuple[Any, ...]]]:
        count, changes = statement(shape, carried=False), statement(shape, carried=True)
        return await self.totals.read(self.primary, key, count=count, changes=changes, values=values)


async def _page(
    source: _Source,
    query: BugQuery,
    shape: _Shape,
    values: dict[str, Any],
    *,
    match: str | None,
    search: SearchQuery | None = None,
) -> BugPage:
    """Total and ids by one statement, then what is shown of these bugs by another, whose plan is always the same."""
    key = _total_key(shape, values)
    hits = source.totals.known(key)
    if hits is None and shape.searching:
        hits = await source.total(key, shape, values)
    # One row more than is shown tells whether there are more.
    values = values | {"limit": query.limit + 1, "offset": query.offset}
    if query.cursor is not None:
        if query.page > 1:
            raise ValidationFailed.of("cursor", "leads to a page of its own: leave out page")
        shape = replace(shape, after=True)
        values |= _after(query.cursor, shape)
    if query.offset >= DEEP and shape == _Shape((), "recent") and hits:
        shape, values = await _skipping(source, shape, values, offset=query.offset, total=hits)
    total: int = 0
    rows: Sequence[tuple[Any, ...]] = ()
    if search is not None:
        values |= _layer_values(search)
    for planned, best_outside in _plans(shape, hits or 0):
        total, rows = await source.page(key, planned, values)
        if best_outside is None or total <= query.offset:
            break
        if len(rows) > query.limit and rows[-1][0] > best_outside * shape.words:
            break
    ids = [row[-1] for row in rows[: query.limit]]
    more = len(rows) > query.limit
    cursor = _cursor(query, shape, rows[query.limit - 1]) if more else None
    return BugPage(await _items(source.reader, ids), total, match, cursor)


# Bounds of parts of the board that hold about as many bugs each, the oldest first: from the planner's statistics.
_BOUNDS = Query(
    text(
        "SELECT bound FROM pg_stats s, unnest(s.histogram_bounds::text::timestamptz[]) AS bound"
        " WHERE s.schemaname = 'public' AND s.tablename = 'bug_search' AND s.attname = 'created_at' ORDER BY bound"
    )
)


async def _skipping(
    source: _Source, shape: _Shape, values: dict[str, Any], *, offset: int, total: int
) -> tuple[_Shape, dict[str, Any]]:
    """Far down the list of all bugs: what is newer than some moment is counted, not stepped over.

    Its count is a total like any other, so it is carried forward and exact; where the moment lies only has to be a
    good guess. The page then begins that much nearer.
    """
    bounds = [row[0] for row in await source.reader.rows(_BOUNDS)]
    older = 1 - offset / total
    place = int(older * len(bounds)) + 2
    if not 0 < place < len(bounds):
        return shape, values
    since = {"since": bounds[place]}
    newer = replace(shape, since=True)
    skipped = await source.total(_total_key(newer, since), newer, since)
    if skipped > offset:
        return shape, values
    return replace(shape, before=True), values | since | {"offset": offset - skipped}


def _plans(shape: _Shape, hits: int) -> Sequence[tuple[_Shape, int | None]]:
    """What to try, one after the other, each with the best score that a word can have outside its layer."""
    if not shape.searching or hits <= GATHERED:
        return [(shape, None)]
    if shape.order != "relevance":
        return [(replace(shape, walking=True), None)]
    if shape.at_least:
        return [(shape, None)]
    plans = [(replace(shape, layer=layer), best) for layer, best in LAYERS]
    if (
        shape.words == 1 and hits > LAYERED_WHOLE
    ):  # the newest of each layer before all of it; the top one is small
        top, *lower = plans
        plans = [
            top,
            *((replace(one, newest=newest), best) for one, best in lower for newest in (True, False)),
        ]
    return [*plans, (shape, None)]


# Ids go to and fro as text: made into UUIDs and back they would cost as much as the rest of the row.
_WANTED = (
    func.unnest(bindparam("ids", type_=ARRAY(Uuid)))
    .table_valued("id", with_ordinality="place", name="wanted")
    .render_derived()
)
_ITEMS = Query(
    select(*ITEM_COLUMNS)
    .select_from(joined(_WANTED.join(Bug.__table__, Bug.id == _WANTED.c.id)))
    .where(VISIBLE)
    .order_by(_WANTED.c.place)
)


async def _items(reader: Reader, ids: list[str]) -> list[BugItem]:
    """These bugs in this order, without those that were removed a moment ago."""
    if not ids:
        return []
    return [item_of(row) for row in await reader.rows(_ITEMS, {"ids": f"{{{','.join(ids)}}}"})]


_HITS = Query(
    text(
        "SELECT e.word, e.share * greatest(c.reltuples, 0)"
        " FROM pg_class c JOIN pg_stats s ON s.schemaname = 'public' AND s.tablename = c.relname,"
        " unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS e(word, share)"
        " WHERE c.oid = 'bug_search'::regclass AND s.attname = 'document' AND e.word = ANY(:words)"
    ).bindparams(bindparam("words", type_=ARRAY(Text)))
)


async def _rarer_words(reader: Reader, search: SearchQuery) -> SearchQuery:
    """The words that candidates are gathered by: the rarest first, while they are expected to be few enough.

    A word that the statistics do not name is rare. The commonest words of a pasted sentence tell nothing about its
    twin, and would bring in most of the board.
    """
    hits = {word: float(count) for word, count in await reader.rows(_HITS, {"words": list(search.lexemes)})}
    by_rarity = sorted(search.lexemes, key=lambda lexeme: hits.get(lexeme, 0))
    chosen = [by_rarity[0]]
    expected = hits.get(by_rarity[0], 0)
    for lexeme in by_rarity[1:]:
        expected += hits.get(lexeme, 0)
        if expected > MOST_CANDIDATES:
            break
        chosen.append(lexeme)
    return replace(search, lexemes=tuple(chosen))


async def _page_of_most(source: _Source, query: BugQuery, shape: _Shape, values: dict[str, Any]) -> BugPage:
    """Bugs with at least half of the words, or, where none has, with as many as any bug has."""
    row = await source.reader.row(_most_words_query(shape), values)
    most = (row[0] if row else None) or 0
    if not most:
        return BugPage([], 0, "some")
    at_least = min(most, -(-shape.words // 2))
    shape = replace(shape, at_least=True)
    return await _page(source, query, shape, values | {"at_least": at_least}, match="some")


# --- totals -----------------------------------------------------------------------------------------------------------


def _counted(shape: _Shape) -> _Shape:
    """What of a shape its total depends on."""
    return _Shape(
        shape.filters,
        "",
        words=shape.words if shape.at_least else 0,
        searching=shape.searching,
        at_least=shape.at_least,
        since=shape.since,
    )


def _total_key(shape: _Shape, values: dict[str, Any]) -> str:
    counted = _counted(shape)
    return msgspec.json.encode([counted.filters, counted.at_least, values], order="sorted").decode()


def _total(shape: _Shape, *, carried: bool) -> Select[int, str, str]:
    """SELECT of the count, or of what the log has changed since `:snapshot`, with its own snapshot and the era."""
    shape = _counted(shape)
    if not carried:
        return (
            select(func.count().label("total"), _SNAPSHOT, _ERA)
            .select_from(BugSearch.__table__)
            .where(*_conditions(BugSearch.__table__.c, shape))
        )
    snapshot = cast(bindparam("snapshot", type_=Text), _PgSnapshot())
    unseen = (
        _changes.c.transaction_id >= func.pg_snapshot_xmin(snapshot),
        ~func.pg_visible_in_snapshot(_changes.c.transaction_id, snapshot),
    )
    return (
        select(func.coalesce(func.sum(_changes.c.sign), 0).label("total"), _SNAPSHOT, _ERA)
        .select_from(_changes)
        .where(*unseen, *_conditions(_changes.c, shape))
    )


@lru_cache(maxsize=512)
def _total_query(shape: _Shape, *, carried: bool) -> Query:
    return Query(_total(shape, carried=carried))


# --- cursors ----------------------------------------------------------------------------------------------------------


def _list_name(shape: _Shape) -> str:
    """What a cursor belongs to: lists whose keys mean the same."""
    return shape.order + SOME if shape.at_least else shape.order


def _cursor(query: BugQuery, shape: _Shape, row: tuple[Any, ...]) -> str:
    """Where the page behind this one begins: behind this row."""
    return encoded_cursor(_list_name(shape), query.page_number + 1, row)


def _after(cursor: str, shape: _Shape) -> dict[str, Any]:
    """The keys of the row that the page is to begin behind, by parameter.

    Raises:
        ValidationFailed: The cursor is of a list in another order.
    """
    keys = decoded_cursor(cursor).keys_of(_list_name(shape), [key.type.python_type for key in _keys(shape)])
    return {f"after_{i}": key for i, key in enumerate(keys)}


# --- conditions -------------------------------------------------------------------------------------------------------

_BY_COLUMN = {
    "status": "status",
    "priority": "priority",
    "application_id": "application_id",
    "company_id": "assigned_company_id",
    "reporter_id": "reporter_id",
}
_BY_IDS = {"application_ids": "application_id", "company_ids": "assigned_company_id"}


def _conditions(columns: Any, shape: _Shape) -> list[ColumnElement[bool]]:
    """The filters of a shape on a table that has these columns."""
    conditions: list[ColumnElement[bool]] = []
    for name in shape.filters:
        if name == "tags":
            conditions.append(columns.tags.contains(bindparam("tags", type_=ARRAY(Text))))
        elif name in _BY_IDS:
            ids = bindparam(name, type_=ARRAY(Uuid))
            conditions.append(getattr(columns, _BY_IDS[name]) == func.any(ids))
        else:
            conditions.append(getattr(columns, _BY_COLUMN[name]) == bindparam(name))
    if shape.searching:
        matches = _has(columns.document, "search")
        # IS TRUE keeps the planner from the search index: this list walks in order and looks at each document.
        conditions.append(matches.is_(true()) if shape.walking else matches)
    if shape.since:
        conditions.append(columns.created_at >= bindparam("since", type_=DateTime(timezone=True)))
    if shape.before:
        conditions.append(columns.created_at < bindparam("since", type_=DateTime(timezone=True)))
    if shape.at_least:
        conditions.append(_matched_words(columns, shape.words) >= bindparam("at_least", type_=Integer))
    return conditions


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
        values["application_ids"] = await _ids(reader, _APPLICATIONS, comparable(query.application))
    if query.company:
        values["company_ids"] = await _ids(reader, _COMPANIES, query.company)
    return {name: value for name, value in values.items() if value is not None}


def _ids_as_text(key: Any, condition: ColumnElement[bool]) -> Query:
    """SELECT of an array, written as text: thousands of ids, which nobody here looks at one by one."""
    ids = func.array_agg(aggregate_order_by(key, key))
    return Query(select(func.coalesce(cast(ids, Text), literal_column("'{}'"))).where(condition))


_APPLICATIONS = _ids_as_text(Application.id, Application.name_key.like(bindparam("part")))
_COMPANIES = _ids_as_text(
    Company.id, func.lower(Company.name).like(func.lower(bindparam("part", type_=Text)))
)


async def _ids(reader: Reader, query: Query, part: str) -> str:
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


def _has(document: Any, name: str) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = document.op("@@", is_comparison=True)(tsquery(name))
    return condition


# --- order ------------------------------------------------------------------------------------------------------------


def _one_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return cast(condition, Integer)


def _sum(parts: list[ColumnElement[int]]) -> ColumnElement[int]:
    return sum(parts[1:], parts[0]) if parts else literal(0)


def _score(columns: Any, words: int) -> ColumnElement[int]:
    """Ten times the relevance: the sum of the weights of fields over words; 0 for a search that only excludes."""
    return _sum(
        [
            case(
                (_has(columns.document, f"word_{i}_{label}"), literal_column(str(weight))),
                else_=literal_column("0"),
            )
            for i in range(words)
            for label, weight in WEIGHTS
        ]
    )


def _matched_words(columns: Any, words: int) -> ColumnElement[int]:
    return _sum([_one_if(_has(columns.document, f"word_{i}")) for i in range(words)])


_search = BugSearch.__table__.c
_ORDERS: dict[str, tuple[ColumnElement[Any], ...]] = {
    "recent": (Bug.created_at.desc(), Bug.id.desc()),
    "oldest": (Bug.created_at.asc(), Bug.id.asc()),
    "popular": (Bug.vote_count.desc(), Bug.created_at.desc(), Bug.id.desc()),
    "trending": (
        Bug.recent_vote_count.desc(),
        Bug.vote_count.desc(),
        Bug.created_at.desc(),
        Bug.id.desc(),
    ),
}


@lru_cache(maxsize=512)
def _most_words_query(shape: _Shape) -> Query:
    return Query(
        select(func.max(_matched_words(_search, shape.words)))
        .select_from(BugSearch.__table__)
        .where(*_conditions(_search, shape))
    )


@lru_cache(maxsize=512)
def _page_query(shape: _Shape, *, carried: bool) -> Query:
    """The total beside the keys of a page's order, of which the last is the id; of an empty page a row without keys."""
    total = _total(shape, carried=carried).subquery("counted")
    page, keys, order = _keys_of_page(shape)
    return Query(select(*total.c, *keys).select_from(total.outerjoin(page, true())).order_by(*order))


@lru_cache(maxsize=512)
def _keys_query(shape: _Shape) -> Query:
    """The same without the total."""
    page, keys, order = _keys_of_page(shape)
    return Query(select(*keys).select_from(page).order_by(*order))


def _keys_of_page(shape: _Shape) -> tuple[Subquery, list[ColumnElement[Any]], list[ColumnElement[Any]]]:
    """A page as a subquery, its keys, and the order that puts its rows as they were."""
    statement, order = _ids_of_page(shape)
    page = (
        statement.with_only_columns(*(key.element.label(f"key_{i}") for i, key in enumerate(order)))
        .order_by(*order)
        .limit(bindparam("limit", type_=Integer))
        .offset(bindparam("offset", type_=Integer))
        .subquery("page")
    )
    *keys, last = (page.c[f"key_{i}"] for i in range(len(order)))
    directions = [
        key.asc() if one.modifier is operators.asc_op else key.desc()
        for key, one in zip((*keys, last), order, strict=True)
    ]
    return page, [*keys, cast(last, Text)], directions


def _keys(shape: _Shape) -> list[ColumnElement[Any]]:
    """What the list is ordered by, every key in the same direction."""
    _, order = _ids_of_page(replace(shape, after=False))
    return [key.element for key in order]


def _behind(shape: _Shape, order: tuple[Any, ...]) -> list[ColumnElement[bool]]:
    """The condition of a page that begins behind a row: an index on the keys goes there at once."""
    if not shape.after:
        return []
    keys = tuple_(*(key.element for key in order))
    row = tuple_(*(bindparam(f"after_{i}", type_=key.element.type) for i, key in enumerate(order)))
    return [keys > row if order[0].modifier is operators.asc_op else keys < row]


def _ids_of_page(shape: _Shape) -> tuple[Any, tuple[Any, ...]]:
    """SELECT of the ids, and their order."""
    if not shape.searching:
        order = _ORDERS[shape.order]
        conditions = [VISIBLE, *_conditions(Bug.__table__.c, shape), *_behind(shape, order)]
        return select(Bug.id.label("id")).where(*conditions), order
    if shape.layer and shape.words == 1:
        return _ids_by_strata(shape)
    conditions = _conditions(_search, shape)
    if shape.layer:
        conditions.append(_has(_search.document, f"layer_{shape.layer}"))
    if shape.order in ("relevance", "recent", "oldest"):
        order = _order_found(shape)
        return select(_search.bug_id.label("id")).where(*conditions, *_behind(shape, order)), order
    order = _ORDERS[shape.order]
    if shape.walking:
        # OFFSET 0 keeps the subquery apart: the votes' index is walked, and each bug's document is looked at.
        found = (
            select(literal(1).label("one")).where(_search.bug_id == Bug.id, *conditions).offset(0).lateral()
        )
        source: Any = Bug.__table__.join(found, true())
        return select(Bug.id.label("id")).select_from(source).where(VISIBLE, *_behind(shape, order)), order
    source = BugSearch.__table__.join(Bug.__table__, Bug.id == _search.bug_id)
    return select(Bug.id.label("id")).select_from(source).where(*conditions, *_behind(shape, order)), order


def _ids_by_strata(shape: _Shape) -> tuple[Any, tuple[Any, ...]]:
    """A layer for one word: what is in a layer and not in the next above has one score, and no document is read."""
    conditions = _conditions(_search, shape)
    top = select(_search.bug_id, _search.created_at, _score(_search, 1).label("score"))
    strata = [top.where(*conditions, _has(_search.document, f"layer_{LAYERS[0][0]}"))]
    newest = select(_search.created_month).order_by(_search.created_at.desc(), _search.bug_id.desc()).limit(1)
    for (above, score), (layer, _) in pairwise(LAYERS):
        if layer < shape.layer:
            break
        stratum = select(_search.bug_id, _search.created_at, literal_column(str(score)).label("score"))
        inside, outside = (
            _has(_search.document, f"layer_{layer}"),
            _has(_search.document, f"not_layer_{above}"),
        )
        stratum = stratum.where(*conditions, inside, outside)
        if shape.newest and layer == shape.layer:
            # What is left out is older than all of it, and scores the same: it stands below.
            last = newest.scalar_subquery()
            strata += [stratum.where(_search.created_month == last - back) for back in range(NEWEST_MONTHS)]
        else:
            strata.append(stratum)
    found = union_all(*strata).subquery("found") if len(strata) > 1 else strata[0].subquery("found")
    order = (found.c.score.desc(), found.c.created_at.desc(), found.c.bug_id.desc())
    return select(found.c.bug_id).where(*_behind(shape, order)), order


def _order_found(shape: _Shape) -> tuple[Any, ...]:
    """The order of a search that bug_search knows by itself."""
    if shape.order == "oldest":
        return (_search.created_at.asc(), _search.bug_id.asc())
    order: tuple[Any, ...] = (_search.created_at.desc(), _search.bug_id.desc())
    if shape.order == "relevance" and shape.words:
        order = (_score(_search, shape.words).desc(), *order)
        if shape.at_least:
            order = (_matched_words(_search, shape.words).desc(), *order)
    return order
