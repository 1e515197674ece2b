"""`/api/v1/companies/{id}/claim`: ask to be recognised as a company's admin."""

from __future__ import annotations

from litestar import Controller, Response, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.companies import load_company, require_company
from bugrelay.domain.companies.schemas import ClaimCompany, ClaimResponse, OpenedClaim
from bugrelay.domain.companies.service import claims
from bugrelay.domain.companies.service.domain_verification import publication
from bugrelay.errors import RateLimitExceeded, ValidationFailed
from bugrelay.http.guard import users
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response

MESSAGES = {
    "mail": "A token is on its way to that address; send it to verify the company",
    "dns": "Publish the TXT record, then ask for it to be looked for",
    "file": "Publish the file, then ask for it to be looked for",
}


class ClaimController(Controller):
    path = "/api/v1/companies/{company_id:str}"
    tags = ("Companies",)

    @post("/claim", opt=users(require_company, verified=True).opt(limits=("mail",)), status_code=200)
    async def claim(self, request: ApiRequest, data: JSONBody[ClaimCompany]) -> Response[ClaimResponse]:
        """Claim a company by proving control of its domain, within 24 hours.

        `{"email"}` mails a token to that address, which must be at exactly the company's domain. Without a mailbox
        there, `{"method": "dns"}` or `{"method": "file"}` answers with what to publish, as a TXT record of the domain
        or at `https://<domain>/.well-known/bugrelay.txt`: `bugrelay-verification=<token>`. A newer claim of mine on
        the company replaces the older one.
        """
        method = data.method or "mail"
        if method == "mail" and data.email is None:
            raise ValidationFailed.of("email", "is required")
        email = data.email if method == "mail" else None
        company = await load_company(request)
        claims.ensure_claimable(company, email=email)
        await _charge(request, email)
        async with request.platform.work() as work:
            claim = await claims.open_claim(
                request.platform, work, company.id, user_id=request.user_id, method=method, email=email
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


async def _charge(request: ApiRequest, email: str | None) -> None:
    """Mails are counted by the account that causes them and by the address that gets them."""
    caller = f"user:{request.user_id}"
    wait_seconds = await request.platform.mail_limits.take(email, caller=caller)
    if wait_seconds:
        raise RateLimitExceeded(headers={"Retry-After": str(wait_seconds)})
