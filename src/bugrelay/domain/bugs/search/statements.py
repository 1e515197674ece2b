"""The SQL of lists and searches. It depends only on the query spec and the plan, while values are parameters, so each
statement is compiled once.

A page takes two statements: the total with the keys of its rows (`page_query`), then the bugs of these keys
(`repository.listed_bugs`), whose plan is always the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Select,
    Subquery,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY, aggregate_order_by

from bugrelay.domain.bugs.models import Bug, BugSearch, bug_search_changes
from bugrelay.domain.bugs.search.planner import NEAR_ROWS, Plan, QuerySpec
from bugrelay.domain.bugs.similar.models import SimilarDocument
from bugrelay.domain.bugs.visibility import LISTED
from bugrelay.domain.companies.models import Application, Company
from bugrelay.infra.db.keyset import page_of_keys, rows_of_page
from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.db.types import PgSnapshot
from bugrelay.infra.incremental_counts import Counted
from bugrelay.infra.search.ranking import BEST_OUTSIDE, TIERS, WEIGHTS

NEWEST_MONTHS = 3
MAX_NUMBERS = 200
CACHED_STATEMENTS = 512


class KeyRow(Row):
    """The sort keys of a bug; those of other orders are None, and all of them in the one row of an empty page."""

    score: int | None
    recent_vote_count: int | None
    vote_count: int | None
    created_at: datetime | None
    id: str | None


class PageRow(KeyRow):
    """The same with the total or its change, and the snapshot and era from which it is updated next time."""

    total: int
    snapshot: str
    era: str


# --- a page ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=CACHED_STATEMENTS)
def page_query(spec: QuerySpec, plan: Plan, *, incremental: bool) -> Query[PageRow]:
    """The keys of a page's rows, each with the total; one row without keys for an empty page."""
    page = _page(spec, plan)
    total = _total(spec, incremental=incremental).subquery("counted")
    return Query(_rows(spec, page, beside=total), PageRow)


@lru_cache(maxsize=CACHED_STATEMENTS)
def keys_query(spec: QuerySpec, plan: Plan) -> Query[KeyRow]:
    """The same without the total."""
    return Query(_rows(spec, _page(spec, plan)), KeyRow)


@lru_cache(maxsize=CACHED_STATEMENTS)
def total_query(spec: QuerySpec, *, incremental: bool) -> Query[Counted]:
    """The total alone."""
    return Query(_total(spec, incremental=incremental), Counted)


def _page(spec: QuerySpec, plan: Plan) -> Subquery:
    """SELECT of the keys of a page, in its order."""
    found = _found(spec, plan)
    return page_of_keys(
        found.source,
        keys={name: found.columns[name] for name in spec.keys},
        conditions=found.conditions,
        ascending=spec.order == "oldest",
        is_after=plan.keyset,
        within=NEAR_ROWS if plan.near else None,
    )


def _rows(spec: QuerySpec, page: Subquery, *, beside: Subquery | None = None) -> Select[Any]:
    """SELECT of `KeyRow`; ids are text, since converting them to UUIDs and back would cost as much as the rest."""
    return rows_of_page(
        page,
        columns=KeyRow.__struct_fields__,
        ascending=spec.order == "oldest",
        beside=beside,
        as_text=("id",),
    )


# --- sources of matching bugs ---------------------------------------------------------------------------------------


class _Found(NamedTuple):
    """Matching bugs: their source, the conditions on it, and the columns by which it can be sorted."""

    source: FromClause
    conditions: list[ColumnElement[bool]]
    columns: Mapping[str, ColumnElement[Any]]


_bugs = Bug.__table__
_documents = BugSearch.__table__
_BUG_COLUMNS: Mapping[str, ColumnElement[Any]] = dict(_bugs.c.items())


def _found(spec: QuerySpec, plan: Plan) -> _Found:
    if not spec.searching:
        return _listed(spec, plan)
    if spec.order in ("popular", "trending"):
        return _by_votes(spec, plan)
    if plan.tier and spec.words == 1:
        return _of_one_word(spec, plan)
    return _by_documents(spec, plan)


def _listed(spec: QuerySpec, plan: Plan) -> _Found:
    """Without a search: the table of bugs, by an index in the order of the list."""
    conditions = [LISTED, *_conditions(_bugs.c, spec)]
    if plan.deep_offset:
        conditions.append(_bugs.c.created_at < bindparam("since", type_=DateTime(timezone=True)))
    if plan.all_first:
        # OFFSET 0 keeps the planner from flattening the subquery, and so from scanning an index in the list's order.
        found = select(*(_bugs.c[name] for name in spec.keys)).where(*conditions).offset(0).subquery("found")
        return _Found(found, [], dict(found.c.items()))
    return _Found(_bugs, conditions, _BUG_COLUMNS)


