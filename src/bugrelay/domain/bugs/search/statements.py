"""The statements of lists and searches, by shape: the SQL depends on which filters and which order are asked for, and
the values are parameters, so each shape is compiled once.

A page is two statements: the keys of its rows beside the total (`page_query`), then what is shown of them (`ITEMS`).
Which shape is tried, and when another, is decided in lists.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Integer,
    Select,
    Subquery,
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
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.sql import operators
from sqlalchemy.types import UserDefinedType

from bugrelay.domain.bugs.models import Bug, BugSearch, bug_search_changes
from bugrelay.domain.bugs.repository import ITEM_COLUMNS, VISIBLE, joined
from bugrelay.domain.bugs.search.parser import WEIGHTS, tsquery
from bugrelay.domain.companies.models import Application, Company
from bugrelay.infra.db.database import Query

NEWEST_MONTHS = 3

# The highest score of a single word that is not in the layer, from the top layer down.
LAYERS = ((3, 11), (2, 10), (1, 5))


class _PgSnapshot(UserDefinedType[str]):
    """Which transactions a statement could see."""

    def get_col_spec(self, **_: Any) -> str:
        return "pg_snapshot"


_SNAPSHOT = literal_column("pg_current_snapshot()::text", Text).label("snapshot")

# With the table's own number, which is another one after a restore: what was counted later than the dump is not there.
ERA = "(SELECT era::text || '/' || tableoid FROM bug_search_era)"
_ERA = literal_column(ERA, Text).label("era")


@dataclass(frozen=True)
class QuerySpec:
    """What the SQL of a list depends on.

    Attributes:
        filters: Names of those that apply.
        words: How many words rank.
        searching: Whether documents must match `:search`.
        at_least: They must have at least `:at_least` of the words, and those with more come first.
        layer: Only what is in this layer or above; 0 for all.
        newest: Of that layer only the newest months.
        walking: In the order of an index, looking at each bug.
        after: Behind the row whose keys are `:after_0` and so on.
        since: Not older than `:since`.
        before: Older than `:since`.
    """

    filters: tuple[str, ...]
    order: str
    words: int = 0
    searching: bool = False
    at_least: bool = False
    layer: int = 0
    newest: bool = False
    index_scan: bool = False
    after: bool = False
    since: bool = False
    before: bool = False


# Bounds of parts of the board that hold about as many bugs each, the oldest first: from the planner's statistics.
BOUNDS = Query(
    text(
        "SELECT bound FROM pg_stats s, unnest(s.histogram_bounds::text::timestamptz[]) AS bound"
        " WHERE s.schemaname = 'public' AND s.tablename = 'bug_search' AND s.attname = 'created_at' ORDER BY bound"
    )
)

# Ids go to and fro as text: made into UUIDs and back they would cost as much as the rest of the row.
_WANTED = (
    func.unnest(bindparam("ids", type_=ARRAY(Uuid)))
    .table_valued("id", with_ordinality="place", name="wanted")
    .render_derived()
)

ITEMS = Query(
    select(*ITEM_COLUMNS)
    .select_from(joined(_WANTED.join(Bug.__table__, Bug.id == _WANTED.c.id)))
    .where(VISIBLE)
    .order_by(_WANTED.c.place)
)

# How many documents have a word, as the planner estimates it; none for a word that is not among the commonest.
HITS = Query(
    text(
        "SELECT e.word, e.share * greatest(c.reltuples, 0)"
        " FROM pg_class c JOIN pg_stats s ON s.schemaname = 'public' AND s.tablename = c.relname,"
        " unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS e(word, share)"
        " WHERE c.oid = 'bug_search'::regclass AND s.attname = 'document' AND e.word = ANY(:words)"
    ).bindparams(bindparam("words", type_=ARRAY(Text)))
)


def counted(spec: QuerySpec) -> QuerySpec:
    """What of a shape its total depends on."""
    return QuerySpec(
        spec.filters,
        "",
        words=spec.words if spec.at_least else 0,
        searching=spec.searching,
        at_least=spec.at_least,
        since=spec.since,
    )


def _total(spec: QuerySpec, *, incremental: bool) -> Select[int, str, str]:
    """SELECT of the count, or of what the log has changed since `:snapshot`, with its own snapshot and the era."""
    spec = counted(spec)
    if not incremental:
        return (
            select(func.count().label("total"), _SNAPSHOT, _ERA)
            .select_from(BugSearch.__table__)
            .where(*_conditions(BugSearch.__table__.c, spec))
        )
    snapshot = cast(bindparam("snapshot", type_=Text), _PgSnapshot())
    unseen = (
        bug_search_changes.c.transaction_id >= func.pg_snapshot_xmin(snapshot),
        ~func.pg_visible_in_snapshot(bug_search_changes.c.transaction_id, snapshot),
    )
    return (
        select(func.coalesce(func.sum(bug_search_changes.c.sign), 0).label("total"), _SNAPSHOT, _ERA)
        .select_from(bug_search_changes)
        .where(*unseen, *_conditions(bug_search_changes.c, spec))
    )


@lru_cache(maxsize=512)
def total_query(spec: QuerySpec, *, incremental: bool) -> Query[tuple[Any, ...]]:
    return Query(_total(spec, incremental=incremental))


_BY_COLUMN = {
    "status": "status",
    "priority": "priority",
    "application_id": "application_id",
    "company_id": "assigned_company_id",
    "reporter_id": "reporter_id",
}

_BY_IDS = {"application_ids": "application_id", "company_ids": "assigned_company_id"}


def _conditions(columns: Any, spec: QuerySpec) -> list[ColumnElement[bool]]:
    """The filters of a shape on a table that has these columns."""
    conditions: list[ColumnElement[bool]] = []
    for name in spec.filters:
        if name == "tags":
            conditions.append(columns.tags.contains(bindparam("tags", type_=ARRAY(Text))))
        elif name in _BY_IDS:
            ids = bindparam(name, type_=ARRAY(Uuid))
            conditions.append(getattr(columns, _BY_IDS[name]) == func.any(ids))
        else:
            conditions.append(getattr(columns, _BY_COLUMN[name]) == bindparam(name))
    if spec.searching:
        matches = _has(columns.document, "search")
        # IS TRUE keeps the planner from the search index: this list walks in order and looks at each document.
        conditions.append(matches.is_(true()) if spec.index_scan else matches)
    if spec.since:
        conditions.append(columns.created_at >= bindparam("since", type_=DateTime(timezone=True)))
    if spec.before:
        conditions.append(columns.created_at < bindparam("since", type_=DateTime(timezone=True)))
    if spec.at_least:
        conditions.append(_matched_words(columns, spec.words) >= bindparam("at_least", type_=Integer))
    return conditions


def _ids_as_text(key: Any, condition: ColumnElement[bool]) -> Query[tuple[Any, ...]]:
    """SELECT of an array, written as text: thousands of ids, which nobody here looks at one by one."""
    ids = func.array_agg(aggregate_order_by(key, key))
    return Query(select(func.coalesce(cast(ids, Text), literal_column("'{}'"))).where(condition))


APPLICATIONS = _ids_as_text(Application.id, Application.name_key.like(bindparam("part")))

COMPANIES = _ids_as_text(Company.id, func.lower(Company.name).like(func.lower(bindparam("part", type_=Text))))


def _has(document: Any, name: str) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = document.op("@@", is_comparison=True)(tsquery(name))
    return condition


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
def most_words_query(spec: QuerySpec) -> Query[tuple[Any, ...]]:
    return Query(
        select(func.max(_matched_words(_search, spec.words)))
        .select_from(BugSearch.__table__)
        .where(*_conditions(_search, spec))
    )


@lru_cache(maxsize=512)
def page_query(spec: QuerySpec, *, incremental: bool) -> Query[tuple[Any, ...]]:
    """The total beside the keys of a page's order, of which the last is the id; of an empty page a row without keys."""
    total = _total(spec, incremental=incremental).subquery("counted")
    page, keys, order = _keys_of_page(spec)
    return Query(select(*total.c, *keys).select_from(total.outerjoin(page, true())).order_by(*order))


