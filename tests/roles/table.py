"""The role table of the documentation, read as tests use it, and the routes that the application has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litestar import Litestar

ROLES_PAGE = Path(__file__).parents[2] / "docs" / "api" / "roles.md"
ROLES = (
    "anonymous",
    "user",
    "reporter",
    "company reporter",
    "member",
    "company admin",
    "other company's admin",
    "banned user",
    "admin",
)
_HEADER = ["route", "on", *ROLES]
_ROUTE = re.compile(r"`([A-Z]+) (/\S*)`")


TENANTS = ("the tenant", "another tenant")


@dataclass(frozen=True)
class Row:
    """One route on one thing: `expected` is "ok" for 2xx, else the status, for each role.

    `tenant` is the one that the request names, by the end of the column "on": "the member, in another tenant".
    """

    method: str
    path: str
    thing: str
    tenant: str | None
    expected: dict[str, str]

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"

    def __str__(self) -> str:
        return " on ".join(filter(None, (self.route, self.thing, self.tenant)))


def documented_rows() -> list[Row]:
    """Every row of every table of the page that has the roles in its header."""
    return list(_rows(ROLES_PAGE.read_text().splitlines()))


def _rows(lines: list[str]) -> Iterator[Row]:
    in_table = False
    for line in lines:
        if not line.startswith("|"):
            in_table = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells == _HEADER:
            in_table = True
        elif in_table and not set(line) <= set("|-: "):
            route = _ROUTE.fullmatch(cells[0])
            assert route is not None, f"no route: {line}"
            assert len(cells) == len(_HEADER), f"{len(cells)} cells: {line}"
            expected = dict(zip(ROLES, cells[2:], strict=True))
            assert all(re.fullmatch(r"ok|[34]\d\d", cell) for cell in expected.values()), line
            yield Row(route[1], route[2], *_thing_and_tenant(cells[1]), expected)


def _thing_and_tenant(on: str) -> tuple[str, str | None]:
    if on in TENANTS:
        return "", on
    thing, _, tenant = on.rpartition(", in ")
    return (thing, tenant) if tenant in TENANTS else (on, None)


def served_routes(app: Litestar) -> dict[str, Any]:
    """Every handler by `METHOD /path/{name}`, but the OPTIONS that Litestar adds."""
    return {
        f"{method} {_plain(route.path)}": handler
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        for method in _methods(handler)
    }


def _methods(handler: Any) -> set[str]:
    return {str(method) for method in getattr(handler, "http_methods", ())} - {"OPTIONS"}


def _plain(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)
