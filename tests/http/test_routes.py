"""A route's contract is held against its handler and the rate limits when the application is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from litestar import Controller, Litestar, Response, get

from bugrelay.domain.bugs.schemas import BugQuery
from bugrelay.http.request import ApiRequest
from bugrelay.http.routes import Route, RouteError, anyone, check_routes, routes_of, users
from bugrelay.infra.pagination import PageQuery
from bugrelay.infra.platform import open_platform
from bugrelay.infra.redis.rate_limits import LimitName
from bugrelay.infra.viewer import SignedInViewer, Viewer
from bugrelay.settings import Settings
from tests.conftest import StartApp


@dataclass
class Thing:
    """What a loader of these tests loads."""


async def load_thing(_request: ApiRequest) -> Thing:
    return Thing()


def started(settings: Settings, *controllers: type[Controller]) -> None:
    """The check that `create_app` runs."""
    app = Litestar(controllers, request_class=ApiRequest, openapi_config=None, logging_config=None)
    check_routes(routes_of(app), open_platform(settings).buckets)


def problem_of(settings: Settings, controller: type[Controller]) -> str:
    with pytest.raises(RouteError) as caught:
        started(settings, controller)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_handler_that_asks_for_what_its_route_gives_is_fine(settings: Settings) -> None:
    class Things(Controller):
        @get("/things/{thing_id:str}/{name:str}")
        @Route(access=users(), loads=load_thing, query=PageQuery, limits=("mail",))
        async def get_thing(
            self,
            request: ApiRequest,
            viewer: SignedInViewer,
            thing: Thing,
            thing_id: UUID,
            name: str,
            query: PageQuery,
        ) -> Response[None]:
            return Response(None)

    started(settings, Things)


def test_a_route_without_an_access_rule_does_not_start(settings: Settings) -> None:
    class Bare(Controller):
        @get("/bare")
        async def get_bare(self) -> Response[None]:
            return Response(None)

    assert "get_bare: has no Route" in problem_of(settings, Bare)


def test_an_unknown_rate_limit_does_not_start(settings: Settings) -> None:
    class Unlimited(Controller):
        @get("/unlimited")
        @Route(access=anyone(), limits=cast("tuple[LimitName, ...]", ("bug_submissions",)))
        async def get_unlimited(self) -> Response[None]:
            return Response(None)

    assert "there is no rate limit bug_submissions" in problem_of(settings, Unlimited)


def test_a_handler_that_asks_for_another_type_than_is_loaded_does_not_start(settings: Settings) -> None:
    class Mismatch(Controller):
        @get("/mismatch")
        @Route(access=anyone(), loads=load_thing)
        async def get_mismatch(self, thing: dict[str, Any]) -> Response[None]:
            return Response(None)

    class Unloaded(Controller):
        @get("/unloaded")
        @Route(access=anyone())
        async def get_unloaded(self, thing: Thing) -> Response[None]:
            return Response(None)

    assert "asks for thing: dict, the route loads Thing" in problem_of(settings, Mismatch)
    assert "asks for thing: Thing, the route loads nothing" in problem_of(settings, Unloaded)


def test_a_handler_that_asks_for_what_nobody_reads_does_not_start(settings: Settings) -> None:
    class Astray(Controller):
        @get("/astray")
        @Route(access=anyone(), query=PageQuery)
        async def get_astray(self, query: BugQuery, viewer: SignedInViewer, thing_id: UUID) -> Response[None]:
            return Response(None)

    problem = problem_of(settings, Astray)
    assert "asks for a query of BugQuery, the route reads PageQuery" in problem
    assert "asks for a viewer who is SignedInViewer, the route is for anyone" in problem
    assert "asks for thing_id, which is not in /astray" in problem


def test_a_route_that_its_change_checks_is_for_the_signed_in(settings: Settings) -> None:
    class Unproven(Controller):
        @get("/unproven")
        @Route(access=anyone(), checked_by_change=True)
        async def get_unproven(self) -> Response[None]:
            return Response(None)

    class Preloaded(Controller):
        @get("/preloaded")
        @Route(access=users(), loads=load_thing, checked_by_change=True)
        async def get_preloaded(self, thing: Thing) -> Response[None]:
            return Response(None)

    assert "is checked by its change, and open to the anonymous" in problem_of(settings, Unproven)
    assert "asks for thing: Thing, the route loads nothing" in problem_of(settings, Preloaded)


def test_a_limit_that_is_turned_off_is_known_all_the_same(settings: Settings) -> None:
    buckets: Mapping[LimitName, Any] = dict.fromkeys(open_platform(settings).buckets)

    class Limited(Controller):
        @get("/limited")
        @Route(access=anyone(), limits=("sign_in",))
        async def get_limited(self, viewer: Viewer) -> Response[None]:
            return Response(None)

    app = Litestar([Limited], request_class=ApiRequest, openapi_config=None, logging_config=None)
    check_routes(routes_of(app), buckets)


async def test_applications_of_one_process_share_their_routes_and_nothing_else(start_app: StartApp) -> None:
    async with start_app(site_name="One") as one, start_app(site_name="Two") as two:
        names = [(await visitor.get("/api/v1/config")).json()["site_name"] for visitor in (one, two, one)]
    assert names == ["One", "Two", "One"]


# --- OPTIONS --------------------------------------------------------------------------------------------------------


async def test_options_names_every_method_of_a_path_as_405_does(client: httpx.AsyncClient) -> None:
    app = client._transport.app  # type: ignore[attr-defined]
    paths = {path for path, _ in routes_of(app)}
    for path in sorted(paths):
        address = path
        for name in ("bug", "company", "application", "comment", "attachment", "session", "user"):
            address = address.replace(f"{{{name}_id:str}}", "0190a2b4-7d1e-7000-8000-000000000000")
        address = address.replace("{name:str}", "name")
        options = await client.options(address)
        assert options.status_code == 204, path
        refused = await client.request("BREW", address)
        assert refused.status_code == 405, path
        assert options.headers["allow"] == refused.headers["allow"], path
