"""The one guard: it checks who may call a route, by the route's contract (http/routes.py).

The order of checks is fixed: authentication, ids in the path, existence, permission, content type; the body is read
after that. Rate limits are checked before, in http/admission.py. On routes for admins only, permission is checked
before existence, so that nobody else learns what exists.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from litestar.handlers.http_handlers import HTTPRouteHandler

from bugrelay.errors import (
    AuthRequired,
    EmailNotVerified,
    InsufficientPermissions,
    InvalidToken,
    PayloadTooLarge,
)
from bugrelay.http.request import ApiRequest, has_body
from bugrelay.http.routes import route_of
from bugrelay.infra.client_address import parsed_address
from bugrelay.infra.db.database import bulkhead
from bugrelay.infra.ids import parse_id
from bugrelay.infra.request_origin import Origin, origin
from bugrelay.infra.viewer import ANONYMOUS, SignedInViewer, Viewer

Authenticate = Callable[[ApiRequest, str], Awaitable[SignedInViewer]]


async def check_access(request: ApiRequest) -> None:
    """The one guard of the application, called before the handler's parameters are read."""
    handler = request.route_handler
    route = route_of(handler)
    agents = request.header_values(b"user-agent")
    origin.set(Origin.of(request.client_address, agents[0] if agents else None))
    bulkhead.set(f"{request.method} {request.scope['path_template']}")
    if route.checked_by_change and _names_ids(request):
        request.scope["user"] = _named_by_token(request)
    else:
        await check_in_full(request)
    _check_body(request, handler)


async def check_in_full(request: ApiRequest) -> None:
    """Check everything that the route's contract requires, in the fixed order.

    For a route that is `checked_by_change`, its handler calls this after a refused change, to find out the reason.
    """
    route = route_of(request.route_handler)
    access = route.access
    viewer = await _viewer(request)
    request.scope["user"] = viewer
    if access.signed_in and not viewer.signed_in:
        raise AuthRequired
    for name in request.path_params:
        if name.endswith("_id"):
            request.path_id(name)
    if access.admin and not viewer.is_admin:
        raise InsufficientPermissions
    if route.loads is not None:
        request.loaded = await route.loads(request)
    if access.verified and request.platform.settings.require_verified_email and not viewer.is_email_verified:
        raise EmailNotVerified


def _names_ids(request: ApiRequest) -> bool:
    """Whether all ids of the path are valid; otherwise the full check runs, in which authentication comes first."""
    return all(
        parse_id(value) is not None for name, value in request.path_params.items() if name.endswith("_id")
    )


def _named_by_token(request: ApiRequest) -> SignedInViewer:
    """The user of a valid token that has not expired, without any rights."""
    token = _token(request)
    if token is None:
        raise AuthRequired
    claims = request.platform.tokens.read(token)
    return SignedInViewer(claims.user_id, claims.session_id)


def _from_admin_network(request: ApiRequest) -> bool:
    """Whether admins have their rights at this address; without ADMIN_ALLOWED_NETWORKS, at any address."""
    networks = request.platform.settings.admin_allowed_networks
    if not networks:
        return True
    address = parsed_address(request.client_address)
    return address is not None and any(address in network for network in networks)


async def _viewer(request: ApiRequest) -> Viewer:
    """The viewer whom the Authorization header authenticates, with their current rights.

    Outside ADMIN_ALLOWED_NETWORKS an admin is a viewer like any other. That is decided here once, so that no policy has
    to check it.
    """
    token = _token(request)
    if token is None:
        return ANONYMOUS
    authenticate: Authenticate = request.app.state.authenticate
    viewer = await authenticate(request, token)
    if viewer.is_admin and not _from_admin_network(request):
        return replace(viewer, is_admin=False)
    return viewer


def _token(request: ApiRequest) -> str | None:
    """The token of the Authorization header; an invalid header is an error, not an anonymous request."""
    return bearer_token(request.header_values(b"authorization"))


def bearer_token(sent: Sequence[str]) -> str | None:
    """The token in the values of all Authorization headers; None where there is none.

    Raises:
        InvalidToken: There are several, or it is no bearer token.
    """
    if not sent:
        return None
    if len(sent) > 1:  # a proxy might use another one of them than we do
        raise InvalidToken("Authorization must be sent once")
    scheme, _, token = sent[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidToken
    return token.strip()


def _check_body(request: ApiRequest, handler: HTTPRouteHandler) -> None:
    """Check what the headers say about the body, also if it is never read."""
    if handler.parsed_data_field is not None:
        _check_content_type(request)
    most = handler.resolve_request_max_body_size()
    announced = request.header_values(b"content-length")[:1]
    if most is not None and any(one.isdecimal() and int(one[:20]) > most for one in announced):
        raise PayloadTooLarge


def _check_content_type(request: ApiRequest) -> None:
    if not request.header_values(b"content-type") and not has_body(request.scope):
        return  # a missing body gets an error of its own: it is required
    request.require_media_type("application/json")
