"""`/api/v1/auth`: verify the address, change or reset the password."""

from __future__ import annotations

from litestar import Controller, Response, get, post, put
from litestar.params import JSONBody

from bugrelay.api.v1.responses.accounts import VerifiedResponse
from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.errors import AlreadyVerified, SamePassword
from bugrelay.domain.accounts.models import RESET_PASSWORD, VERIFY_EMAIL
from bugrelay.domain.accounts.schemas import (
    Account,
    ChangePassword,
    ConfirmReset,
    LinkQuery,
    RequestReset,
    account_of,
)
from bugrelay.domain.accounts.service import links, registration, sessions
from bugrelay.domain.accounts.service.password_check import check_current_password
from bugrelay.errors import RateLimitExceeded
from bugrelay.http.pages import page, wants_page
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, anyone, users
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.viewer import SignedInViewer

RESET_ASKED = "If there is an account for this address, a link is on its way to it"


class CredentialController(Controller):
    path = "/api/v1/auth"
    tags = ("Accounts",)

    @get("/verify-email")
    @Route(access=anyone(same_for_all=True), query=LinkQuery, media_types=("application/json", "text/html"))
    async def verify_email(
        self, request: ApiRequest, query: LinkQuery
    ) -> Response[VerifiedResponse] | Response[str]:
        """Verify my address by the mailed link.

        Browsers and HEAD requests get a page with a button, so that programs which fetch every link in a mail do not
        use it.
        """
        if wants_page(request) or request.is_head:
            return page(request, "verify_email", token=query.token)
        async with request.platform.work() as work:
            user = await links.verify_email(work, query.token)
            account = Account(**account_of(user))
        return json_response(
            VerifiedResponse("E-mail address verified", account), headers={"Cache-Control": "no-store"}
        )

    @post("/resend-verification", status_code=200)
    @Route(access=users(), limits=("mail",))
    async def resend_verification(self, request: ApiRequest, viewer: SignedInViewer) -> Response[Message]:
        """Mail me a new link; it replaces the older one."""
        if viewer.is_email_verified:
            raise AlreadyVerified
        wait_seconds = await request.platform.mail_limits.take(viewer.email)
        if wait_seconds:
            raise RateLimitExceeded(headers={"Retry-After": str(wait_seconds)})
        async with request.platform.work() as work:
            await links.request_link(
                work, user_id=viewer.user_id, purpose=VERIFY_EMAIL, jobs=request.platform.jobs
            )
        return json_response(Message("A new link is on its way to your address"))

    @put("/password")
    @Route(access=users(), errors=(423,))
    async def change_password(
        self, request: ApiRequest, viewer: SignedInViewer, data: JSONBody[ChangePassword]
    ) -> Response[Message]:
        """Change my password; all other sessions end."""
        platform = request.platform
        proven = await check_current_password(
            viewer.user_id,
            email=viewer.email,
            password=data.current_password,
            ip_address=limit_identity(request.client_address),
            database=platform.database,
            passwords=platform.passwords,
        )
        if data.new_password == data.current_password:
            raise SamePassword
        password_hash = await registration.hash_password(
            platform.passwords,
            data.new_password,
            email=proven.email,
            username=proven.username,
            display_name=proven.display_name,
        )
        async with platform.work() as work:
            await registration.set_password(
                work, viewer.user_id, proven_set_at=proven.set_at, password_hash=password_hash
            )
            await sessions.end_all_sessions(work, viewer.user_id, but=viewer.session_id)
        return json_response(Message("Password changed; other sessions have ended"))

    @post("/password-reset", status_code=200)
    @Route(access=anyone(same_for_all=True), limits=("password_reset",))
    async def request_password_reset(
        self, request: ApiRequest, data: JSONBody[RequestReset]
    ) -> Response[Message]:
        """Mail a link to set a new password, if there is an account.

        The response is the same if there is none.
        """
        platform = request.platform
        account = await repository.account_at(platform.database, data.email)
        if await platform.reset_budget.take(data.email):
            account = None  # beyond the mail limit of the address nothing is sent; the response is the same
        async with platform.work() as work:
            user_id = account.id if account else None
            await links.request_link(work, user_id=user_id, purpose=RESET_PASSWORD, jobs=platform.jobs)
        return json_response(Message(RESET_ASKED))

    @post("/password-reset/confirm", status_code=200)
    @Route(access=anyone(same_for_all=True), limits=("sign_in",))
    async def confirm_password_reset(
        self, request: ApiRequest, data: JSONBody[ConfirmReset]
    ) -> Response[Message]:
        """Set a new password by the mailed link; all sessions end."""
        await set_password_by_link(request, data)
        return json_response(Message("Password changed; sign in with the new one"))


async def set_password_by_link(request: ApiRequest, wanted: ConfirmReset) -> None:
    """Set a new password by a mailed link.

    Raises:
        InvalidLinkToken
        WeakPassword: The link stays valid.
    """
    platform = request.platform
    owner = await links.user_of_link(platform.database, wanted.token, purpose=RESET_PASSWORD)
    password_hash = await registration.hash_password(
        platform.passwords,
        wanted.new_password,
        email=owner.email,
        username=owner.username,
        display_name=owner.display_name,
    )
    async with platform.work() as work:
        await links.reset_password(work, wanted.token, password_hash=password_hash)
