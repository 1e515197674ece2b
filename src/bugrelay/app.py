"""The application: the routes of all deliveries, wrapped in the middleware that every request passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, cast

import msgspec
from litestar import Controller, Litestar, Request, Response
from litestar.datastructures import State
from litestar.types import ASGIApp

from bugrelay.api import feeds, issues, live, support, tickets, v1
from bugrelay.api.live.clients import Clients
from bugrelay.api.live.socket import LiveSockets
from bugrelay.bootstrap import build
from bugrelay.domain.accounts.service import authenticate
from bugrelay.domain.events.log import CHANNEL
from bugrelay.domain.events.repository import lag_seconds
from bugrelay.domain.live.service.connections import Connections
from bugrelay.domain.live.service.hub import Hub
from bugrelay.http.admission import Admission, RouteBuckets
from bugrelay.http.cors import Cors
from bugrelay.http.docs import DocsController
from bugrelay.http.draining import ClosesWhileDraining
from bugrelay.http.errors import EXCEPTION_HANDLERS
from bugrelay.http.guard import check_access
from bugrelay.http.handshake import Handshakes
from bugrelay.http.health import HealthController, SchemaCheck
from bugrelay.http.openapi import openapi_document
from bugrelay.http.options import allowed_methods, answer_options
from bugrelay.http.request import ApiRequest
from bugrelay.http.response_cache import ResponseCache
from bugrelay.http.response_middleware import ResponseMiddleware
from bugrelay.http.responses import to_json
from bugrelay.http.routes import check_routes, routes_of
from bugrelay.infra.lifecycle import Lifecycle
from bugrelay.infra.logging import configure_logging
from bugrelay.infra.platform import Platform
from bugrelay.infra.redis.rate_limits import LIMIT_NAMES
from bugrelay.infra.redis.subscription import Subscription
from bugrelay.infra.viewer import SignedInViewer
from bugrelay.settings import Settings, load_settings

MAX_BODY_BYTES = 1024 * 1024
# The only list of deliveries; the list of domains is in bootstrap.py, which workers use without HTTP.
DELIVERIES: tuple[tuple[type[Controller], ...], ...] = (
    (HealthController, DocsController),
    v1.CONTROLLERS,
    tickets.CONTROLLERS,
    issues.CONTROLLERS,
    support.CONTROLLERS,
    feeds.CONTROLLERS,
    live.CONTROLLERS,
)
CONTROLLERS: list[type[Controller]] = [controller for delivery in DELIVERIES for controller in delivery]


def create_app(settings: Settings, lifecycle: Lifecycle | None = None) -> Litestar:
    """The ASGI application of one server process. Nothing connects before the first request.

    Args:
        settings: The settings of the process.
        lifecycle: The lifecycle of the server that the process belongs to, if any.
    """
    platform = build(settings)
    lifecycle = lifecycle or Lifecycle()
    hub = _hub(platform, lifecycle)
    clients = Clients(platform.redis, settings.redis_url)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        await platform.start()
        clients.start()
        try:
            yield
        finally:
            await clients.stop()
            await hub.close()
            await platform.close()

    app = Litestar(
        request_class=ApiRequest,
        state=State(
            {
                "platform": platform,
                "lifecycle": lifecycle,
                "live": hub,
                "authenticate": _authenticate,
                "openapi": openapi_bytes,
                "schema": SchemaCheck(platform.database),
                "event_lag": lambda: lag_seconds(platform.database),
            }
        ),
        lifespan=[lifespan],
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    app.routes = registered().routes
    app.state.allowed_methods = allowed_methods(app)
    app.asgi_handler = _layers(platform, LiveSockets(platform, hub, clients), lifecycle)
    return app


@lru_cache(maxsize=1)
def registered() -> Litestar:
    """All routes, with their contracts checked. They depend on no setting, so all applications of a process share them.

    Registering them takes Litestar a tenth of a second. This object has no state: `request.app` is the application
    that received the request.

    Raises:
        RouteError: The contract of a route is invalid.
    """
    routes = Litestar(
        route_handlers=[*CONTROLLERS],
        request_class=ApiRequest,
        before_request=_check_or_answer,
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    check_routes(routes_of(routes), LIMIT_NAMES)
    return routes


async def _check_or_answer(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Litestar's `before_request`: the guard, or the response to OPTIONS, which Litestar adds to every path.

    It is not one of Litestar's guards, because Litestar copies the route handler, with 66 attributes, for each call of
    one.
    """
    if request.method == "OPTIONS":
        return answer_options(request)
    await check_access(cast("ApiRequest", request))
    return None


@lru_cache(maxsize=1)
def openapi_bytes() -> bytes:
    """The OpenAPI document as JSON, generated at first use."""
    return msgspec.json.encode(openapi_document(routes_of(registered())))


def served_app(lifecycle: Lifecycle) -> Litestar:
    """The application of a server process."""
    configure_logging()
    return create_app(load_settings(), lifecycle)


async def _authenticate(request: ApiRequest, token: str) -> SignedInViewer:
    platform = request.platform
    return await authenticate(token, reader=platform.database, tokens=platform.tokens)


def _hub(platform: Platform, lifecycle: Lifecycle) -> Hub:
    """The hub, which reads the event log for all live connections of this process."""
    settings = platform.settings
    return Hub(
        platform.database,
        connections=Connections(
            max_total=settings.live_connections, max_of_address=settings.live_connections_per_address
        ),
        encode=to_json,
        notifications=lambda notify: Subscription(settings.redis_url, f"{CHANNEL}*", notify).listen(),
        is_stopping=lambda: lifecycle.is_draining,
    )


def _layers(platform: Platform, sockets: LiveSockets, lifecycle: Lifecycle) -> ASGIApp:
    """Outermost first: sockets, draining, response cache, response middleware, CORS, admission, the routes."""
    routes = registered()
    limits = RouteBuckets(routes_of(routes), platform.buckets)
    admission = Admission(routes.asgi_handler, platform, limits)
    origins = platform.settings.cors_allow_origins
    asgi: ASGIApp = Cors(admission, origins) if origins else admission
    cached = ResponseCache(ResponseMiddleware(asgi), admission, platform)
    draining = ClosesWhileDraining(cached, lifecycle)
    return Handshakes(draining, sockets.serve, admission, settings=platform.settings, lifecycle=lifecycle)
