"""Jobs of companies: mail claims and invitations, look for published proofs, forget what is over."""

from __future__ import annotations

from uuid import UUID

import structlog
from sqlalchemy import delete, func

from bugrelay.domain.companies import repository
from bugrelay.domain.companies.models import CompanyClaim, Invitation
from bugrelay.domain.companies.service import claims, invitations
from bugrelay.domain.companies.service.domain_verification import is_published
from bugrelay.errors import BugRelayError, ServiceUnavailable
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.mail.message import mail_id
from bugrelay.infra.platform import Platform
from bugrelay.infra.security.egress import Egress

log = structlog.get_logger()

CHECKS_A_ROUND = 100


async def mail_claim(platform: Platform, *, claim_id: str) -> None:
    """Mail the token of a claim to the address that it was made with, and to no other; again without harm."""
    claim = await repository.open_claim(platform.database, UUID(claim_id))
    if claim is None or claim.email is None:
        return
    mail = platform.mailer.write(
        "company_claim",
        mail_id=mail_id("company_claim", claim_id),
        to=claim.email,
        username=claim.username,
        domain=claim.domain,
        token=claims.claim_token(platform.settings.signing_key, claim.id),
        path=f"/api/v1/companies/{claim.company_id}/verify",
    )
    await platform.mailer.send(mail)


async def mail_invitation(platform: Platform, *, invitation_id: str) -> None:
    """Mail an invitation; again without harm. One that was replaced or withdrawn meanwhile is not mailed."""
    invitation = await repository.open_invitation(platform.database, UUID(invitation_id))
    if invitation is None:
        return
    token = invitations.invitation_token(platform.settings.signing_key, invitation.id)
    mail = platform.mailer.write(
        "company_invitation",
        mail_id=mail_id("company_invitation", invitation_id),
        to=invitation.email,
        username=invitation.inviter_username,
        domain=invitation.domain,
        role=invitation.role,
        link=f"{platform.settings.public_url}/invitations/accept?token={token}",
    )
    await platform.mailer.send(mail)


async def check_claim(platform: Platform, *, claim_id: str) -> None:
    """Look for the published proof of a claim."""
    await look_for_proof(platform, UUID(claim_id), platform.egress)


async def look_for_proof(platform: Platform, claim_id: UUID, egress: Egress) -> None:
    """Where the proof stands, the claim is completed; else it stays open, and is looked at again later."""
    claim = await repository.open_claim(platform.database, claim_id)
    if claim is None or not await is_published(claim, egress):
        return
    try:
        async with platform.work() as work:
            await claims.complete_by_proof(work, claim)
    except ServiceUnavailable:
        raise
    except BugRelayError as error:
        log.info("proven_claim_refused", claim_id=str(claim_id), code=error.code)


async def check_open_claims(platform: Platform) -> None:
    """Have the proofs of open claims looked for; at most a hundred a round, whatever people claim."""
    async with platform.work() as work:
        for claim_id in await repository.claims_to_check(work, limit=CHECKS_A_ROUND):
            await claims.check_soon(work, claim_id, jobs=platform.jobs)


async def forget_expired_claims(platform: Platform) -> None:
    """A claim that is over is worth nothing, and the address in it is somebody's."""
    async with platform.work() as work:
        await work.session.execute(delete(CompanyClaim).where(CompanyClaim.expires_at < func.now()))


async def forget_expired_invitations(platform: Platform) -> None:
    async with platform.work() as work:
        await work.session.execute(delete(Invitation).where(Invitation.expires_at < func.now()))


TASKS = Tasks(
    by_name={
        claims.MAIL_JOB: mail_claim,
        claims.CHECK_JOB: check_claim,
        invitations.MAIL_JOB: mail_invitation,
    },
    periodic={
        "companies.check_open_claims": Periodic("*/5 * * * *", check_open_claims),
        "companies.forget_expired_claims": Periodic("47 * * * *", forget_expired_claims),
        "companies.forget_expired_invitations": Periodic("52 * * * *", forget_expired_invitations),
    },
)
