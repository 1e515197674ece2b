"""`/api/v1/auth`: register, sign in, refresh, sign out."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.params import JSONBody
from msgspec import UNSET

from bugrelay.api.v1.examples import accounts
from bugrelay.api.v1.responses.accounts import SessionList, SignedInResponse, TokensResponse
from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.errors import InvalidRefreshToken
from bugrelay.domain.accounts.models import VERIFY_EMAIL, User
from bugrelay.domain.accounts.schemas import Account, Login, Refresh, Register, SessionOut, account_of
from bugrelay.domain.accounts.service import links, registration, sessions
from bugrelay.domain.accounts.service.password_check import check_password_at_address
from bugrelay.errors import ValidationFailed
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, anyone, users
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.pagination import PageQuery, Pagination
from bugrelay.infra.viewer import SignedInViewer

MAX_AGENT_LENGTH = 300  # characters of a User-Agent that are stored


class AuthController(Controller):
    path = "/api/v1/auth"
    tags = ("Accounts",)

    @post("/register")
    @Route(access=anyone(same_for_all=True), limits=("sign_in",), example=accounts.REGISTER)
    async def register_account(
        self, request: ApiRequest, data: JSONBody[Register]
    ) -> Response[SignedInResponse]:
        """Create an account and sign in to it; a verification link is mailed to its address.

        If the mail limit of the address is reached, the account is created without the mail; request the link later.
        """
        platform = request.platform
        password_hash = await registration.hash_password(
            platform.passwords,
            data.password,
            email=data.email,
            username=data.username,
            display_name=data.display_name,
        )
        caller = limit_identity(request.client_address)
        async with platform.work() as work:
            user = await registration.create_user(work, data, password_hash=password_hash)
            # Redis is called inside the transaction, after the constraints were checked, so that a 409 charges nothing.
            may_mail = await platform.mail_limits.take(data.email, caller=caller) == 0
            opened = await open_session(request, work, user.id)
            if may_mail:
                await links.request_link(work, user_id=user.id, purpose=VERIFY_EMAIL, jobs=platform.jobs)
        return json_response(signed_in(request, user, opened, "Account created successfully"), status=201)

    @post("/login", status_code=200)
    @Route(access=anyone(same_for_all=True), limits=("sign_in",), example=accounts.LOGIN, errors=(403, 423))
    async def open_session(self, request: ApiRequest, data: JSONBody[Login]) -> Response[SignedInResponse]:
        """Open a session with an address and a password."""
        platform = request.platform
        caller = limit_identity(request.client_address)
        proof = await check_password_at_address(
            email=data.email,
            password=data.password,
            ip_address=caller,
            database=platform.database,
            passwords=platform.passwords,
        )
        async with platform.work() as work:
            opened = await open_session(request, work, proof.user_id)
            user = await sessions.signed_in_user(work, proof)
        return json_response(signed_in(request, user, opened, "Signed in successfully"))

    @post("/refresh", status_code=200)
    @Route(access=anyone(same_for_all=True), limits=("sign_in",), example=accounts.REFRESH, errors=(403,))
    async def refresh_session(self, request: ApiRequest, data: JSONBody[Refresh]) -> Response[TokensResponse]:
        """Exchange a refresh token for a new pair of tokens; a token that is used a second time ends its session."""
        platform = request.platform
        refresh_token = data.ticket_refresh_token if data.refresh_token is UNSET else data.refresh_token
        if refresh_token is UNSET:
            raise ValidationFailed.of("refresh_token", "is required")
        async with platform.work() as work:
            opened = await sessions.rotate_refresh_token(
                work, refresh_token, _device(request), refresh_days=platform.settings.refresh_token_days
            )
        if opened is None:
            raise InvalidRefreshToken
        access_token, expires_in = platform.tokens.issue(user_id=opened.user_id, session_id=opened.session_id)
        return json_response(
            TokensResponse(
                message="Session renewed",
                access_token=access_token,
                refresh_token=opened.refresh_token,
                expires_in=expires_in,
            )
        )

    @post("/logout", status_code=200)
    @Route(access=users())
    async def end_current_session(self, request: ApiRequest, viewer: SignedInViewer) -> Response[Message]:
        """End this session."""
        async with request.platform.work() as work:
            await sessions.end_session(work, viewer.session_id)
        return json_response(Message("Signed out successfully"))

    @post("/logout-all", status_code=200)
    @Route(access=users())
    async def end_all_sessions(self, request: ApiRequest, viewer: SignedInViewer) -> Response[Message]:
        """End all my sessions."""
        async with request.platform.work() as work:
            await sessions.end_all_sessions(work, viewer.user_id)
        return json_response(Message("Signed out everywhere"))

    @get("/sessions")
    @Route(access=users(), query=PageQuery)
    async def list_sessions(
        self, request: ApiRequest, viewer: SignedInViewer, query: PageQuery
    ) -> Response[SessionList]:
        """List my sessions that have not ended, last used first; address and agent are those of the last use."""
        platform = request.platform
        life = timedelta(days=platform.settings.refresh_token_days)
        sessions_of_mine = [
            SessionOut(
                id=session.id,
                created_at=session.created_at,
                last_used_at=session.last_used_at,
                ip_address=session.ip_address,
                user_agent=session.user_agent,
                current=session.id == viewer.session_id,
            )
            for session in await repository.live_sessions(platform.database, viewer.user_id, life=life)
        ]
        page = sessions_of_mine[query.offset : query.offset + query.limit]
        return json_response(SessionList(page, Pagination.of(query, len(sessions_of_mine))))

    @delete("/sessions/{session_id:str}", status_code=200)
    @Route(access=users())
    async def end_session(
        self, request: ApiRequest, viewer: SignedInViewer, session_id: UUID
    ) -> Response[Message]:
        """End one of my sessions."""
        life = timedelta(days=request.platform.settings.refresh_token_days)
        async with request.platform.work() as work:
            await sessions.end_my_session(work, session_id, user_id=viewer.user_id, life=life)
        return json_response(Message("Session ended"))


def _device(request: ApiRequest) -> sessions.Device:
    agent = "".join(filter(str.isprintable, request.headers.get("user-agent", "")))
    return sessions.Device(request.client_address, agent[:MAX_AGENT_LENGTH] or None)


async def open_session(request: ApiRequest, work: UnitOfWork, user_id: UUID) -> sessions.OpenedSession:
    """Open a session on the device that sends the request."""
    return await sessions.open_session(
        work, user_id, _device(request), refresh_days=request.platform.settings.refresh_token_days
    )


def signed_in(
    request: ApiRequest, user: User, opened: sessions.OpenedSession, message: str
) -> SignedInResponse:
    """The response to a client that has just signed in."""
    access_token, expires_in = request.platform.tokens.issue(user_id=user.id, session_id=opened.session_id)
    return SignedInResponse(
        message=message,
        access_token=access_token,
        refresh_token=opened.refresh_token,
        expires_in=expires_in,
        user=Account(**account_of(user)),
    )
