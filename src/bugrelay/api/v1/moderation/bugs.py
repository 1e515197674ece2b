"""`/api/v1/admin/bugs`: the queue, removal, merging."""

from __future__ import annotations

from litestar import Controller, Response, delete, get, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.bugs import load_bug
from bugrelay.api.v1.responses.moderation import (
    BugAct,
    BugRestoredAct,
    MergeAct,
    ModeratedBugList,
    UnmergeAct,
)
from bugrelay.domain.bugs.schemas import BugState
from bugrelay.domain.moderation.repository import list_moderated
from bugrelay.domain.moderation.schemas import Merge, ModerationQuery, Reason
from bugrelay.domain.moderation.service import flags, merging, removal
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, admins
from bugrelay.infra.pagination import Pagination
from bugrelay.infra.viewer import SignedInViewer


class BugModerationController(Controller):
    path = "/api/v1/admin/bugs"
    tags = ("Moderation",)

    @get("/")
    @Route(access=admins(), query=ModerationQuery)
    async def list_moderated_bugs(
        self, request: ApiRequest, query: ModerationQuery
    ) -> Response[ModeratedBugList]:
        """List bugs in any state; `flagged=true` is the queue, most flagged first."""
        bugs, total = await list_moderated(request.platform.database, query)
        return json_response(ModeratedBugList(bugs, Pagination.of(query, total)))

    @post("/{bug_id:str}/flag", status_code=200)
    @Route(access=admins(), loads=load_bug)
    async def flag_bug_as_admin(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState, data: JSONBody[Reason]
    ) -> Response[BugAct]:
        """Put a bug into the queue."""
        async with request.platform.work() as work:
            await flags.flag_as_admin(work, viewer.user_id, bug.id, reason=data.reason)
        return json_response(BugAct("Bug flagged successfully", bug.id, data.reason))

    @delete("/{bug_id:str}", status_code=200)
    @Route(access=admins(), loads=load_bug)
    async def remove_bug(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState, data: JSONBody[Reason]
    ) -> Response[BugAct]:
        """Remove a bug from every public view; it stays in the database."""
        async with request.platform.work() as work:
            await removal.remove_bug(work, viewer.user_id, bug.id, reason=data.reason)
        return json_response(BugAct("Bug removed successfully", bug.id, data.reason))

    @post("/{bug_id:str}/restore", status_code=200)
    @Route(access=admins(), loads=load_bug)
    async def restore_bug(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState
    ) -> Response[BugRestoredAct]:
        """Restore a removed bug."""
        async with request.platform.work() as work:
            await removal.restore_bug(work, viewer.user_id, bug.id)
        return json_response(BugRestoredAct("Bug restored successfully", bug.id))

    @post("/merge", status_code=200)
    @Route(access=admins(), errors=(404,))
    async def merge_bugs(
        self, request: ApiRequest, viewer: SignedInViewer, data: JSONBody[Merge]
    ) -> Response[MergeAct]:
        """Merge a bug into another one."""
        async with request.platform.work() as work:
            await merging.merge_bugs(
                work,
                viewer.user_id,
                source_id=data.source_bug_id,
                target_id=data.target_bug_id,
                reason=data.reason,
            )
        return json_response(
            MergeAct("Bugs merged successfully", data.source_bug_id, data.target_bug_id, data.reason)
        )

    @post("/{bug_id:str}/unmerge", status_code=200)
    @Route(access=admins(), loads=load_bug)
    async def unmerge_bug(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState, data: JSONBody[Reason]
    ) -> Response[UnmergeAct]:
        """Undo a merge; what was added to the target after it stays there."""
        async with request.platform.work() as work:
            target_id = await merging.unmerge_bug(work, viewer.user_id, bug.id, reason=data.reason)
        return json_response(UnmergeAct("Bug unmerged successfully", bug.id, target_id, data.reason, bug.id))
