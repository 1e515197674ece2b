"""Users of a tenant, in all roles: add or invite, change, remove.

As every change of a team, each locks the company's row first, and reads the actor's role under that lock
(`service/team.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import update

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.accounts.models import email_key
from bugrelay.domain.accounts.repository import account_at
from bugrelay.domain.companies import policies, repository
from bugrelay.domain.companies.domains import email_domain
from bugrelay.domain.companies.errors import AlreadyMember, InvalidDomain
from bugrelay.domain.companies.events import MemberActivityChanged
from bugrelay.domain.companies.models import Member
from bugrelay.domain.companies.schemas import CompanyState, Role, Tenant
from bugrelay.domain.companies.service.invitations import check_invitations, send_invitation
from bugrelay.domain.companies.service.team import (
    add_account_at_domain,
    ensure_admin_stays,
    remove_member,
    set_role,
)
from bugrelay.domain.companies.service.tenants import lock_as_tenant_admin, lock_tenant_company
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.jobs.queue import JobQueue
from bugrelay.infra.mail.limits import MailLimits
from bugrelay.infra.redis.rate_limits import Limiter


@dataclass(frozen=True)
class AddedUser:
    """A user who was added to the tenant."""

    id: UUID


@dataclass(frozen=True)
class SentInvitation:
    """An invitation that was queued for sending."""

    id: UUID


@dataclass(frozen=True)
class Outgoing:
    """What sending an invitation needs.

    Attributes:
        signing_key: The key that its token is derived from.
        jobs: The queue of the job that mails it.
        limiter: Limits of invitations.
        mail_limits: Limits of mails.
    """

    signing_key: str
    jobs: JobQueue
    limiter: Limiter
    mail_limits: MailLimits


async def add_tenant_user(
    work: UnitOfWork, tenant: Tenant, *, email: str, role: Role, outgoing: Outgoing
) -> AddedUser | SentInvitation:
    """Add the account at an address of the company's domain; invite any other address.

    For addresses elsewhere, accounts are not looked up, so nobody can learn whether there is one.

    Raises:
        AccountBanned, CompanyNotFound, InsufficientPermissions, AlreadyMember, RateLimitExceeded
        InvalidDomain: Admins and members must have an address at exactly the company's domain.
    """
    company = await lock_as_tenant_admin(work, tenant)
    _check_address(company, email, role=role)
    if await repository.has_member_at(work, company_id=company.id, email_key=email_key(email)):
        raise AlreadyMember
    account = await account_at(work, email) if email_domain(email) == company.domain else None
    if account is not None:
        await add_account_at_domain(
            work,
            company.id,
            account,
            email=email,
            role=role,
            actor_id=tenant.user_id,
            jobs=outgoing.jobs,
            mail_limits=outgoing.mail_limits,
        )
        return AddedUser(account.id)
    await check_invitations(tenant, email, limiter=outgoing.limiter, mail_limits=outgoing.mail_limits)
    invitation_id = await send_invitation(
        work, tenant, email=email, role=role, signing_key=outgoing.signing_key, jobs=outgoing.jobs
    )
    return SentInvitation(invitation_id)


async def change_tenant_user(
    work: UnitOfWork, tenant: Tenant, *, user_id: UUID, role: Role | None, is_active: bool | None
) -> None:
    """Change a user's role, or activate or deactivate them; None leaves a value unchanged.

    A reporter may have any address; admins and members must have one at the company's domain.

    Raises:
        AccountBanned, CompanyNotFound, InsufficientPermissions, UserNotFound, InvalidDomain, LastAdmin
    """
    company = await lock_as_tenant_admin(work, tenant)
    membership = await repository.membership_state(work, company_id=company.id, user_id=user_id)
    if membership is None:
        raise UserNotFound
    if role is not None and role != membership.role:
        _check_address(company, membership.email_key, role=role)
        await ensure_admin_stays(work, company.id, user_id=user_id, role=membership.role, new_role=role)
        await set_role(work, company.id, user_id=user_id, role=role, actor_id=tenant.user_id)
    if is_active is not None and is_active != membership.is_active:
        role_now = role or membership.role
        await ensure_admin_stays(
            work, company.id, user_id=user_id, role=role_now, new_role=role_now if is_active else None
        )
        await _set_active(work, tenant, user_id=user_id, role=role_now, is_active=is_active)


async def remove_tenant_user(work: UnitOfWork, tenant: Tenant, *, user_id: UUID) -> None:
    """Remove a user from the tenant, by one of its admins or by themselves; the account stays.

    Raises:
        AccountBanned, CompanyNotFound, InsufficientPermissions, UserNotFound, LastAdmin
    """
    company, role = await lock_tenant_company(work, tenant)
    if user_id != tenant.user_id and not policies.may_manage(role):
        raise InsufficientPermissions("Only the company's admins may remove somebody else")
    membership = await repository.membership_state(work, company_id=company.id, user_id=user_id)
    if membership is None:
        raise UserNotFound
    await ensure_admin_stays(work, company.id, user_id=user_id, role=membership.role, new_role=None)
    await remove_member(work, company.id, user_id=user_id, actor_id=tenant.user_id)


def _check_address(company: CompanyState, address: str | None, *, role: Role) -> None:
    """Check the address of a future member of the team; memberships by a claim or the operator depend on none."""
    if not policies.is_on_team(role) or address is None:
        return
    if email_domain(address) != company.domain:
        raise InvalidDomain(
            "Members must have an address at exactly the company's domain; reporters need none"
        )


async def _set_active(
    work: UnitOfWork, tenant: Tenant, *, user_id: UUID, role: Role, is_active: bool
) -> None:
    is_theirs = (Member.company_id == tenant.company_id, Member.user_id == user_id)
    await work.session.execute(update(Member).where(*is_theirs).values(is_active=is_active))
    work.record(
        MemberActivityChanged(
            company_id=tenant.company_id,
            user_id=user_id,
            role=role,
            is_active=is_active,
            actor_id=tenant.user_id,
        )
    )
