"""`/api/v1/companies/{id}/members`: the team, for its members."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET

from bugrelay.api.v1.guards.companies import Membership, require_company_admin, require_member
from bugrelay.api.v1.responses.companies import MemberList, MemberResponse
from bugrelay.domain.companies.schemas import AddMember, ChangeRole, CompanyState, RemoveMember
from bugrelay.domain.companies.service import team
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, users
from bugrelay.infra.pagination import PageQuery, Pagination
from bugrelay.infra.viewer import SignedInViewer

COMPANY_ADMINS = users("company admins")


class TeamController(Controller):
    path = "/api/v1/companies/{company_id:str}/members"
    tags = ("Companies",)

    @get("/")
    @Route(access=users("company members"), loads=require_member, query=PageQuery)
    async def list_members(
        self, request: ApiRequest, membership: Membership, query: PageQuery
    ) -> Response[MemberList]:
        """List the team with its e-mail addresses.

        Its admins also see memberships that are not effective yet, and former members.
        """
        listed = await team.list_team(
            request.platform.database, membership.company.id, query, role=membership.role
        )
        page = Pagination.of(query, listed.total)
        former = UNSET if listed.former_members is None else listed.former_members
        return json_response(MemberList(listed.members, page, former))

    @post("/")
    @Route(access=COMPANY_ADMINS, loads=require_company_admin)
    async def add_member(
        self, request: ApiRequest, viewer: SignedInViewer, company: CompanyState, data: JSONBody[AddMember]
    ) -> Response[MemberResponse]:
        """Add a registered user with an address at the company's domain; effective once the address is verified."""
        platform = request.platform
        async with platform.work() as work:
            user_id = await team.add_to_team(
                work,
                company.id,
                actor_id=viewer.user_id,
                email=data.email,
                role=data.role,
                jobs=platform.jobs,
                mail_limits=platform.mail_limits,
            )
            member = await team.get_member(work, company.id, user_id=user_id)
        return json_response(MemberResponse("Member added successfully", member), status=201)

    @patch("/{user_id:str}")
    @Route(access=COMPANY_ADMINS, loads=require_company_admin)
    async def change_member_role(
        self,
        request: ApiRequest,
        viewer: SignedInViewer,
        company: CompanyState,
        user_id: UUID,
        data: JSONBody[ChangeRole],
    ) -> Response[MemberResponse]:
        """Make a member an admin, or an admin a member."""
        async with request.platform.work() as work:
            await team.change_role(work, company.id, actor_id=viewer.user_id, user_id=user_id, role=data.role)
            member = await team.get_member(work, company.id, user_id=user_id)
        return json_response(MemberResponse("Role changed successfully", member))

    @delete("/", status_code=200)
    @Route(access=users("company admins, oneself"), loads=require_member)
    async def remove_member(
        self,
        request: ApiRequest,
        viewer: SignedInViewer,
        membership: Membership,
        data: JSONBody[RemoveMember],
    ) -> Response[Message]:
        """Remove a member from the team; only admins may remove others."""
        async with request.platform.work() as work:
            await team.remove_from_team(
                work, membership.company.id, actor_id=viewer.user_id, user_id=data.user_id
            )
        return json_response(Message("Member removed successfully"))
