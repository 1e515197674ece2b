"""Everything that can be read, as one role reads it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from itertools import product
from uuid import uuid4

import httpx
from litestar import Litestar

from tests.roles.table import served_routes
from tests.roles.world import World

CANARY = "canary7f3a"  # in every secret of canaries.sql, and in nothing that anybody may see


async def crawl(world: World, app: Litestar, role: str) -> AsyncIterator[httpx.Response]:
    """Every GET with every id that there is, and some ids that there are not."""
    for path in _get_paths(app):
        names = re.findall(r"\{(\w+)\}", path)
        for values in product(*(_ids(world, name) for name in names)):
            url = path.format_map(dict(zip(names, values, strict=True)))
            yield await world.client.get(url, headers=world.headers(role), params={"limit": 100})


def _get_paths(app: Litestar) -> list[str]:
    return [route.partition(" ")[2] for route in served_routes(app) if route.startswith("GET ")]


def _ids(world: World, name: str) -> list[str]:
    """All that could stand at this place of a path."""
    if name == "file":
        return [f"{bug_id}.atom" for bug_id in _ids(world, "bug_id")]
    kind = {"name": "file"}.get(name, name.removesuffix("_id"))
    if kind == "user":
        return [*(person.id for person in world.people.values()), str(uuid4())]
    return [*(value for key, value in world.ids.items() if kind in key), str(uuid4()), CANARY]
