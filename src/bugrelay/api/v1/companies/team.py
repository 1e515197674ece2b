"""`/api/v1/companies/{id}/members`: the team, for its members."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.companies import load_company, member_role, require_company_admin, require_member
from bugrelay.domain.companies import policies, repository
from bugrelay.domain.companies.errors import MemberNotFound, NotMember
from bugrelay.domain.companies.schemas import (
    AddMember,
    ChangeRole,
    MemberList,
    MemberResponse,
    RemoveMember,
    TeamMember,
)
from bugrelay.domain.companies.service import team
from bugrelay.http.guard import users
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.infra.db.database import Reader
from bugrelay.infra.pagination import PageQuery, Pagination


class TeamController(Controller):
    path = "/api/v1/companies/{company_id:str}/members"
    tags = ("Companies",)

    @get("/", opt=users(require_member, role="company members").opt(query=PageQuery))
    async def list_members(self, request: ApiRequest) -> Response[MemberList]:
        """The team with its e-mail addresses; its admins also see who does not count yet, and former members."""
        query, database = request.read_query(PageQuery), request.platform.database
        company = await load_company(request)
        role = await member_role(request, company)
        if role is None:
            raise NotMember
        is_admin = policies.may_manage(role)
        members, total = await repository.list_members(database, company.id, query, for_admin=is_admin)
        listed = MemberList(members, Pagination.of(query, total))
        if is_admin:
            listed.former_members = await repository.former_members(database, company.id)
        return json_response(listed)

    @post("/", opt=users(require_company_admin, role="company admins").opt())
    async def add(self, request: ApiRequest, data: JSONBody[AddMember]) -> Response[MemberResponse]:
        """Add a registered user whose address is at the company's domain; they count once it is verified."""
        company_id = request.path_id("company_id")
        async with request.platform.work() as work:
            user_id = await team.add_to_team(
                request.platform,
                work,
                company_id,
                actor_id=request.user_id,
                email=data.email,
                role=data.role,
            )
            member = await _member(work.reader, company_id, user_id)
        return json_response(MemberResponse("Member added successfully", member), status=201)

    @patch("/{user_id:str}", opt=users(require_company_admin, role="company admins").opt())
    async def change_role(self, request: ApiRequest, data: JSONBody[ChangeRole]) -> Response[MemberResponse]:
        """Make a member an admin, or an admin a member."""
        company_id, user_id = request.path_id("company_id"), request.path_id("user_id")
        async with request.platform.work() as work:
            await team.change_role(
                work, company_id, actor_id=request.user_id, user_id=user_id, role=data.role
            )
            member = await _member(work.reader, company_id, user_id)
        return json_response(MemberResponse("Role changed successfully", member))

    @delete("/", opt=users(require_member, role="company admins, oneself").opt(), status_code=200)
    async def remove(self, request: ApiRequest, data: JSONBody[RemoveMember]) -> Response[Message]:
        """Take a member off the team; who is no admin can take off themself alone."""
        async with request.platform.work() as work:
            await team.remove_from_team(
                work, request.path_id("company_id"), actor_id=request.user_id, user_id=data.user_id
            )
        return json_response(Message("Member removed successfully"))


async def _member(reader: Reader, company_id: UUID, user_id: UUID) -> TeamMember:
    member = await repository.find_member(reader, company_id=company_id, user_id=user_id)
    if member is None:
        raise MemberNotFound
    return member
