"""The team of a company: list, add, change roles, remove.

Every change of a team locks the company's row first, and reads the actor's role under that lock: if two admins remove
each other concurrently, the second one finds that they are no admin any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.accounts.models import VERIFY_EMAIL, User, email_key
from bugrelay.domain.accounts.repository import AccountAtAddress, account_at
from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.accounts.service.links import request_link
from bugrelay.domain.companies import policies, repository
from bugrelay.domain.companies.domains import email_domain
from bugrelay.domain.companies.errors import (
    AlreadyMember,
    CompanyNotFound,
    InvalidDomain,
    LastAdmin,
    MemberNotFound,
    NotMember,
)
from bugrelay.domain.companies.events import MemberAdded, MemberLeft, MemberRoleChanged
from bugrelay.domain.companies.models import CompanyClaim, FormerMember, Invitation, Member
from bugrelay.domain.companies.schemas import CompanyState, FormerColleague, TeamMember
from bugrelay.domain.companies.visibility import sees_former_members
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.database import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import JobQueue
from bugrelay.infra.mail.limits import MailLimits
from bugrelay.infra.pagination import PageQuery


@dataclass(frozen=True)
class Team:
    """A page of a team, the total, and for its admins the latest hundred former members (else None)."""

    members: list[TeamMember]
    total: int
    former_members: list[FormerColleague] | None


async def list_team(reader: Reader, company_id: UUID, query: PageQuery, *, role: str) -> Team:
    """The team as a viewer with this role sees it."""
    members, total = await repository.list_members(reader, company_id, query, role=role)
    former_members = None
    if sees_former_members(role):
        former_members = await repository.former_members(reader, company_id)
    return Team(members, total, former_members)


async def get_member(reader: Reader, company_id: UUID, *, user_id: UUID) -> TeamMember:
    """A member as the team's admins see them.

    Raises:
        MemberNotFound
    """
    member = await repository.find_member(reader, company_id=company_id, user_id=user_id)
    if member is None:
        raise MemberNotFound
    return member


async def add_to_team(
    work: UnitOfWork,
    company_id: UUID,
    *,
    actor_id: UUID,
    email: str,
    role: str,
    jobs: JobQueue,
    mail_limits: MailLimits,
) -> UUID:
    """Add the registered user at an address, and return their id.

    The address must be at exactly the company's domain. The membership becomes effective when the address is verified:
    otherwise anybody could register with a colleague's address and be taken for them. A mail asks the user to verify
    it, unless the mail limit of the address is reached; they can request one later.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, InvalidDomain, AlreadyMember
        UserNotFound: Only for addresses at the company's domain, so that nobody can probe others for accounts.
    """
    company = await lock_as_admin(work, company_id, actor_id=actor_id)
    if email_domain(email) != company.domain:
        raise InvalidDomain("Members must have an address at exactly the company's domain")
    account = await account_at(work, email)
    if account is None:
        raise UserNotFound("There is no account with this address")
    await add_account_at_domain(
        work,
        company_id,
        account,
        email=email,
        role=role,
        actor_id=actor_id,
        jobs=jobs,
        mail_limits=mail_limits,
    )
    return account.id


async def add_account_at_domain(
    work: UnitOfWork,
    company_id: UUID,
    account: AccountAtAddress,
    *,
    email: str,
    role: str,
    actor_id: UUID,
    jobs: JobQueue,
    mail_limits: MailLimits,
) -> None:
    """Make the account at an address of the company's domain a member, effective once the address is verified.

    Raises:
        AlreadyMember
    """
    counts_at_once = account.is_email_verified
    await add_by_address(
        work,
        company_id,
        user_id=account.id,
        email=email,
        role=role,
        counts_at_once=counts_at_once,
        actor_id=actor_id,
    )
    if not counts_at_once and await mail_limits.take(email, caller=f"user:{actor_id}") == 0:
        await request_link(work, user_id=account.id, purpose=VERIFY_EMAIL, jobs=jobs)


async def add_by_address(
    work: UnitOfWork,
    company_id: UUID,
    *,
    user_id: UUID,
    email: str,
    role: str,
    counts_at_once: bool,
    actor_id: UUID,
) -> None:
    """Make the user a member by their address, and delete its invitation. The company's row must be locked.

    Raises:
        AlreadyMember
    """
    key = email_key(email)
    if not await _insert(work, company_id=company_id, user_id=user_id, role=role, key=key):
        raise AlreadyMember
    await work.session.execute(
        delete(Invitation).where(Invitation.company_id == company_id, Invitation.email_key == key)
    )
    work.record(
        MemberAdded(
            company_id=company_id,
            user_id=user_id,
            role=role,
            counts_at_once=counts_at_once,
            actor_id=actor_id,
        )
    )


async def change_role(
    work: UnitOfWork, company_id: UUID, *, actor_id: UUID, user_id: UUID, role: str
) -> None:
    """Give a member another role, as an admin of the company.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, MemberNotFound, LastAdmin
    """
    await lock_as_admin(work, company_id, actor_id=actor_id)
    member = await get_member(work, company_id, user_id=user_id)
    await ensure_admin_stays(work, company_id, user_id=user_id, role=member.role, new_role=role)
    await set_role(work, company_id, user_id=user_id, role=role, actor_id=actor_id)


async def remove_from_team(work: UnitOfWork, company_id: UUID, *, actor_id: UUID, user_id: UUID) -> None:
    """Remove a member: admins may remove anybody, others themselves.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, MemberNotFound, LastAdmin
    """
    _, role = await _lock(work, company_id, actor_id=actor_id)
    if user_id != actor_id and not policies.may_manage(role):
        raise InsufficientPermissions("Only the company's admins may remove somebody else")
    member = await get_member(work, company_id, user_id=user_id)
    await ensure_admin_stays(work, company_id, user_id=user_id, role=member.role, new_role=None)
    await remove_member(work, company_id, user_id=user_id, actor_id=actor_id)


async def lock_as_admin(work: UnitOfWork, company_id: UUID, *, actor_id: UUID) -> CompanyState:
    """Lock the company until the transaction ends, and check that the actor is its admin.

    Raises:
        AccountBanned, CompanyNotFound, NotMember, InsufficientPermissions
    """
    company, role = await _lock(work, company_id, actor_id=actor_id)
    if not policies.may_manage(role):
        raise InsufficientPermissions("Only the company's admins may do this")
    return company


async def _lock(work: UnitOfWork, company_id: UUID, *, actor_id: UUID) -> tuple[CompanyState, str]:
    await lock_active_user(work, actor_id)
    company = await repository.lock_company(work, company_id)
    if company is None:
        raise CompanyNotFound
    role = await repository.role_of(work, user_id=actor_id, company_id=company_id)
    if role is None:
        raise NotMember
    return company, role


async def ensure_admin_stays(
    work: UnitOfWork, company_id: UUID, *, user_id: UUID, role: str, new_role: str | None
) -> None:
    """Check that another effective admin remains, before a role changes or, with None, a membership ends.

    The company's row must be locked.

    Raises:
        LastAdmin
    """
    if policies.may_manage(new_role) or not policies.may_manage(role):
        return
    if not await repository.has_other_admin(work, company_id=company_id, user_id=user_id):
        raise LastAdmin


async def add_member(
    work: UnitOfWork, *, company_id: UUID, user_id: UUID, role: str, actor_id: UUID | None
) -> bool:
    """Make the user an effective member whatever their address: for a proven claim, or the operator's command.

    An existing member gets the role, and becomes effective. Returns whether they are a new member.
    """
    if await _insert(work, company_id=company_id, user_id=user_id, role=role, key=None):
        work.record(
            MemberAdded(
                company_id=company_id, user_id=user_id, role=role, counts_at_once=True, actor_id=actor_id
            )
        )
        return True
    await work.session.execute(
        update(Member)
        .where(Member.company_id == company_id, Member.user_id == user_id)
        .values(role=role, email_key=None, is_active=True)
    )
    work.record(MemberRoleChanged(company_id=company_id, user_id=user_id, role=role, actor_id=actor_id))
    return False


async def start_new_team(work: UnitOfWork, company_id: UUID, *, actor_id: UUID) -> None:
    """Make all members former members, and delete their invitations. The company's row must be locked."""
    await work.session.execute(delete(Invitation).where(Invitation.company_id == company_id))
    ended = (
        delete(Member)
        .where(Member.company_id == company_id)
        .returning(Member.company_id, Member.user_id, Member.role, Member.added_at)
        .cte("ended")
    )
    kept = insert(FormerMember).from_select(
        ["company_id", "user_id", "role", "added_at"],
        select(ended.c.company_id, ended.c.user_id, ended.c.role, ended.c.added_at),
    )
    again = kept.on_conflict_do_update(
        index_elements=["company_id", "user_id"],
        set_={name: kept.excluded[name] for name in ("role", "added_at", "ended_at")},
    )
    for user_id in await work.session.scalars(again.returning(FormerMember.user_id)):
        work.record(MemberLeft(company_id=company_id, user_id=user_id, actor_id=actor_id))


