"""`/api/v1/companies/{id}/claim` and `/verify`: claim a company by proving control of its domain."""

from __future__ import annotations

from litestar import Controller, Response, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.companies import load_company
from bugrelay.api.v1.responses.companies import ClaimResponse, CompanyChangedResponse
from bugrelay.domain.companies.schemas import ClaimCompany, CompanyState, OpenedClaim, VerifyCompany
from bugrelay.domain.companies.service import claims
from bugrelay.domain.companies.service.domain_verification import publication
from bugrelay.domain.dashboards.service import get_company
from bugrelay.errors import RateLimitExceeded, ValidationFailed
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, users
from bugrelay.infra.viewer import SignedInViewer

MESSAGES = {
    "mail": "A token is on its way to that address; send it to verify the company",
    "dns": "Publish the TXT record, then ask for it to be looked for",
    "file": "Publish the file, then ask for it to be looked for",
}


class ClaimController(Controller):
    path = "/api/v1/companies/{company_id:str}"
    tags = ("Companies",)

    @post("/claim", status_code=200)
    @Route(access=users(verified=True), loads=load_company, limits=("mail",))
    async def claim_company(
        self, request: ApiRequest, viewer: SignedInViewer, company: CompanyState, data: JSONBody[ClaimCompany]
    ) -> Response[ClaimResponse]:
        """Claim a company by proving control of its domain, within 24 hours.

        `{"email"}` mails a token to that address, which must be at exactly the company's domain. Without a mailbox
        there, `{"method": "dns"}` or `{"method": "file"}` returns what to publish, as a TXT record of the domain or at
        `https://<domain>/.well-known/bugrelay.txt`: `bugrelay-verification=<token>`. A newer claim of mine for the
        company replaces the older one.
        """
        method = data.method or "mail"
        if method == "mail" and data.email is None:
            raise ValidationFailed.of("email", "is required")
        email = data.email if method == "mail" else None
        claims.ensure_claimable(company, email=email)
        await _charge(request, viewer, email)
        platform = request.platform
        async with platform.work() as work:
            claim = await claims.open_claim(
                work,
                company.id,
                user_id=viewer.user_id,
                method=method,
                email=email,
                signing_key=platform.settings.signing_key,
                jobs=platform.jobs,
            )
        publish = None
        if method != "mail":
            publish = publication(method, domain=company.domain, token=claim.token)
        opened = OpenedClaim(
            id=claim.id,
            company_id=company.id,
            method=method,
            expires_at=claim.expires_at,
            publish=publish,
        )
        return json_response(ClaimResponse(MESSAGES[method], opened))

    @post("/verify", status_code=200)
    @Route(access=users(verified=True), loads=load_company, also=(202,))
    async def complete_claim(
        self,
        request: ApiRequest,
        viewer: SignedInViewer,
        company: CompanyState,
        data: JSONBody[VerifyCompany],
    ) -> Response[CompanyChangedResponse]:
        """Complete my claim; I become the company's admin.

        `{"token"}` has the token from the mail. `{"method": "dns"}` or `{"method": "file"}` queues a check of the
        published proof: 202, and the company is verified a moment later if the proof is found. Open claims are also
        checked every few minutes.
        """
        platform = request.platform
        if data.token is None and data.method is None:
            raise ValidationFailed.of("token", "is required")
        async with platform.work() as work:
            if data.token is not None:
                await claims.complete_by_token(work, company.id, user_id=viewer.user_id, token=data.token)
                message, status = "Company verified successfully", 200
            elif data.method is not None:
                await claims.request_check(
                    work, company.id, user_id=viewer.user_id, method=data.method, jobs=platform.jobs
                )
                message, status = "The proof is being looked for", 202
            shown = await get_company(work, company.id)
        return json_response(CompanyChangedResponse(message, shown), status=status)


async def _charge(request: ApiRequest, viewer: SignedInViewer, email: str | None) -> None:
    """Charge the limits of mails: by the account that causes the mail, and by the address that gets it."""
    wait_seconds = await request.platform.mail_limits.take(email, caller=f"user:{viewer.user_id}")
    if wait_seconds:
        raise RateLimitExceeded(headers={"Retry-After": str(wait_seconds)})