@lru_cache(maxsize=512)
def keys_query(spec: QuerySpec) -> Query[tuple[Any, ...]]:
    """The same without the total."""
    page, keys, order = _keys_of_page(spec)
    return Query(select(*keys).select_from(page).order_by(*order))


def _keys_of_page(spec: QuerySpec) -> tuple[Subquery, list[ColumnElement[Any]], list[ColumnElement[Any]]]:
    """A page as a subquery, its keys, and the order that puts its rows as they were."""
    statement, order = _ids_of_page(spec)
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


def order_keys(spec: QuerySpec) -> list[ColumnElement[Any]]:
    """What the list is ordered by, every key in the same direction."""
    _, order = _ids_of_page(replace(spec, after=False))
    return [key.element for key in order]


def _keyset(spec: QuerySpec, order: tuple[Any, ...]) -> list[ColumnElement[bool]]:
    """The condition of a page that begins behind a row: an index on the keys goes there at once."""
    if not spec.after:
        return []
    keys = tuple_(*(key.element for key in order))
    row = tuple_(*(bindparam(f"after_{i}", type_=key.element.type) for i, key in enumerate(order)))
    return [keys > row if order[0].modifier is operators.asc_op else keys < row]


def _ids_of_page(spec: QuerySpec) -> tuple[Any, tuple[Any, ...]]:
    """SELECT of the ids, and their order."""
    if not spec.searching:
        order = _ORDERS[spec.order]
        conditions = [VISIBLE, *_conditions(Bug.__table__.c, spec), *_keyset(spec, order)]
        return select(Bug.id.label("id")).where(*conditions), order
    if spec.layer and spec.words == 1:
        return _ids_by_tier(spec)
    conditions = _conditions(_search, spec)
    if spec.layer:
        conditions.append(_has(_search.document, f"layer_{spec.layer}"))
    if spec.order in ("relevance", "recent", "oldest"):
        order = _order_found(spec)
        return select(_search.bug_id.label("id")).where(*conditions, *_keyset(spec, order)), order
    order = _ORDERS[spec.order]
    if spec.index_scan:
        # OFFSET 0 keeps the subquery apart: the votes' index is walked, and each bug's document is looked at.
        found = (
            select(literal(1).label("one")).where(_search.bug_id == Bug.id, *conditions).offset(0).lateral()
        )
        source: Any = Bug.__table__.join(found, true())
        return select(Bug.id.label("id")).select_from(source).where(VISIBLE, *_keyset(spec, order)), order
    source = BugSearch.__table__.join(Bug.__table__, Bug.id == _search.bug_id)
    return select(Bug.id.label("id")).select_from(source).where(*conditions, *_keyset(spec, order)), order


