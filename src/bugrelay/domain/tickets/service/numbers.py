"""Numbers of tickets: dense in their project, and within each year if the scheme counts by year.

The statement that takes a number locks the row of `ticket_numbers` until the COMMIT. So it comes after all other locks
except those of the event log, and a rollback releases its number.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    Boolean,
    ColumnElement,
    FromClause,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    column,
    extract,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from bugrelay.domain.tickets.models import TicketNumber
from bugrelay.domain.tickets.visibility import COMPANY_ID

_YEAR = cast(extract("year", func.timezone("UTC", func.now())), Integer)


def schemes_table() -> FromClause:
    """`schemes.as_rows()`, the parameter `schemes`, as a table: schemes are not stored in the database."""
    return (
        func.jsonb_to_recordset(bindparam("schemes", type_=JSONB))
        .table_valued(
            column("name", Text),
            column("status", Text),
            column("category", Text),
            column("kind", Text),
            column("first_number", Integer),
            column("by_year", Boolean),
            column("number_width", Integer),
            name="scheme",
        )
        .render_derived(with_types=True)
    )


def next_number(project: CTE) -> CTE:
    """Takes the next number of each row of `project`, which has `id`, `first_number` and `by_year`."""
    year = case((project.c.by_year, _YEAR), else_=0)
    first = select(COMPANY_ID, project.c.id, year, project.c.first_number)
    taking = insert(TicketNumber).from_select(["company_id", "project_id", "year", "last_number"], first)
    return (
        taking.on_conflict_do_update(
            index_elements=["company_id", "project_id", "year"],
            set_={"last_number": TicketNumber.last_number + 1},
        )
        .returning(TicketNumber.year, TicketNumber.last_number)
        .cte("number")
    )


def key_of(project: CTE, number: CTE) -> ColumnElement[str]:
    """The key: the project's key, the year if the scheme counts by it, and the number; `project` has `number_width`."""
    dash: ColumnElement[Any] = literal_column("'-'")
    digits = cast(number.c.last_number, Text)
    width = func.greatest(project.c.number_width, func.length(digits))
    padded = func.lpad(digits, width, literal_column("'0'"))
    year = case((project.c.by_year, dash.concat(cast(number.c.year, Text))), else_=literal_column("''"))
    return project.c.key.concat(year).concat(dash).concat(padded)
