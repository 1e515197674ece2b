"""What is mine: `/api/v1/auth/profile`, `/api/v1/users/me` and below."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, delete, get, put
from litestar.params import JSONBody

from bugrelay.domain.accounts.schemas import ProfileChange
from bugrelay.domain.accounts.service import change_profile
from bugrelay.domain.accounts.service.password_check import check_current_password
from bugrelay.domain.accounts.service.registration import erase_account
from bugrelay.domain.bugs.schemas import BugList, BugQuery
from bugrelay.domain.bugs.search.service import list_bugs
from bugrelay.domain.profiles import repository
from bugrelay.domain.profiles.export import export_of
from bugrelay.domain.profiles.schemas import (
    EraseAccount,
    MyCommentList,
    MyVoteList,
    ProfileChanged,
    ProfileResponse,
)
from bugrelay.http.guard import users
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.pagination import CursorQuery, PageQuery, Pagination


class MyController(Controller):
    path = "/api/v1"
    tags = ("Accounts",)

    @get(["/auth/profile", "/users/me"], opt=users().opt())
    async def show(self, request: ApiRequest) -> Response[ProfileResponse]:
        """My account and the companies I belong to."""
        return json_response(
            ProfileResponse(await repository.profile_of(request.platform.database, request.user_id))
        )

    @put("/auth/profile", opt=users().opt())
    async def change(self, request: ApiRequest, data: JSONBody[ProfileChange]) -> Response[ProfileChanged]:
        """Change my profile; what is absent stays as it is."""
        async with request.platform.work() as work:
            await change_profile(work, request.user_id, data)
            profile = await repository.profile_of(work.reader, request.user_id)
        return json_response(ProfileChanged("Profile updated successfully", profile))

    @get("/users/me/bugs", opt=users().opt(query=CursorQuery))
    async def bugs(self, request: ApiRequest) -> Response[BugList]:
        """What I reported, newest first."""
        page = request.read_query(CursorQuery)
        query = BugQuery(page=page.page, limit=page.limit, cursor=page.cursor, reporter_id=request.user_id)
        found = await list_bugs(request.platform.database, request.platform.counts, query)
        return json_response(BugList(found.bugs, found.pagination(query)))

    @get("/users/me/votes", opt=users().opt(query=PageQuery))
    async def votes(self, request: ApiRequest) -> Response[MyVoteList]:
        """What I voted for, latest first."""
        query = request.read_query(PageQuery)
        votes, total = await repository.votes_of(request.platform.database, request.user_id, query)
        return json_response(MyVoteList(votes, Pagination.of(query, total)))

    @get("/users/me/comments", opt=users().opt(query=PageQuery))
    async def comments(self, request: ApiRequest) -> Response[MyCommentList]:
        """What I wrote, latest first."""
        query = request.read_query(PageQuery)
        comments, total = await repository.comments_of(request.platform.database, request.user_id, query)
        return json_response(MyCommentList(comments, Pagination.of(query, total)))

    @get("/users/me/export", opt=users().opt())
    async def export(self, request: ApiRequest) -> Response[dict[str, Any]]:
        """Everything stored about me, as one JSON document."""
        document = await export_of(request.platform.database, request.user_id, email=request.viewer.email)
        disposition = 'attachment; filename="bugrelay-export.json"'
        return json_response(document, headers={"Content-Disposition": disposition})

    @delete("/users/me", opt=users().opt(errors=(423,)), status_code=200)
    async def erase(self, request: ApiRequest, data: JSONBody[EraseAccount]) -> Response[Message]:
        """Erase my account: what says who I am goes, what I wrote stays under "deleted user"."""
        platform = request.platform
        proven = await check_current_password(
            platform,
            user_id=request.user_id,
            email=request.viewer.email,
            password=data.password,
            ip_address=limit_identity(request.client_address),
        )
        async with platform.work() as work:
            await erase_account(work, request.user_id, proven_set_at=proven.set_at)
        return json_response(Message("Account erased"))
