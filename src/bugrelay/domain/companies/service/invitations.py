"""Invitations: an admin invites an address to the company; its owner becomes a member by accepting.

The mailed link is valid for the account at exactly that address, once the address is verified. So neither registering
with somebody else's address nor reading the link gives anybody else a membership.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.accounts.models import email_key
from bugrelay.domain.accounts.repository import account_at, lock_user
from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.companies import repository
from bugrelay.domain.companies.errors import InvitationNotFound
from bugrelay.domain.companies.events import InvitationSent, InvitationWithdrawn
from bugrelay.domain.companies.models import Company, Invitation
from bugrelay.domain.companies.schemas import OpenInvitation, Role, Tenant
from bugrelay.domain.companies.service.team import add_by_address
from bugrelay.domain.companies.service.tenants import lock_as_tenant_admin
from bugrelay.errors import EmailNotVerified, InvalidLinkToken, InvalidToken, RateLimitExceeded
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import MAIL_QUEUE, JobQueue
from bugrelay.infra.mail.limits import MailLimits
from bugrelay.infra.redis.rate_limits import Bucket, Limiter
from bugrelay.infra.security.signed_links import link_token
from bugrelay.infra.security.tokens import hash_secret
from bugrelay.settings import Rate

LIFE = timedelta(days=7)
MAIL_JOB = "companies.mail_invitation"
OF_A_COMPANY = Bucket("invitations", Rate(200, 86400))
TO_AN_ADDRESS = Bucket("invitations_to_address", Rate(3, 86400))  # by one company
_UNSYNCHRONISED = {"synchronize_session": False}


def invitation_token(signing_key: str, invitation_id: UUID) -> str:
    """The token of an invitation; the mail has it, the row its SHA-256."""
    return link_token(signing_key, purpose="company_invitation", link_id=invitation_id)


async def send_invitation(
    work: UnitOfWork, tenant: Tenant, *, email: str, role: Role, signing_key: str, jobs: JobQueue
) -> UUID:
    """Invite an address, and return the invitation's id; it replaces an older one. The company's row must be locked."""
    invitation_id = new_id()
    values = {
        "id": invitation_id,
        "email": email,
        "role": role,
        "inviter_id": tenant.user_id,
        "token_hash": hash_secret(invitation_token(signing_key, invitation_id)),
        "created_at": func.now(),
        "expires_at": datetime.now(UTC) + LIFE,
    }
    row = insert(Invitation).values(company_id=tenant.company_id, email_key=email_key(email), **values)
    await work.session.execute(
        row.on_conflict_do_update(index_elements=["company_id", "email_key"], set_=values)
    )
    await jobs.add(work.session, MAIL_JOB, queue=MAIL_QUEUE, invitation_id=str(invitation_id))
    work.record(
        InvitationSent(
            company_id=tenant.company_id, invitation_id=invitation_id, role=role, actor_id=tenant.user_id
        )
    )
    return invitation_id


async def check_invitations(tenant: Tenant, email: str, *, limiter: Limiter, mail_limits: MailLimits) -> None:
    """Charge the limits of invitations: by company, by address, and by sender.

    Raises:
        RateLimitExceeded
    """
    wait_seconds = await mail_limits.take(email, caller=f"user:{tenant.user_id}")
    if not wait_seconds:
        address = hashlib.sha256(email_key(email).encode("utf-8", "replace")).hexdigest()
        charges = [
            (OF_A_COMPANY, f"company:{tenant.company_id}"),
            (TO_AN_ADDRESS, f"company:{tenant.company_id}:{address}"),
        ]
        wait_seconds = (await limiter.hit(charges)).retry_after_seconds
    if wait_seconds:
        raise RateLimitExceeded("Too many invitations", headers={"Retry-After": str(wait_seconds)})


async def read_invitation(reader: Reader, token: str) -> OpenInvitation:
    """The invitation of a link's token.

    Raises:
        InvalidLinkToken: Wrong, used, expired, withdrawn, or its sender is no admin of the company any more.
    """
    invitation = await repository.invitation_of_token(reader, hash_secret(token))
    if invitation is None:
        raise InvalidLinkToken
    return invitation


async def accept_invitation(work: UnitOfWork, token: str, *, user_id: UUID) -> OpenInvitation:
    """Make the user a member of the company.

    Raises:
        AccountBanned, AlreadyMember
        InvalidLinkToken: Not valid any more, or for another address.
        InvalidToken: The account was erased meanwhile.
        EmailNotVerified: The user has not proven that the address is theirs.
    """
    invitation = await read_invitation(work, token)
    await lock_active_user(work, user_id)
    user = await lock_user(work.session, user_id)
    if user is None:
        raise InvalidToken
    if user.email_key != invitation.email_key:
        raise InvalidLinkToken
    if not user.is_email_verified:
        raise EmailNotVerified
    await repository.lock_company(work, invitation.company_id)
    await _consume(work, invitation.id)
    await add_by_address(
        work,
        invitation.company_id,
        user_id=user_id,
        email=user.email,
        role=invitation.role,
        counts_at_once=True,
        actor_id=user_id,
    )
    return invitation


async def accept_by_link(work: UnitOfWork, token: str) -> OpenInvitation:
    """Accept for the account at the invitation's address, without a session: the link was read in that account's mail.

    Raises:
        AccountBanned, InvalidLinkToken, EmailNotVerified, AlreadyMember
        UserNotFound: There is no account with this address.
    """
    invitation = await read_invitation(work, token)
    account = await account_at(work, invitation.email)
    if account is None:
        raise UserNotFound("There is no account with this address yet; register, verify it, and come back")
    return await accept_invitation(work, token, user_id=account.id)


async def _consume(work: UnitOfWork, invitation_id: UUID) -> None:
    """Delete an invitation that is accepted, under the lock of the company's row, which serialises acceptances,
    withdrawals and changes of roles."""
    using = (
        delete(Invitation)
        .where(Invitation.id == invitation_id, Invitation.company_id == Company.id, repository.ACCEPTABLE)
        .returning(Invitation.id)
    )
    if await work.session.scalar(using, execution_options=_UNSYNCHRONISED) is None:
        raise InvalidLinkToken


async def withdraw_invitation(work: UnitOfWork, tenant: Tenant, *, invitation_id: UUID) -> None:
    """Withdraw an invitation, for an admin of the company.

    Raises:
        AccountBanned, CompanyNotFound, InsufficientPermissions
        InvitationNotFound: Accepted or withdrawn meanwhile, or another company's.
    """
    await lock_as_tenant_admin(work, tenant)
    withdrawing = (
        delete(Invitation)
        .where(Invitation.id == invitation_id, Invitation.company_id == tenant.company_id)
        .returning(Invitation.id)
    )
    if await work.session.scalar(withdrawing, execution_options=_UNSYNCHRONISED) is None:
        raise InvitationNotFound
    work.record(
        InvitationWithdrawn(
            company_id=tenant.company_id, invitation_id=invitation_id, actor_id=tenant.user_id
        )
    )
