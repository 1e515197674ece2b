"""Every route with every role, compared with the one table in docs/api/roles.md."""

from __future__ import annotations

import httpx
import pytest
from litestar import Litestar

from bugrelay.http.routes import route_of
from tests.roles.calls import call
from tests.roles.table import ROLES, TENANTS, Row, documented_rows, served_routes
from tests.roles.world import World, all_rows

ROWS = documented_rows()
DONE = ("ok", "302")


def test_the_table_names_every_route_and_no_other(roles_app: Litestar) -> None:
    documented = {row.route for row in ROWS}
    served = set(served_routes(roles_app))
    assert served - documented == set(), "missing in docs/api/roles.md"
    assert documented - served == set(), "in docs/api/roles.md, but not served"


def test_no_row_is_there_twice() -> None:
    keys = [str(row) for row in ROWS]
    assert len(keys) == len(set(keys))


def test_each_route_of_a_tenant_is_called_in_ones_own_and_in_another(roles_app: Litestar) -> None:
    called = {(row.route, row.tenant) for row in ROWS}
    routes = [name for name, handler in served_routes(roles_app).items() if route_of(handler).access.tenant]
    assert {(route, tenant) for route in routes for tenant in TENANTS} - called == set()


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_each_role_is_answered_as_documented(world: World, row: Row) -> None:
    """Refusals first, on one and the same world: none of them may change a row of any table."""
    before = all_rows(world.sql)
    answered: dict[str, str] = {}
    for role in (role for role in ROLES if row.expected[role] not in DONE):
        response = await call(world, row, role)
        answered[role] = _class_of(response)
        changed = {table for table, rows in all_rows(world.sql).items() if rows != before[table]}
        assert changed == set(), f"{role} was answered {response.status_code}, and yet these tables changed"
    for role in (role for role in ROLES if row.expected[role] in DONE):
        answered[role] = _class_of(await call(world, row, role))
        if all_rows(world.sql) != before:
            world.put_back()
    assert answered == row.expected


def _class_of(response: httpx.Response) -> str:
    return "ok" if response.is_success else str(response.status_code)
