"""SELECTs of invitations."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Integer, and_, bindparam, exists, func, select
from sqlalchemy.orm import aliased

from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.repository import ACTIVE
from bugrelay.domain.companies.models import ADMIN, Company, Invitation, Member
from bugrelay.domain.companies.schemas import OpenInvitation
from bugrelay.domain.companies.visibility import EFFECTIVE
from bugrelay.infra.db.query import Query, Reader
from bugrelay.infra.pagination import PageQuery

_is_sent_by_admin = exists().where(
    Member.company_id == Invitation.company_id,
    Member.user_id == Invitation.inviter_id,
    Member.role == ADMIN,
    User.id == Member.user_id,
    EFFECTIVE,
    ACTIVE,
)
# Whether an invitation can be accepted, for statements that join the company: its sender must still be an admin.
ACCEPTABLE = and_(Invitation.expires_at > func.now(), Company.verified, _is_sent_by_admin)
_inviter = aliased(User)
_INVITATIONS = (
    select(
        Invitation.id,
        Invitation.email,
        Invitation.email_key,
        Invitation.role,
        Invitation.created_at,
        Invitation.expires_at,
        Invitation.inviter_id,
        _inviter.username.label("inviter_username"),
        Invitation.company_id,
        Company.domain,
    )
    .select_from(Invitation)
    .join(Company, Company.id == Invitation.company_id)
    .join(_inviter, _inviter.id == Invitation.inviter_id)
    .where(ACCEPTABLE)
)
_INVITATION = Query(_INVITATIONS.where(Invitation.id == bindparam("invitation_id")), OpenInvitation)
_INVITATION_OF_TOKEN = Query(
    _INVITATIONS.where(Invitation.token_hash == bindparam("token_hash")), OpenInvitation
)
_INVITATIONS_OF = _INVITATIONS.where(Invitation.company_id == bindparam("company_id"))
_INVITATION_PAGE = Query(
    _INVITATIONS_OF.order_by(Invitation.id.desc())
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer)),
    OpenInvitation,
)
_INVITATION_TOTAL = Query(_INVITATIONS_OF.with_only_columns(func.count()), int)


async def open_invitation(reader: Reader, invitation_id: UUID) -> OpenInvitation | None:
    """The invitation, or None if it cannot be accepted any more."""
    return await reader.row(_INVITATION, {"invitation_id": invitation_id})


async def invitation_of_token(reader: Reader, token_hash: bytes) -> OpenInvitation | None:
    """The invitation of a link's token, or None if it cannot be accepted any more."""
    return await reader.row(_INVITATION_OF_TOKEN, {"token_hash": token_hash})


async def list_invitations(
    reader: Reader, company_id: UUID, query: PageQuery
) -> tuple[list[OpenInvitation], int]:
    """A page of the invitations that can be accepted, the newest first, and the total."""
    total = await reader.row(_INVITATION_TOTAL, {"company_id": company_id})
    values = {"company_id": company_id, "limit": query.limit, "offset": query.offset}
    return list(await reader.rows(_INVITATION_PAGE, values)), total or 0
