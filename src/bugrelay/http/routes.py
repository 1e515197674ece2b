"""The contract of a route, in one declaration beside its handler.

    @get("/{bug_id:str}/history")
    @Route(access=anyone(), loads=load_visible_bug, query=PageQuery)
    async def list_bug_history(self, request: ApiRequest, bug: BugState, query: PageQuery) -> Response[HistoryList]:

The guard (http/guard.py), admission (http/admission.py) and the OpenAPI document (http/openapi.py) read it. The
handler's parameters say what it gets, and `check_routes` compares them with the contract when the application is
created: `request` and `data` come from Litestar, `query` is read by `Route.query`, `viewer` is the caller, the name of
a path parameter has its value (a UUID for an id), and any other parameter gets what `Route.loads` has loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, get_type_hints
from uuid import UUID

import msgspec
from litestar import Litestar
from litestar.handlers.base import BaseRouteHandler
from litestar.handlers.http_handlers import HTTPRouteHandler

from bugrelay.http.request import ApiRequest
from bugrelay.infra.redis.rate_limits import LimitName
from bugrelay.infra.viewer import SignedInViewer, Viewer

Loader = Callable[[ApiRequest], Awaitable[Any]]
Reading = Callable[[ApiRequest], Any]
Handler = Callable[..., Awaitable[Any]]


class RouteError(Exception):
    """Routes with an invalid contract; the text names each of them and its problem."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may call a route.

    Attributes:
        role: The text in the role table of the docs: "anyone", "users", "admins", or whom the route's loader permits.
        signed_in: Whether anonymous requests are refused.
        admin: Whether everybody except system admins is refused.
        verified: Whether REQUIRE_VERIFIED_EMAIL requires a verified address here.
        same_for_all: Whether the response is the same for everybody, so that there is no reason to send a credential.
        tenant: Whether it is about a tenant, which X-Company-ID or `?company=` names (api/tenant.py).
    """

    role: str
    signed_in: bool = True
    admin: bool = False
    verified: bool = False
    same_for_all: bool = False
    tenant: bool = False


def anyone(*, same_for_all: bool = False, tenant: bool = False) -> Access:
    return Access(role="anyone", signed_in=False, same_for_all=same_for_all, tenant=tenant)


def users(role: str = "users", *, verified: bool = False) -> Access:
    """Signed-in users; `role` says which of them, if the route's loader refuses others."""
    return Access(role=role, verified=verified)


def tenant_users(role: str = "a company's reporters, members and admins") -> Access:
    """Signed-in users of a tenant; `role` says which of them. The route's loader finds the tenant (api/tenant.py)."""
    return Access(role=role, tenant=True)


def admins() -> Access:
    return Access(role="admins", admin=True)


@dataclass(frozen=True)
class Example:
    """A request and a response of a route, as JSON values; a test validates both by the route's structs."""

    response: Any
    request: Any = None


@dataclass(frozen=True, kw_only=True)
class Route:
    """The contract of a route; decorates the handler, below Litestar's own decorator.

    Attributes:
        access: Who may call it.
        loads: Loads what the path names, before the body is read; raises if it is missing or not for this viewer. The
            handler gets the result as a parameter of the same type.
        checked_by_change: Whether the statement of the handler's change checks, as a condition, what the guard checks
            on other routes: session, account, what the path names. The guard then reads only the token, so the viewer
            has ids and no rights, and the handler calls `check_in_full` if the change was refused.
        limits: Its rate limits besides the general one.
        query: The struct of its query parameters.
        idempotent: Whether it accepts an Idempotency-Key.
        reads: The struct of a body that the handler reads itself, since it may be JSON or, with `upload`, a form that
            has this JSON in its part `report`.
        upload: The form field of an uploaded file.
        upload_type: The media type of that file.
        media_types: The media types of its response; anything but JSON is sent unchanged.
        example: The example in the documentation.
        errors: Statuses of errors besides the usual ones.
        also: A further status with the same body.
    """

    access: Access
    loads: Loader | None = None
    checked_by_change: bool = False
    limits: tuple[LimitName, ...] = ()
    query: type[msgspec.Struct] | None = None
    idempotent: bool = False
    reads: type[msgspec.Struct] | None = None
    upload: str | None = None
    upload_type: str = "image/*"
    media_types: tuple[str, ...] = ("application/json",)
    example: Example | None = None
    errors: tuple[int, ...] = ()
    also: tuple[int, ...] = ()

    def __call__(self, handler: Handler) -> Handler:
        """The handler as Litestar calls it: only with the request and the body."""
        hints = get_type_hints(handler, include_extras=True)
        readings, problems = _readings(self, handler, hints)

        @wraps(handler)
        async def handle(*args: Any, request: ApiRequest, **body: Any) -> Any:
            named = {name: read(request) for name, read in readings}
            return await handler(*args, **named, **body)

        signature = inspect.signature(handler)
        shown = [p for p in signature.parameters.values() if p.name in ("self", "data")]
        request = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=ApiRequest)
        handle.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*shown, request], return_annotation=signature.return_annotation
        )
        handle.__annotations__ = {
            "request": ApiRequest,
            **{name: hint for name, hint in hints.items() if name in ("data", "return")},
        }
        handle.contract = _Contract(self, hints, problems)  # type: ignore[attr-defined]
        return handle