async def _insert(work: UnitOfWork, *, company_id: UUID, user_id: UUID, role: str, key: str | None) -> bool:
    """Insert a membership, which replaces a former one; returns False for an existing member.

    `key` is the address that the membership depends on, or None.
    """
    made = await work.session.execute(
        insert(Member)
        .values(id=new_id(), company_id=company_id, user_id=user_id, role=role, email_key=key)
        .on_conflict_do_nothing(index_elements=["company_id", "user_id"])
        .returning(Member.id)
    )
    await work.session.execute(
        delete(FormerMember).where(FormerMember.company_id == company_id, FormerMember.user_id == user_id)
    )
    return made.first() is not None


async def set_role(
    work: UnitOfWork, company_id: UUID, *, user_id: UUID, role: str, actor_id: UUID | None
) -> None:
    """Store a member's role. The company's row must be locked."""
    await work.session.execute(
        update(Member).where(Member.company_id == company_id, Member.user_id == user_id).values(role=role)
    )
    work.record(MemberRoleChanged(company_id=company_id, user_id=user_id, role=role, actor_id=actor_id))


async def remove_member(work: UnitOfWork, company_id: UUID, *, user_id: UUID, actor_id: UUID) -> None:
    """Delete a membership, with any invitation of the user's address. The company's row must be locked."""
    address = select(User.email_key).where(User.id == user_id).scalar_subquery()
    for theirs in (
        delete(Invitation).where(Invitation.company_id == company_id, Invitation.email_key == address),
        delete(Member).where(Member.company_id == company_id, Member.user_id == user_id),
    ):
        await work.session.execute(theirs, execution_options={"synchronize_session": False})
    work.record(MemberLeft(company_id=company_id, user_id=user_id, actor_id=actor_id))


async def delete_memberships(session: AsyncSession, erased: Sequence[AccountErased]) -> None:
    """Delete the memberships, claims and invitations of erased accounts.

    A company that loses its last admin so keeps its profile; a system admin can unverify it, so that it can be claimed
    again.
    """
    user_ids = [account.user_id for account in erased]
    await session.execute(delete(Invitation).where(Invitation.inviter_id.in_(user_ids)))
    for table in (CompanyClaim, Member, FormerMember):
        await session.execute(delete(table).where(table.user_id.in_(user_ids)))
