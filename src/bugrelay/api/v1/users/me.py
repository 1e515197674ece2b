"""The caller's own account and data: `/api/v1/auth/profile`, `/api/v1/users/me` and below."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, delete, get, put
from litestar.params import JSONBody

from bugrelay.api.v1.responses.accounts import (
    MyCommentList,
    MyVoteList,
    ProfileChangedResponse,
    ProfileResponse,
)
from bugrelay.api.v1.responses.bugs import BugList
from bugrelay.domain.accounts.schemas import ProfileChange
from bugrelay.domain.accounts.service import change_profile, registration
from bugrelay.domain.accounts.service.password_check import check_current_password
from bugrelay.domain.bugs.schemas import BugQuery
from bugrelay.domain.bugs.search.service import list_bugs
from bugrelay.domain.profiles import repository
from bugrelay.domain.profiles.export import export_of
from bugrelay.domain.profiles.schemas import EraseAccount
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, users
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.pagination import CursorQuery, PageQuery, Pagination
from bugrelay.infra.viewer import SignedInViewer


class MyController(Controller):
    path = "/api/v1"
    tags = ("Accounts",)

    @get("/users/me")
    @Route(access=users())
    async def get_me(self, request: ApiRequest, viewer: SignedInViewer) -> Response[ProfileResponse]:
        """Show my account and the companies I belong to."""
        return json_response(
            ProfileResponse(await repository.profile_of(request.platform.database, viewer.user_id))
        )

    @get("/auth/profile")
    @Route(access=users())
    async def get_profile(self, request: ApiRequest, viewer: SignedInViewer) -> Response[ProfileResponse]:
        """Show my account and the companies I belong to, as `GET /users/me` does."""
        return json_response(
            ProfileResponse(await repository.profile_of(request.platform.database, viewer.user_id))
        )

    @put("/auth/profile")
    @Route(access=users())
    async def update_profile(
        self, request: ApiRequest, viewer: SignedInViewer, data: JSONBody[ProfileChange]
    ) -> Response[ProfileChangedResponse]:
        """Change my profile; absent fields stay unchanged."""
        async with request.platform.work() as work:
            await change_profile(work, viewer.user_id, data)
            profile = await repository.profile_of(work, viewer.user_id)
        return json_response(ProfileChangedResponse("Profile updated successfully", profile))

    @get("/users/me/bugs")
    @Route(access=users(), query=CursorQuery)
    async def list_my_bugs(
        self, request: ApiRequest, viewer: SignedInViewer, query: CursorQuery
    ) -> Response[BugList]:
        """List the bugs that I reported, newest first."""
        wanted = BugQuery(page=query.page, limit=query.limit, cursor=query.cursor, reporter_id=viewer.user_id)
        async with request.platform.database.reading() as reader:
            found = await list_bugs(reader, request.platform.counts, wanted)
        return json_response(BugList(found.bugs, found.pagination(wanted)))

    @get("/users/me/votes")
    @Route(access=users(), query=PageQuery)
    async def list_my_votes(
        self, request: ApiRequest, viewer: SignedInViewer, query: PageQuery
    ) -> Response[MyVoteList]:
        """List the bugs that I voted for, latest vote first."""
        votes, total = await repository.votes_of(request.platform.database, viewer.user_id, query)
        return json_response(MyVoteList(votes, Pagination.of(query, total)))

    @get("/users/me/comments")
    @Route(access=users(), query=PageQuery)
    async def list_my_comments(
        self, request: ApiRequest, viewer: SignedInViewer, query: PageQuery
    ) -> Response[MyCommentList]:
        """List my comments, latest first."""
        comments, total = await repository.comments_of(request.platform.database, viewer.user_id, query)
        return json_response(MyCommentList(comments, Pagination.of(query, total)))

    @get("/users/me/export")
    @Route(access=users())
    async def export_my_data(self, request: ApiRequest, viewer: SignedInViewer) -> Response[dict[str, Any]]:
        """Export everything stored about me, as one JSON document."""
        document = await export_of(request.platform.database, viewer.user_id, email=viewer.email)
        disposition = 'attachment; filename="bugrelay-export.json"'
        return json_response(document, headers={"Content-Disposition": disposition})

    @delete("/users/me", status_code=200)
    @Route(access=users(), errors=(423,))
    async def erase_account(
        self, request: ApiRequest, viewer: SignedInViewer, data: JSONBody[EraseAccount]
    ) -> Response[Message]:
        """Erase my account: personal data is deleted, my texts stay, by "deleted user"."""
        platform = request.platform
        proven = await check_current_password(
            viewer.user_id,
            email=viewer.email,
            password=data.password,
            ip_address=limit_identity(request.client_address),
            database=platform.database,
            passwords=platform.passwords,
        )
        async with platform.work() as work:
            await registration.erase_account(work, viewer.user_id, proven_set_at=proven.set_at)
        return json_response(Message("Account erased"))
