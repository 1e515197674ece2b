"""`/api/v1/auth/oauth`: sign in with a provider, link its identity to an account, unlink it."""

from __future__ import annotations

import re
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.params import JSONBody

from bugrelay.api.v1.auth import open_session, signed_in
from bugrelay.api.v1.guards.oauth import load_provider
from bugrelay.api.v1.responses.accounts import LinkStartedResponse, SignedInResponse
from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.errors import InvalidOAuthState, OAuthDenied
from bugrelay.domain.accounts.models import VERIFY_EMAIL
from bugrelay.domain.accounts.schemas import ExchangeCode, LinkIdentity, OAuthCallback, StartOAuth
from bugrelay.domain.accounts.service import identities, links, oauth
from bugrelay.errors import BugRelayError, ValidationFailed
from bugrelay.http.pages import page, wants_page
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, anyone, users
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.security.identity_providers.port import (
    AuthorizationRequest,
    AuthorizationResponse,
    IdentityProvider,
    ProvenIdentity,
    failed,
)
from bugrelay.infra.security.tokens import new_secret
from bugrelay.infra.viewer import SignedInViewer

TRIES = 4  # to create an account, while concurrent sign-ins take its username or its address
# RFC 6749, section 4.1.2.1; anything else in the address is not logged.
_ERRORS = {
    "invalid_request",
    "unauthorized_client",
    "unsupported_response_type",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
}
_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")


class OAuthController(Controller):
    path = "/api/v1/auth/oauth"
    tags = ("Accounts",)

    @get("/{provider:str}", status_code=302)
    @Route(
        access=anyone(same_for_all=True),
        loads=load_provider,
        limits=("sign_in",),
        query=StartOAuth,
        media_types=("application/json", "text/html"),
    )
    async def start_sign_in(
        self, request: ApiRequest, provider: IdentityProvider, query: StartOAuth
    ) -> Response[None] | Response[str]:
        """Send the browser to a provider, to sign in or to link an identity.

        It returns to `return_to` with a `code` for `POST /auth/oauth/exchange`, or with an `error`.
        """
        try:
            pending = await _pending_sign_in(request, provider, query)
        except InvalidOAuthState as error:
            return _problem(request, error)
        browser, state = _browser(request) or new_secret(), new_secret()
        request_id, wanted = _provider_request(request, provider, state=state)
        try:
            url = await provider.authorization_url(wanted)
            async with request.platform.work() as work:
                await oauth.store_request(work, pending, request_id=request_id, state=state, browser=browser)
        except BugRelayError as error:
            return _redirect(oauth.return_address(pending.return_to, error=error.code))
        return _redirect(url, cookie=_cookie(request, browser))

    @get("/callback/{provider:str}", status_code=302)
    @Route(
        access=anyone(same_for_all=True),
        loads=load_provider,
        query=OAuthCallback,
        media_types=("application/json", "text/html"),
    )
    async def finish_sign_in(
        self, request: ApiRequest, provider: IdentityProvider, query: OAuthCallback
    ) -> Response[None] | Response[str]:
        """Receive a browser from its provider, and send it on to `return_to`.

        If the sign-in is not known, neither is its `return_to`: the response is the error, for browsers as a page.
        """
        try:
            request_id, pending = await _consume_request(request, query)
        except InvalidOAuthState as error:
            return _problem(request, error)
        try:
            proven = await _identify(request, provider, query, request_id=request_id, pending=pending)
            code = await _code(request, pending, proven)
        except BugRelayError as error:
            return _redirect(oauth.return_address(pending.return_to, error=error.code))
        return _redirect(oauth.return_address(pending.return_to, code=code))

    @post("/exchange", status_code=200)
    @Route(access=anyone(same_for_all=True), limits=("sign_in",), errors=(403,))
    async def exchange_code(
        self, request: ApiRequest, data: JSONBody[ExchangeCode]
    ) -> Response[SignedInResponse]:
        """Open a session with the code that the browser returned with; a code for linking links the identity."""
        async with request.platform.work() as work:
            user_id = await oauth.consume_code(work, data.code, verifier=data.verifier)
            opened = await open_session(request, work, user_id)
            user = await repository.user_of_session(work.session, opened.session_id)
        return json_response(signed_in(request, user, opened, "Signed in successfully"))

    @post("/link/{provider:str}", status_code=200)
    @Route(access=users(), loads=load_provider, limits=("sign_in",))
    async def start_linking(
        self,
        request: ApiRequest,
        viewer: SignedInViewer,
        provider: IdentityProvider,
        data: JSONBody[LinkIdentity],
    ) -> Response[LinkStartedResponse]:
        """Begin to link an identity to my account; its code is exchanged in the same way as that of a sign-in."""
        pending = oauth.PendingSignIn(
            provider=provider.name,
            return_to=_trusted_return(request, data.return_to),
            code_challenge=data.code_challenge,
            session_id=viewer.session_id,
        )
        async with request.platform.work() as work:
            ticket = await oauth.issue_ticket(work, pending)
        url = f"{request.platform.settings.public_url}{self.path}/{provider.name}?ticket={ticket}"
        return json_response(LinkStartedResponse("Send the browser to the provider", url))

    @delete("/link/{provider:str}", status_code=200)
    @Route(access=users())
    async def unlink_identity(
        self, request: ApiRequest, viewer: SignedInViewer, provider: str
    ) -> Response[Message]:
        """Unlink my identity of a provider, unless I have no other way to sign in."""
        usable = {known.issuer for known in request.platform.identity_providers.values()}
        async with request.platform.work() as work:
            await identities.unlink(work, viewer.user_id, provider=provider, usable=usable)
        return json_response(Message("Identity unlinked"))


