"""Every route with every role, compared with the one table in docs/api/roles.md."""

from __future__ import annotations

import httpx
import pytest
from litestar import Litestar

from tests.roles.calls import arguments, path_values
from tests.roles.table import ROLES, Row, documented_rows, served_routes
from tests.roles.world import World, all_rows

ROWS = documented_rows()
DONE = ("ok", "302")


def test_the_table_names_every_route_and_no_other(roles_app: Litestar) -> None:
    documented = {row.route for row in ROWS}
    served = set(served_routes(roles_app))
    assert served - documented == set(), "missing in docs/api/roles.md"
    assert documented - served == set(), "in docs/api/roles.md, but not served"


def test_no_row_is_there_twice() -> None:
    keys = [(row.route, row.thing) for row in ROWS]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_each_role_is_answered_as_documented(world: World, row: Row) -> None:
    """Refusals first, on one and the same world: none of them may change a row of any table."""
    before = all_rows(world.sql)
    answered: dict[str, str] = {}
    for role in (role for role in ROLES if row.expected[role] not in DONE):
        response = await _call(world, row, role)
        answered[role] = _class_of(response)
        changed = {table for table, rows in all_rows(world.sql).items() if rows != before[table]}
        assert changed == set(), f"{role} was answered {response.status_code}, and yet these tables changed"
    for role in (role for role in ROLES if row.expected[role] in DONE):
        answered[role] = _class_of(await _call(world, row, role))
        if all_rows(world.sql) != before:
            world.put_back()
    assert answered == row.expected


async def _call(world: World, row: Row, role: str) -> httpx.Response:
    path = row.path.format_map(path_values(world, row.thing, role))
    more = arguments(world, row.route, role)
    headers = world.headers(role) | more.pop("headers", {})
    return await world.client.request(row.method, path, headers=headers, **more)


def _class_of(response: httpx.Response) -> str:
    return "ok" if response.is_success else str(response.status_code)
