"""Claims: a user proves control of a company's domain, and becomes its admin.

The proof is a token that only the domain's owner can read (a mail to an address there) or publish (a TXT record, a
file). It is bound to the user and the company, so that others cannot use a proof that they see.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, or_, update

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.companies import repository
from bugrelay.domain.companies.domains import email_domain, is_claimable
from bugrelay.domain.companies.errors import CompanyAlreadyVerified, CompanyNotFound, InvalidDomain
from bugrelay.domain.companies.events import ClaimOpened, CompanyClaimed
from bugrelay.domain.companies.models import CompanyClaim
from bugrelay.domain.companies.schemas import CompanyState
from bugrelay.domain.companies.service.team import add_member, start_new_team
from bugrelay.domain.companies.service.verification import verify_company
from bugrelay.errors import InvalidLinkToken
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import MAIL_QUEUE, JobQueue
from bugrelay.infra.security.signed_links import link_token
from bugrelay.infra.security.tokens import hash_secret

LIFE = timedelta(hours=24)
MAIL_JOB = "companies.mail_claim"
CHECK_JOB = "companies.check_claim"
CHECK_PAUSE = timedelta(seconds=30)


@dataclass(frozen=True)
class Claim:
    """A new claim, with its token."""

    id: UUID
    method: str
    token: str
    expires_at: datetime


def claim_token(signing_key: str, claim_id: UUID) -> str:
    """The token of a claim; the mail or the publication has it, the row its SHA-256."""
    return link_token(signing_key, purpose="company_claim", link_id=claim_id)


def ensure_claimable(company: CompanyState, *, email: str | None) -> None:
    """Check that the company can be claimed, with this address if there is one.

    Raises:
        CompanyAlreadyVerified
        InvalidDomain: The address is not at exactly the company's domain, or anybody can have one there.
    """
    if company.verified:
        raise CompanyAlreadyVerified
    if not is_claimable(company.domain) or (email is not None and email_domain(email) != company.domain):
        raise InvalidDomain


async def open_claim(
    work: UnitOfWork,
    company_id: UUID,
    *,
    user_id: UUID,
    method: str,
    email: str | None,
    signing_key: str,
    jobs: JobQueue,
) -> Claim:
    """Open a claim, which replaces an older claim by this user for this company; other users' claims stay open.

    Args:
        work: The unit of work.
        company_id: The company.
        user_id: The claimant.
        method: "mail", "dns" or "file".
        email: The address to mail the token to; for "mail" only.
        signing_key: The key that tokens are derived from.
        jobs: The queue of the job that mails the token.

    Raises:
        AccountBanned, CompanyNotFound, CompanyAlreadyVerified, InvalidDomain
    """
    await lock_active_user(work, user_id)
    company = await repository.company_state(work, company_id)
    if company is None:
        raise CompanyNotFound
    ensure_claimable(company, email=email)
    claim_id, expires_at = new_id(), datetime.now(UTC) + LIFE
    token = claim_token(signing_key, claim_id)
    # Not a race: the user's row is locked.
    await work.session.execute(
        delete(CompanyClaim).where(CompanyClaim.company_id == company_id, CompanyClaim.user_id == user_id)
    )
    work.session.add(
        CompanyClaim(
            id=claim_id,
            company_id=company_id,
            user_id=user_id,
            method=method,
            email=email,
            token_hash=hash_secret(token),
            expires_at=expires_at,
        )
    )
    work.record(
        ClaimOpened(
            claim_id=claim_id,
            company_id=company_id,
            method=method,
            expires_at=expires_at,
            actor_id=user_id,
        )
    )
    if method == "mail":
        await jobs.add(work.session, MAIL_JOB, queue=MAIL_QUEUE, claim_id=str(claim_id))
    return Claim(claim_id, method, token, expires_at)


async def complete_by_token(work: UnitOfWork, company_id: UUID, *, user_id: UUID, token: str) -> None:
    """Complete a claim by the token from its mail: the company is verified, and the user becomes its admin.

    Raises:
        AccountBanned, CompanyNotFound
        InvalidLinkToken: Wrong, used, expired, replaced, or of another user or company.
        CompanyAlreadyVerified: Another claim was completed first.
    """
    await lock_active_user(work, user_id)
    company = await _locked(work, company_id)
    claim_id = await repository.claim_of_token(
        work, company_id=company_id, user_id=user_id, token_hash=hash_secret(token)
    )
    if claim_id is None:
        raise InvalidLinkToken
    await _complete(work, company, claim_id=claim_id, user_id=user_id, method="mail")


async def complete_by_proof(work: UnitOfWork, claim: repository.ClaimState) -> None:
    """Complete a claim whose published proof was found.

    Raises:
        AccountBanned, CompanyNotFound, InvalidLinkToken, CompanyAlreadyVerified
    """
    await lock_active_user(work, claim.user_id)
    company = await _locked(work, claim.company_id)
    await _complete(work, company, claim_id=claim.id, user_id=claim.user_id, method=claim.method)


async def request_check(
    work: UnitOfWork, company_id: UUID, *, user_id: UUID, method: str, jobs: JobQueue
) -> None:
    """Queue a check of the user's published proof.

    Raises:
        AccountBanned, CompanyNotFound, CompanyAlreadyVerified
        InvalidLinkToken: The user has no open claim for the company by this method.
    """
    await lock_active_user(work, user_id)
    company = await _locked(work, company_id)
    claim_id = await repository.published_claim(work, company_id=company_id, user_id=user_id, method=method)
    if claim_id is None:
        raise InvalidLinkToken("You have no open claim of this kind; claim the company first")
    if company.verified:
        raise CompanyAlreadyVerified
    await queue_check(work, claim_id, jobs=jobs)


async def queue_check(work: UnitOfWork, claim_id: UUID, *, jobs: JobQueue) -> None:
    """Add the job that checks the proof, unless one was added within `CHECK_PAUSE`: claimants cannot use us to flood a
    host with requests."""
    marking = (
        update(CompanyClaim)
        .where(
            CompanyClaim.id == claim_id,
            or_(CompanyClaim.checked_at.is_(None), CompanyClaim.checked_at < func.now() - CHECK_PAUSE),
        )
        .values(checked_at=func.now())
        .returning(CompanyClaim.id)
        .execution_options(synchronize_session=False)
    )
    if (await work.session.execute(marking)).first():
        await jobs.add(work.session, CHECK_JOB, claim_id=str(claim_id))


async def _locked(work: UnitOfWork, company_id: UUID) -> CompanyState:
    company = await repository.lock_company(work, company_id)
    if company is None:
        raise CompanyNotFound
    return company


async def _complete(
    work: UnitOfWork, company: CompanyState, *, claim_id: UUID, user_id: UUID, method: str
) -> None:
    """Complete a claim under the lock of the company's row, so that of concurrent claims the first one wins.

    A claimant who was not on the team starts a new one, so that the former team does not regain its rights.
    """
    if company.verified:
        raise CompanyAlreadyVerified
    using = (
        update(CompanyClaim)
        .where(
            CompanyClaim.id == claim_id,
            CompanyClaim.used_at.is_(None),
            CompanyClaim.expires_at > func.now(),
        )
        .values(used_at=func.now())
        .returning(CompanyClaim.id)
        .execution_options(synchronize_session=False)
    )
    if not (await work.session.execute(using)).first():
        raise InvalidLinkToken
    is_new = not await repository.is_on_team(work, company_id=company.id, user_id=user_id)
    if is_new:
        await start_new_team(work, company.id, actor_id=user_id)
    await verify_company(work, company.id, actor_id=user_id)
    await add_member(work, company_id=company.id, user_id=user_id, role="admin", actor_id=user_id)
    work.record(
        CompanyClaimed(
            company_id=company.id,
            claim_id=claim_id,
            method=method,
            starts_new_team=is_new,
            actor_id=user_id,
        )
    )
