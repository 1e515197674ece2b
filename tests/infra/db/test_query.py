"""Rows by name: what a statement gives becomes what its reader was promised, or nothing runs at all."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    Integer,
    bindparam,
    column,
    literal,
    literal_column,
    select,
    text,
    union_all,
    update,
    values,
)

from bugrelay.domain.accounts.models import User
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.platform import Platform

COLOURS = values(column("name"), column("weight", Integer), name="colours").data([("red", 1), ("blue", 2)])


class Colour(Row):
    name: str
    weight: int


async def _rows(reader: Reader) -> list[Colour]:
    found = await reader.rows(Query(select(COLOURS).order_by(COLOURS.c.weight), Colour))
    return list(found)


async def test_columns_become_fields(platform: Platform) -> None:
    assert await _rows(platform.database) == [Colour("red", 1), Colour("blue", 2)]


async def test_every_reader_gives_the_same_rows(platform: Platform) -> None:
    expected = [Colour("red", 1), Colour("blue", 2)]
    async with platform.database.reading() as connection:
        assert await _rows(connection) == expected
    async with platform.work() as work:
        assert await _rows(work) == expected
    assert await _rows(platform.database.autocommit) == expected


async def test_a_single_column_is_its_value(platform: Platform) -> None:
    doubled = Query(select(literal_column("n * 2")).select_from(text("generate_series(1, 3) AS n")), int)
    assert await platform.database.rows(doubled) == [2, 4, 6]
    assert await platform.database.row(doubled) == 2


async def test_no_row_is_none(platform: Platform) -> None:
    nothing = Query(select(COLOURS).where(COLOURS.c.name == bindparam("name")), Colour)
    assert await platform.database.row(nothing, {"name": "no such colour"}) is None


@pytest.mark.parametrize(
    "statement",
    [
        select(COLOURS.c.weight, COLOURS.c.name),
        select(COLOURS.c.name),
        select(COLOURS, literal(True).label("warm")),
        select(COLOURS.c.name, COLOURS.c.weight.label("mass")),
        union_all(select(COLOURS.c.weight, COLOURS.c.name), select(COLOURS.c.weight, COLOURS.c.name)),
        update(User).values(username="red").returning(User.username),
    ],
    ids=["another order", "one too few", "one too many", "another name", "union", "returning"],
)
def test_columns_that_are_not_the_fields_are_refused_when_compiled(statement) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError, match="Colour"):
        Query(statement, Colour)


def test_struct_that_takes_no_values_by_position_is_refused() -> None:
    class Named(Row, kw_only=True):
        name: str
        weight: int

    with pytest.raises(TypeError, match="Named takes no values by position"):
        Query(select(COLOURS), Named)


def test_two_columns_are_no_single_value() -> None:
    with pytest.raises(TypeError, match="int"):
        Query(select(COLOURS), int)


async def test_statement_in_text_is_checked_when_it_runs(platform: Platform) -> None:
    right = Query(text("SELECT 'red' AS name, 1 AS weight"), Colour)
    assert await platform.database.row(right) == Colour("red", 1)
    wrong = Query(text("SELECT 1 AS weight, 'red' AS name"), Colour)
    for _ in range(2):
        with pytest.raises(TypeError, match="weight, name"):
            await platform.database.row(wrong)
