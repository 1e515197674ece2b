"""Keyset pagination: a page begins after the keys of a row, which an index finds at once, however deep the page is.

All keys of a list have the same direction, so that a page can begin after any row (`:after_<key>`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Subquery,
    Text,
    bindparam,
    cast,
    literal_column,
    null,
    select,
    true,
    tuple_,
)

Keys = Mapping[str, ColumnElement[Any]]


def page_of_keys(
    source: FromClause,
    *,
    keys: Keys,
    conditions: Iterable[ColumnElement[bool]],
    ascending: bool,
    is_after: bool,
    within: int | None = None,
) -> Subquery:
    """SELECT of the keys of a page, in its order: `:limit` rows from `:offset`, with `is_after` after the keys of a
    row.

    `within` is a constant upper bound of limit and offset together, with which PostgreSQL plans the statement once: it
    estimates that a LIMIT without a known value returns a tenth of the rows, so it would plan each page for its values.
    """
    columns = tuple_(*keys.values())
    row = tuple_(*(bindparam(f"after_{name}", type_=key.type) for name, key in keys.items()))
    after = [columns > row if ascending else columns < row] if is_after else []
    rows = (
        select(*(key.label(name) for name, key in keys.items()))
        .select_from(source)
        .where(*conditions, *after)
        .order_by(*_order(keys.values(), ascending=ascending))
    )
    if within is not None:
        near = rows.limit(literal_column(str(within))).subquery("near")
        rows = select(near).order_by(*_order(near.c, ascending=ascending))
    limit, offset = bindparam("limit", type_=Integer), bindparam("offset", type_=Integer)
    return rows.limit(limit).offset(offset).subquery("page")


def rows_of_page(
    page: Subquery,
    *,
    columns: Sequence[str],
    ascending: bool,
    beside: Subquery | None = None,
    as_text: Sequence[str] = (),
) -> Select[Any]:
    """SELECT of these columns of a page in its order; NULL for columns that the page does not have.

    Args:
        page: The result of `page_of_keys`.
        columns: The keys of all orders of the list.
        ascending: The direction of the page.
        beside: One row to join to each row of the page; returned alone where the page is empty.
        as_text: Columns to cast to text.
    """
    shown = [page.c[name] if name in page.c else null().label(name) for name in columns]
    shown = [cast(one, Text).label(one.name) if one.name in as_text else one for one in shown]
    order = _order(page.c, ascending=ascending)
    if beside is None:
        return select(*shown).select_from(page).order_by(*order)
    return select(*shown, *beside.c).select_from(beside.outerjoin(page, true())).order_by(*order)


def _order(keys: Iterable[ColumnElement[Any]], *, ascending: bool) -> list[ColumnElement[Any]]:
    return [key.asc() if ascending else key.desc() for key in keys]
