"""`/api/v1/admin/bugs`: the queue, removal, merging."""

from __future__ import annotations

from litestar import Controller, Response, delete, get, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.moderation import load_bug
from bugrelay.domain.moderation.repository import list_moderated
from bugrelay.domain.moderation.schemas import (
    BugAct,
    BugRestored,
    Merge,
    MergeAct,
    ModeratedBugList,
    ModerationQuery,
    Reason,
    UnmergeAct,
)
from bugrelay.domain.moderation.service.flags import flag_as_admin
from bugrelay.domain.moderation.service.merging import merge_bugs, unmerge_bug
from bugrelay.domain.moderation.service.removal import remove_bug, restore_bug
from bugrelay.http.guard import admins
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.infra.pagination import Pagination


class BugModerationController(Controller):
    path = "/api/v1/admin/bugs"
    tags = ("Moderation",)

    @get("/", opt=admins().opt(query=ModerationQuery))
    async def list_bugs(self, request: ApiRequest) -> Response[ModeratedBugList]:
        """Bugs whatever their state; `flagged=true` is the queue, most flagged first."""
        query = request.read_query(ModerationQuery)
        bugs, total = await list_moderated(request.platform.database, query)
        return json_response(ModeratedBugList(bugs, Pagination.of(query, total)))

    @post("/{bug_id:str}/flag", opt=admins(load_bug).opt(), status_code=200)
    async def flag(self, request: ApiRequest, data: JSONBody[Reason]) -> Response[BugAct]:
        """Put a bug into the queue."""
        bug_id = request.path_id("bug_id")
        async with request.platform.work() as work:
            await flag_as_admin(work, request.user_id, bug_id, reason=data.reason)
        return json_response(BugAct("Bug flagged successfully", bug_id, data.reason))

    @delete("/{bug_id:str}", opt=admins(load_bug).opt(), status_code=200)
    async def remove(self, request: ApiRequest, data: JSONBody[Reason]) -> Response[BugAct]:
        """Remove a bug from every public view; it is kept in the database."""
        bug_id = request.path_id("bug_id")
        async with request.platform.work() as work:
            await remove_bug(work, request.user_id, bug_id, reason=data.reason)
        return json_response(BugAct("Bug removed successfully", bug_id, data.reason))

    @post("/{bug_id:str}/restore", opt=admins(load_bug).opt(), status_code=200)
    async def restore(self, request: ApiRequest) -> Response[BugRestored]:
        """Bring a removed bug back."""
        bug_id = request.path_id("bug_id")
        async with request.platform.work() as work:
            await restore_bug(work, request.user_id, bug_id)
        return json_response(BugRestored("Bug restored successfully", bug_id))

    @post("/merge", opt=admins().opt(errors=(404,)), status_code=200)
    async def merge(self, request: ApiRequest, data: JSONBody[Merge]) -> Response[MergeAct]:
        """Merge a bug into another one."""
        async with request.platform.work() as work:
            await merge_bugs(
                work,
                request.user_id,
                source_id=data.source_bug_id,
                target_id=data.target_bug_id,
                reason=data.reason,
            )
        return json_response(
            MergeAct("Bugs merged successfully", data.source_bug_id, data.target_bug_id, data.reason)
        )

    @post("/{bug_id:str}/unmerge", opt=admins(load_bug).opt(), status_code=200)
    async def unmerge(self, request: ApiRequest, data: JSONBody[Reason]) -> Response[UnmergeAct]:
        """Make a merged bug what it was before; what came later stays with the target."""
        bug_id = request.path_id("bug_id")
        async with request.platform.work() as work:
            target_id = await unmerge_bug(work, request.user_id, bug_id, reason=data.reason)
        return json_response(UnmergeAct("Bug unmerged successfully", bug_id, target_id, data.reason, bug_id))
