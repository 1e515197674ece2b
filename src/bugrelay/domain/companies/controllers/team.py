"""`/api/v1/companies/{id}/members`: the team, for its members."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import JSONBody

from bugrelay.domain.companies import policies, repository
from bugrelay.domain.companies.controllers.subjects import (
    company_to_manage,
    my_company,
    my_role,
    named_company,
)
from bugrelay.domain.companies.errors import MemberNotFound, NotMember
from bugrelay.domain.companies.schemas import (
    AddMember,
    ChangeRole,
    MemberAnswer,
    MemberList,
    RemoveMember,
    TeamMember,
)
from bugrelay.domain.companies.service import team
from bugrelay.http.access import users
from bugrelay.http.answers import Message, answer
from bugrelay.http.pagination import PageQuery, Pagination
from bugrelay.http.request import ApiRequest
from bugrelay.infra.db import Reader


class TeamController(Controller):
    path = "/api/v1/companies/{company_id:str}/members"
    tags = ("Companies",)

    @get("/", opt=users(my_company, role="company members").opt(query=PageQuery))
    async def list_members(self, request: ApiRequest) -> Response[MemberList]:
        """The team with its e-mail addresses; its admins also see who does not count yet, and former members."""
        query, database = request.read_query(PageQuery), request.platform.database
        company = await named_company(request)
        role = await my_role(request, company)
        if role is None:
            raise NotMember
        is_admin = policies.may_manage(role)
        members, total = await repository.list_members(database, company.id, query, for_admin=is_admin)
        listed = MemberList(members, Pagination.of(query, total))
        if is_admin:
            listed.former_members = await repository.former_members(database, company.id)
        return answer(listed)

    @post("/", opt=users(company_to_manage, role="company admins").opt())
    async def add(self, request: ApiRequest, data: JSONBody[AddMember]) -> Response[MemberAnswer]:
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
        return answer(MemberAnswer("Member added successfully", member), status=201)

    @patch("/{user_id:str}", opt=users(company_to_manage, role="company admins").opt())
    async def change_role(self, request: ApiRequest, data: JSONBody[ChangeRole]) -> Response[MemberAnswer]:
        """Make a member an admin, or an admin a member."""
        company_id, user_id = request.path_id("company_id"), request.path_id("user_id")
        async with request.platform.work() as work:
            await team.change_role(
                work, company_id, actor_id=request.user_id, user_id=user_id, role=data.role
            )
            member = await _member(work.reader, company_id, user_id)
        return answer(MemberAnswer("Role changed successfully", member))

    @delete("/", opt=users(my_company, role="company admins, oneself").opt(), status_code=200)
    async def remove(self, request: ApiRequest, data: JSONBody[RemoveMember]) -> Response[Message]:
        """Take a member off the team; who is no admin can take off themself alone."""
        async with request.platform.work() as work:
            await team.remove_from_team(
                work, request.path_id("company_id"), actor_id=request.user_id, user_id=data.user_id
            )
        return answer(Message("Member removed successfully"))


async def _member(reader: Reader, company_id: UUID, user_id: UUID) -> TeamMember:
    member = await repository.find_member(reader, company_id=company_id, user_id=user_id)
    if member is None:
        raise MemberNotFound
    return member
