"""Claims: a user proves control of a company's domain, and becomes its admin.

The proof is a token that only who controls the domain can read (a mail to an address there) or publish (a TXT record,
a file). It is bound to the user and the company, so that a proof that others see is of no use to them.
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
    """A claim that was opened just now, with its token."""

    id: UUID
    method: str
    token: str
    expires_at: datetime


def claim_token(signing_key: str, claim_id: UUID) -> str:
    """The token of a claim; the mail and the publication carry it, the row its hash."""
    return link_token(signing_key, purpose="company_claim", link_id=claim_id)


def ensure_claimable(company: CompanyState, *, email: str | None) -> None:
    """
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
    """Open a claim; it replaces an older one of this user on this company, and touches nobody else's.

    Args:
        work: The change.
        company_id: The company.
        user_id: Who claims it.
        method: "mail", "dns" or "file".
        email: Where the token is mailed, for "mail" alone.
        signing_key: What tokens are made with.
        jobs: Mails the token.

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
    # One at a time, for the user's row is locked.
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
    """The token of a mail: the company is verified and the user its admin.

    Raises:
        AccountBanned
        InvalidLinkToken: Wrong, used, expired, replaced, another user's or another company's.
        CompanyAlreadyVerified: Somebody was faster.
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
    """The proof of this claim was found where only the domain's owner can put it.

    Raises:
        AccountBanned, InvalidLinkToken, CompanyAlreadyVerified
    """
    await lock_active_user(work, claim.user_id)
    company = await _locked(work, claim.company_id)
    await _complete(work, company, claim_id=claim.id, user_id=claim.user_id, method=claim.method)


async def request_check(
    work: UnitOfWork, company_id: UUID, *, user_id: UUID, method: str, jobs: JobQueue
) -> None:
    """Have the user's published proof looked for soon.

    Raises:
        AccountBanned
        InvalidLinkToken: The user has no open claim of this kind on the company.
        CompanyAlreadyVerified
    """
    await lock_active_user(work, user_id)
    company = await _locked(work, company_id)
    claim_id = await repository.published_claim(work, company_id=company_id, user_id=user_id, method=method)
    if claim_id is None:
        raise InvalidLinkToken("You have no open claim of this kind; claim the company first")
    if company.verified:
        raise CompanyAlreadyVerified
    await check_soon(work, claim_id, jobs=jobs)


async def check_soon(work: UnitOfWork, claim_id: UUID, *, jobs: JobQueue) -> None:
    """Add the job that looks for the proof, unless one was added half a minute ago: nobody makes us hammer a host."""
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
    """The company's row is locked: of many valid claims, one gets here first, and the others find it verified.

    A claimant who was not on the team starts a new one: what a former team lost with the verification stays lost.
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