def _by_votes(spec: QuerySpec, plan: Plan) -> _Found:
    """A search sorted by counts of votes, which the table of documents does not have."""
    if not plan.index_scan:
        source = _documents.join(_bugs, _bugs.c.id == _documents.c.bug_id)
        return _Found(source, _conditions(_documents.c, spec), _BUG_COLUMNS)
    # OFFSET 0 keeps the planner from flattening the subquery: it scans the index of votes and checks each document.
    found = (
        select(literal(1).label("one"))
        .where(_documents.c.bug_id == _bugs.c.id, *_conditions(_documents.c, spec, index_scan=True))
        .offset(0)
        .lateral()
    )
    return _Found(_bugs.join(found, true()), [LISTED], _BUG_COLUMNS)


def _by_documents(spec: QuerySpec, plan: Plan) -> _Found:
    """A search sorted by columns of the table of documents."""
    conditions = _conditions(_documents.c, spec, index_scan=plan.index_scan)
    if plan.tier:
        conditions.append(document_matches(_documents.c.document, f"tier_{plan.tier}"))
    columns: dict[str, ColumnElement[Any]] = {
        "created_at": _documents.c.created_at,
        "id": _documents.c.bug_id,
    }
    if spec.is_ranked:
        columns["score"] = _score(_documents.c.document, spec.words)
    return _Found(_documents, conditions, columns)


def _of_one_word(spec: QuerySpec, plan: Plan) -> _Found:
    """The tiers of one word: bugs in a tier but not in the one above have the same score, so no document is read."""
    document = _documents.c.document
    top = document_matches(document, f"tier_{next(iter(TIERS))}")
    parts = [_tier(spec, _score(document, 1), top)]
    for above, tier in pairwise(TIERS):
        if tier < plan.tier:
            break
        matches = (
            document_matches(document, f"tier_{tier}"),
            document_matches(document, f"not_tier_{above}"),
        )
        part = _tier(spec, literal_column(str(BEST_OUTSIDE[above])), *matches)
        parts += _newest_months(part) if plan.newest and tier == plan.tier else [part]
    found = union_all(*parts).subquery("found") if len(parts) > 1 else parts[0].subquery("found")
    columns = {"score": found.c.score, "created_at": found.c.created_at, "id": found.c.bug_id}
    return _Found(found, [], columns)


def _tier(spec: QuerySpec, score: ColumnElement[int], *matches: ColumnElement[bool]) -> Select[Any]:
    columns = (_documents.c.bug_id, _documents.c.created_at, score.label("score"))
    return select(*columns).where(*_conditions(_documents.c, spec), *matches)


def _newest_months(part: Select[Any]) -> list[Select[Any]]:
    """The part's newest `NEWEST_MONTHS`; bugs of the part that are left out are older with the same score, so they rank
    lower."""
    newest = select(_documents.c.created_month).order_by(
        _documents.c.created_at.desc(), _documents.c.bug_id.desc()
    )
    month = newest.limit(1).scalar_subquery()
    return [part.where(_documents.c.created_month == month - back) for back in range(NEWEST_MONTHS)]


# --- conditions -----------------------------------------------------------------------------------------------------

_BY_COLUMN = {
    "status": "status",
    "priority": "priority",
    "application_id": "application_id",
    "company_id": "assigned_company_id",
    "reporter_id": "reporter_id",
}
_BY_IDS = {"application_ids": "application_id", "company_ids": "assigned_company_id", "bug_ids": "id"}


def _conditions(columns: Any, spec: QuerySpec, *, index_scan: bool = False) -> list[ColumnElement[bool]]:
    """The conditions of a query spec, for a table with these columns."""
    conditions = [_filter(columns, name) for name in spec.filters]
    if spec.searching:
        matches = document_matches(columns.document, "search")
        # IS TRUE keeps the planner from using the search index, since the list is in the order of another one.
        conditions.append(matches.is_(true()) if index_scan else matches)
    return conditions


def _filter(columns: Any, name: str) -> ColumnElement[bool]:
    condition: ColumnElement[bool]
    if name == "tags":
        condition = columns.tags.contains(bindparam("tags", type_=ARRAY(Text)))
    elif name == "since":
        condition = columns.created_at >= bindparam("since", type_=DateTime(timezone=True))
    elif name in _BY_IDS:
        condition = getattr(columns, _BY_IDS[name]) == func.any(bindparam(name, type_=ARRAY(Uuid)))
    else:
        condition = getattr(columns, _BY_COLUMN[name]) == bindparam(name)
    return condition


def document_matches(document: Any, name: str) -> ColumnElement[bool]:
    """Whether a document matches the tsquery in the parameter of that name."""
    condition: ColumnElement[bool] = document.op("@@", is_comparison=True)(bindparam(name, type_=TSQUERY))
    return condition


def _score(document: Any, words: int) -> ColumnElement[int]:
    """Ten times the relevance: the sum of the weights of fields over words."""
    return _sum(
        {
            f"word_{i}_{label}": f"CASE WHEN ({document} @@ :word_{i}_{label}) THEN {weight} ELSE 0 END"
            for i in range(words)
            for label, weight in WEIGHTS.items()
        }
    )


