"""Responses about users of a company and invitations."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from bugrelay.domain.bugs.schemas import UserRef
from bugrelay.domain.companies.schemas import Role, RoleName
from bugrelay.http.responses import Message
from bugrelay.infra.pagination import Pagination


class TenantUserOut(Struct, kw_only=True):
    """A user of a tenant.

    Attributes:
        id: The user's id.
        email: The address.
        name: The name to show; the username where they have given none.
        username: The public name.
        role: What they may do in the tenant, by the name in the API that the request has named a role of, else in the
            ticket API.
        company_role: The same, by our name.
        avatar_url: The address of a picture.
        is_active: Whether they have rights in the tenant.
        created_at: When they registered.
        updated_at: When they last changed their account.
    """

    id: UUID
    email: str
    name: str
    username: str
    role: RoleName
    company_role: Role
    avatar_url: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


class InvitationOut(Struct, kw_only=True):
    """An invitation that can be accepted.

    Attributes:
        id: The invitation's id.
        email: The address that it was mailed to.
        role: The role that it gives, by the name in the API that the request has named a role of, else in the ticket
            API.
        company_role: The same, by our name.
        created_at: When it was sent.
        expires_at: Until when it can be accepted.
        inviter: Who sent it.
    """

    id: UUID
    email: str
    role: RoleName
    company_role: Role
    created_at: datetime
    expires_at: datetime
    inviter: UserRef


class InvitationList(Struct):
    """The invitations of a tenant that can be accepted.

    Attributes:
        invitations: Those of this page.
    """

    invitations: list[InvitationOut]
    pagination: Pagination


class UserAddedResponse(Message):
    """The user who was added, or the invitation that was sent.

    Attributes:
        user: The user who was added; null where an invitation was sent.
        invitation: The invitation that was sent; null where a user was added.
    """

    user: TenantUserOut | None
    invitation: InvitationOut | None


class InvitationAcceptedResponse(Message):
    """The company whose invitation was accepted.

    Attributes:
        company_id: The company.
        domain: Its domain.
        role: My role in it, by the name in the ticket API.
        company_role: The same, by our name.
    """

    company_id: UUID
    domain: str
    role: RoleName
    company_role: Role


class TenantUserList(Struct):
    """The users of a tenant.

    Attributes:
        users: Those of this page.
    """

    users: list[TenantUserOut]
    pagination: Pagination