def _ids_by_tier(spec: QuerySpec) -> tuple[Any, tuple[Any, ...]]:
    """A layer for one word: what is in a layer and not in the next above has one score, and no document is read."""
    conditions = _conditions(_search, spec)
    top = select(_search.bug_id, _search.created_at, _score(_search, 1).label("score"))
    tiers = [top.where(*conditions, _has(_search.document, f"layer_{LAYERS[0][0]}"))]
    newest = select(_search.created_month).order_by(_search.created_at.desc(), _search.bug_id.desc()).limit(1)
    for (above, score), (layer, _) in pairwise(LAYERS):
        if layer < spec.layer:
            break
        tier = select(_search.bug_id, _search.created_at, literal_column(str(score)).label("score"))
        inside, outside = (
            _has(_search.document, f"layer_{layer}"),
            _has(_search.document, f"not_layer_{above}"),
        )
        tier = tier.where(*conditions, inside, outside)
        if spec.newest and layer == spec.layer:
            # What is left out is older than all of it, and scores the same: it stands below.
            last = newest.scalar_subquery()
            tiers += [tier.where(_search.created_month == last - back) for back in range(NEWEST_MONTHS)]
        else:
            tiers.append(tier)
    found = union_all(*tiers).subquery("found") if len(tiers) > 1 else tiers[0].subquery("found")
    order = (found.c.score.desc(), found.c.created_at.desc(), found.c.bug_id.desc())
    return select(found.c.bug_id).where(*_keyset(spec, order)), order


def _order_found(spec: QuerySpec) -> tuple[Any, ...]:
    """The order of a search that bug_search knows by itself."""
    if spec.order == "oldest":
        return (_search.created_at.asc(), _search.bug_id.asc())
    order: tuple[Any, ...] = (_search.created_at.desc(), _search.bug_id.desc())
    if spec.order == "relevance" and spec.words:
        order = (_score(_search, spec.words).desc(), *order)
        if spec.at_least:
            order = (_matched_words(_search, spec.words).desc(), *order)
    return order
