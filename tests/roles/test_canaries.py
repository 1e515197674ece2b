"""Secrets are planted in every private column; a crawl of all that can be read finds none of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from litestar import Litestar

from tests.conftest import TEST_ENVIRONMENT
from tests.roles.crawl import CANARY, crawl
from tests.roles.table import served_routes
from tests.roles.world import World

STRANGERS = ("anonymous", "user", "other company's admin")


@pytest.fixture
def planted(world: World) -> World:
    """As a replica, the session fires no triggers: the audit log takes no other change."""
    with world.sql.transaction():
        world.sql.execute("SET LOCAL session_replication_role = replica")
        world.sql.execute(Path(__file__).with_name("canaries.sql").read_bytes())
    return world


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_a_stranger_reads_no_secret(planted: World, roles_app: Litestar, stranger: str) -> None:
    secrets = _secrets(planted, roles_app)
    found = []
    async for response in crawl(planted, roles_app, stranger):
        text = f"{response.headers}\n{response.text}"
        found += [f"{response.request.url}: {name}" for name, secret in secrets.items() if secret in text]
    assert found == []


async def test_those_who_may_see_the_secrets_do(planted: World, roles_app: Litestar) -> None:
    """The crawl itself works: it finds the planted secrets for users who may see them."""
    readers = {"admin": "/api/v1/admin/", "reporter": "/api/v1/bugs/", "member": "/api/v1/companies/"}
    for role, place in readers.items():
        paths = [r.request.url.path async for r in crawl(planted, roles_app, role) if CANARY in r.text]
        assert any(path.startswith(place) for path in paths), role


async def test_a_secret_cannot_be_searched_for(planted: World, roles_app: Litestar) -> None:
    for path, field in _text_filters(roles_app):
        response = await planted.client.get(path, params={field: CANARY})
        assert response.json()["pagination"]["total"] == 0, (path, field)


def _secrets(world: World, app: Litestar) -> dict[str, str]:
    """By what they are; a secret of the crawler's own is not in any answer, either, but for what signs in."""
    settings = app.state.platform.settings
    tokens = {f"refresh token of {role}": person.refresh_token for role, person in world.people.items()}
    return {
        "a planted secret": CANARY,
        "a password hash": "$argon2",
        "the signing key": TEST_ENVIRONMENT["SECRET_KEY"],
        "the database": settings.database_url,
        "a path of the machine": str(settings.bugrelay_home),
        **tokens,
        **{f"mailed link: {name}": token for name, token in world.links.items()},
    }


def _text_filters(app: Litestar) -> Iterator[tuple[str, str]]:
    """Query parameters of public lists that look into text."""
    for route, handler in served_routes(app).items():
        struct = handler.opt.get("query")
        if struct is not None and not handler.opt["access"].signed_in and "{" not in route:
            for field in msgspec.structs.fields(struct):
                if field.name in ("search", "application", "company", "tags"):
                    yield route.partition(" ")[2], field.name