async def _pending_sign_in(
    request: ApiRequest, provider: IdentityProvider, query: StartOAuth
) -> oauth.PendingSignIn:
    """The parameters of the sign-in, from the query, or by the ticket in it.

    Raises:
        ValidationFailed, InvalidOAuthState
    """
    if query.ticket is not None:
        async with request.platform.work() as work:
            return await oauth.consume_ticket(work, query.ticket, provider=provider.name)
    if query.return_to is None:
        raise ValidationFailed.of("return_to", "is required")
    if query.code_challenge is None:
        raise ValidationFailed.of("code_challenge", "is required")
    return oauth.PendingSignIn(
        provider=provider.name,
        return_to=_trusted_return(request, query.return_to),
        code_challenge=query.code_challenge,
    )


def _trusted_return(request: ApiRequest, return_to: str) -> str:
    settings = request.platform.settings
    return oauth.trusted_return(return_to, origins=(settings.public_url, *settings.cors_allow_origins))


def _provider_request(
    request: ApiRequest, provider: IdentityProvider, *, state: str, request_id: UUID | None = None
) -> tuple[UUID, AuthorizationRequest]:
    settings = request.platform.settings
    return oauth.new_request(
        provider.name,
        key=settings.signing_key,
        public_url=settings.public_url,
        state=state,
        request_id=request_id,
    )


async def _consume_request(request: ApiRequest, query: OAuthCallback) -> tuple[UUID, oauth.PendingSignIn]:
    browser = _browser(request)
    if browser is None or query.state is None:
        raise InvalidOAuthState
    async with request.platform.work() as work:
        return await oauth.consume_request(work, query.state, browser=browser)


async def _identify(
    request: ApiRequest,
    provider: IdentityProvider,
    query: OAuthCallback,
    *,
    request_id: UUID,
    pending: oauth.PendingSignIn,
) -> ProvenIdentity:
    """
    Raises:
        InvalidOAuthState: The sign-in began with another provider.
        OAuthDenied, OAuthFailed, OAuthUnavailable
    """
    if pending.provider != provider.name:
        raise InvalidOAuthState
    if query.error == "access_denied":
        raise OAuthDenied
    if query.code is None:
        known = query.error if query.error in _ERRORS else "an error"
        raise failed(provider.name, f"the provider answered with {known}")
    _, asked = _provider_request(request, provider, state=query.state or "", request_id=request_id)
    return await provider.identify(asked, AuthorizationResponse(code=query.code, issuer=query.iss))


async def _code(request: ApiRequest, pending: oauth.PendingSignIn, proven: ProvenIdentity) -> str:
    """The code to exchange: to sign in with the identity, or to link it.

    Raises:
        EmailAlreadyExists, UsernameTaken, OAuthEmailMissing, ProviderAlreadyLinked, AccountBanned
        InvalidOAuthState: The session to link to was deleted meanwhile.
    """
    platform = request.platform
    if pending.session_id is not None:
        async with platform.work() as work:
            return await oauth.issue_code(work, pending, to_link=proven)
    for remaining in reversed(range(TRIES)):
        try:
            return await _open_account(request, pending, proven, is_first_try=remaining == TRIES - 1)
        except identities.RACES:
            if not remaining:
                raise
    raise AssertionError  # the last try returns or raises


async def _open_account(
    request: ApiRequest, pending: oauth.PendingSignIn, proven: ProvenIdentity, *, is_first_try: bool
) -> str:
    platform = request.platform
    async with platform.work() as work:
        opened = await identities.open_account(
            work, proven, provider=pending.provider, is_first_try=is_first_try
        )
        if opened.is_new_and_unproven and proven.email is not None:
            caller = limit_identity(request.client_address)
            if await platform.mail_limits.take(proven.email, caller=caller) == 0:
                await links.request_link(
                    work, user_id=opened.user_id, purpose=VERIFY_EMAIL, jobs=platform.jobs
                )
        return await oauth.issue_code(work, pending, identity_id=opened.identity_id)


def _cookie_name(request: ApiRequest) -> str:
    """The name of the cookie that identifies a browser; on a site with TLS, no other host can set it."""
    is_secure = request.platform.settings.public_url.startswith("https:")
    return "__Host-bugrelay-oauth" if is_secure else "bugrelay-oauth"


def _browser(request: ApiRequest) -> str | None:
    """The value of the browser's cookie: one for all its tabs, so that concurrent sign-ins do not invalidate each
    other."""
    held = request.cookies.get(_cookie_name(request), "")
    return held if _BROWSER.fullmatch(held) else None


def _cookie(request: ApiRequest, browser: str) -> str:
    name, life = _cookie_name(request), int(oauth.REQUEST_LIFE.total_seconds())
    secure = "; Secure" if name.startswith("__Host-") else ""
    return f"{name}={browser}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}"


def _problem(request: ApiRequest, error: BugRelayError) -> Response[str]:
    """The response if the browser cannot be sent on: a page for browsers, the error for clients of the API."""
    if wants_page(request):
        return page(request, "problem", error=error, message=error.message)
    raise error


def _redirect(url: str, *, cookie: str | None = None) -> Response[None]:
    """A redirect without Referer and caching, since the address may have a code."""
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    if cookie is not None:
        headers["Set-Cookie"] = cookie
    return Response(None, status_code=302, headers=headers, media_type="text/plain")
