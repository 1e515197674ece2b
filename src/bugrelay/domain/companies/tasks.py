"""Jobs of companies: mail claims and invitations, check published proofs, delete what has expired."""

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

MAX_CHECKS = 100  # in one run of `check_open_claims`


async def mail_claim(platform: Platform, *, claim_id: str) -> None:
    """Mail the token of a claim to the address that the claim names; idempotent."""
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
    """Mail an invitation, unless it was replaced or withdrawn; idempotent."""
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
    """Check the published proof of a claim."""
    await check_proof(platform, UUID(claim_id), platform.egress)


async def check_proof(platform: Platform, claim_id: UUID, egress: Egress) -> None:
    """Complete the claim if its proof is published; otherwise it stays open, and is checked again later."""
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
    """Queue checks of the proofs of open claims, at most `MAX_CHECKS`, however many claims there are."""
    async with platform.work() as work:
        for claim_id in await repository.claims_to_check(work, limit=MAX_CHECKS):
            await claims.queue_check(work, claim_id, jobs=platform.jobs)


async def delete_expired_claims(platform: Platform) -> None:
    """Delete expired claims, which may have an address: personal data that is no longer needed."""
    async with platform.work() as work:
        await work.session.execute(delete(CompanyClaim).where(CompanyClaim.expires_at < func.now()))


async def delete_expired_invitations(platform: Platform) -> None:
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
        "companies.delete_expired_claims": Periodic("47 * * * *", delete_expired_claims),
        "companies.delete_expired_invitations": Periodic("52 * * * *", delete_expired_invitations),
    },
)