@dataclass(frozen=True)
class _Contract:
    """A route, the types of its handler's parameters, and the problems of these."""

    route: Route
    hints: Mapping[str, Any]
    problems: tuple[str, ...]


def _readings(
    route: Route, handler: Handler, hints: dict[str, Any]
) -> tuple[list[tuple[str, Reading]], tuple[str, ...]]:
    """For each parameter of the handler, a function that reads it from a request; and problems with parameters."""
    readings: list[tuple[str, Reading]] = []
    problems: list[str] = []
    for name in inspect.signature(handler).parameters:
        if name in ("self", "data"):
            continue
        try:
            readings.append((name, _reading(route, name, hints.get(name))))
        except RouteError as error:
            problems.append(str(error))
    return readings, tuple(problems)


def _reading(route: Route, name: str, hint: Any) -> Reading:
    if name == "request":
        return lambda request: request
    if name == "query":
        return _query_reading(route, hint)
    if name == "viewer":
        return _viewer_reading(route, hint)
    if hint is UUID:
        return lambda request: request.path_id(name)
    if hint is str:
        return lambda request: request.path_params[name]
    return _loaded_reading(route, name, hint)


def _query_reading(route: Route, hint: Any) -> Reading:
    if hint is not route.query or hint is None:
        raise RouteError(f"asks for a query of {_name(hint)}, the route reads {_name(route.query)}")
    return lambda request: request.read_query(hint)


def _viewer_reading(route: Route, hint: Any) -> Reading:
    if hint is not Viewer and (hint is not SignedInViewer or not route.access.signed_in):
        raise RouteError(f"asks for a viewer who is {_name(hint)}, the route is for {route.access.role}")
    return lambda request: request.viewer


def _loaded_reading(route: Route, name: str, hint: Any) -> Reading:
    loaded = (
        None if route.loads is None or route.checked_by_change else get_type_hints(route.loads).get("return")
    )
    if hint is None or hint != loaded:
        raise RouteError(f"asks for {name}: {_name(hint)}, the route loads {_name(loaded)}")
    return lambda request: request.loaded


def _name(kind: Any) -> str:
    return "nothing" if kind in (None, type(None)) else getattr(kind, "__name__", str(kind))


def route_of(handler: BaseRouteHandler) -> Route:
    """The contract of a handler.

    Raises:
        RouteError: It has none.
    """
    contract: _Contract | None = getattr(handler.fn, "contract", None)
    if contract is None:
        raise RouteError(f"{handler} has no Route, and so no access rule")
    return contract.route


def routes_of(app: Litestar) -> list[tuple[str, HTTPRouteHandler]]:
    """All handlers with their paths, except OPTIONS, which Litestar adds to each path, without a contract."""
    return [
        (route.path, handler)
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler) and not is_options(handler)
    ]


def is_options(handler: BaseRouteHandler) -> bool:
    return isinstance(handler, HTTPRouteHandler) and handler.http_methods == {"OPTIONS"}


def check_routes(routes: Iterable[tuple[str, HTTPRouteHandler]], limits: Collection[LimitName]) -> None:
    """Check the contracts of all routes, at startup.

    Args:
        routes: All handlers with their paths.
        limits: The known rate limits.

    Raises:
        RouteError: Some contracts are invalid; the text names all of them.
    """
    problems = [
        f"{handler}: {problem}" for path, handler in routes for problem in _problems(path, handler, limits)
    ]
    if problems:
        raise RouteError("; ".join(problems))


def _problems(path: str, handler: HTTPRouteHandler, limits: Collection[LimitName]) -> list[str]:
    contract: _Contract | None = getattr(handler.fn, "contract", None)
    if contract is None:
        return ["has no Route, and so no access rule"]
    unlimited = [f"there is no rate limit {name}" for name in contract.route.limits if name not in limits]
    unnamed = [
        f"asks for {name}, which is not in {path}"
        for name, hint in contract.hints.items()
        if hint in (UUID, str) and f"{{{name}:str}}" not in path
    ]
    unproven = contract.route.checked_by_change and not contract.route.access.signed_in
    late = ["is checked by its change, and open to the anonymous"] if unproven else []
    return [*contract.problems, *unlimited, *unnamed, *late]