def _sum(terms: Mapping[str, str]) -> ColumnElement[int]:
    """The sum of terms, given by the parameter of each; textual, since a tree of 96 terms takes 40 ms to compile."""
    tsqueries = (bindparam(name, type_=TSQUERY) for name in terms)
    return type_coerce(text(" + ".join(terms.values())).bindparams(*tsqueries), Integer)


# --- totals ---------------------------------------------------------------------------------------------------------


_SNAPSHOT = literal_column("pg_current_snapshot()::text", Text).label("snapshot")

# With the table's OID, which a restore changes: totals counted after the dump are void then.
ERA = literal_column("(SELECT era::text || '/' || tableoid FROM bug_search_era)", Text)

# The greatest xid8. As an upper bound it excludes nothing, but of a range with an unknown bound the planner expects
# 0.5 % of the rows instead of a third, so that the statement need not be planned for each snapshot.
_LAST_TRANSACTION: ColumnElement[str] = literal_column("'18446744073709551615'::xid8")


def _total(spec: QuerySpec, *, incremental: bool) -> Select[int, str, str]:
    """SELECT of the count, or of its change by the log since `:snapshot`, with the current snapshot and the era."""
    if incremental:
        return _change(spec.counted)
    return (
        select(func.count().label("total"), _SNAPSHOT, ERA.label("era"))
        .select_from(_documents)
        .where(*_conditions(_documents.c, spec.counted))
    )


def _change(spec: QuerySpec) -> Select[int, str, str]:
    log = bug_search_changes.c
    snapshot = cast(bindparam("snapshot", type_=Text), PgSnapshot())
    unseen = (
        log.transaction_id >= func.pg_snapshot_xmin(snapshot),
        log.transaction_id <= _LAST_TRANSACTION,
        ~func.pg_visible_in_snapshot(log.transaction_id, snapshot),
    )
    return (
        select(func.coalesce(func.sum(log.sign), 0).label("total"), _SNAPSHOT, ERA.label("era"))
        .select_from(bug_search_changes)
        .where(*unseen, *_conditions(log, spec))
    )


# --- lookups before a list ------------------------------------------------------------------------------------------


def _ids_as_text(key: Any, condition: ColumnElement[bool]) -> Query[str]:
    """SELECT of the matching ids as the text of an array: there may be thousands, which are only passed on."""
    ids = func.array_agg(aggregate_order_by(key, key))
    return Query(select(func.coalesce(cast(ids, Text), literal_column("'{}'"))).where(condition), str)


APPLICATION_IDS = _ids_as_text(Application.id, Application.name_key.like(bindparam("part")))

COMPANY_IDS = _ids_as_text(
    Company.id, func.lower(Company.name).like(func.lower(bindparam("part", type_=Text)))
)

# The bounds of the planner's histogram of `created_at`, with about as many bugs between each two, oldest first.
BOUNDS = Query(
    text(
        "SELECT bound FROM pg_stats s, unnest(s.histogram_bounds::text::timestamptz[]) AS bound"
        " WHERE s.schemaname = 'public' AND s.tablename = 'bug_search' AND s.attname = 'created_at' ORDER BY bound"
    ),
    datetime,
)


# --- bugs with some of the words --------------------------------------------------------------------------------------


@lru_cache(maxsize=CACHED_STATEMENTS)
def all_words_query(spec: QuerySpec) -> Query[str]:
    """The ids of the bugs with all words, up to `:limit`."""
    ids = select(cast(_documents.c.bug_id, Text)).where(*_conditions(_documents.c, spec))
    return Query(ids.limit(bindparam("limit", type_=Integer)), str)


@lru_cache(maxsize=CACHED_STATEMENTS)
def listed_query(filters: tuple[str, ...], *, required: bool) -> Query[str]:
    """The ids in `:ids` whose bugs pass the filters and, with `required`, match the tsquery `:required`."""
    conditions = [_filter(_documents.c, name) for name in filters]
    if required:
        conditions.append(document_matches(_documents.c.document, "required"))
    among = _documents.c.bug_id == any_(bindparam("ids", type_=ARRAY(Uuid)))
    return Query(select(cast(_documents.c.bug_id, Text)).where(among, *conditions), str)


@lru_cache(maxsize=CACHED_STATEMENTS)
def numbers_query(filters: tuple[str, ...]) -> Query[int]:
    """The document numbers, in the index of similar bugs, of the newest bugs that pass the filters and match `:rarest`;
    `MAX_NUMBERS` at most."""
    newest = (
        select(_documents.c.bug_id)
        .where(
            document_matches(_documents.c.document, "rarest"),
            *(_filter(_documents.c, name) for name in filters),
        )
        .order_by(_documents.c.created_at.desc())
        .limit(MAX_NUMBERS)
        .subquery("newest")
    )
    indexed = SimilarDocument.__table__
    return Query(select(indexed.c.no).join(newest, newest.c.bug_id == indexed.c.bug_id), int)
