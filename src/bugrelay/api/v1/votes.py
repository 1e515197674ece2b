"""`/api/v1/bugs/{id}/vote`."""

from __future__ import annotations

from litestar import Controller, Response, delete, post, put

from bugrelay.api.v1.examples import bugs
from bugrelay.api.v1.guards.bugs import following_merges, load_visible_bug
from bugrelay.api.v1.responses import VoteResponse
from bugrelay.domain.bugs.schemas import BugState
from bugrelay.domain.bugs.service.votes import VoteAction, vote
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, users
from bugrelay.infra.viewer import SignedInViewer

VOTERS = users(verified=True)


class VoteController(Controller):
    path = "/api/v1/bugs/{bug_id:str}/vote"
    tags = ("Votes",)

    @post("/")
    @Route(access=VOTERS, loads=load_visible_bug, also=(200,), example=bugs.VOTE)
    async def toggle_vote(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState
    ) -> Response[VoteResponse]:
        """Toggle my vote."""
        return await _voted(request, viewer, bug, action="toggle")

    @put("/")
    @Route(access=VOTERS, loads=load_visible_bug, also=(201,), example=bugs.VOTE)
    async def cast_vote(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState
    ) -> Response[VoteResponse]:
        """Set my vote; safe to repeat."""
        return await _voted(request, viewer, bug, action="cast")

    @delete("/", status_code=200)
    @Route(access=VOTERS, loads=load_visible_bug, example=bugs.WITHDRAW_VOTE)
    async def withdraw_vote(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState
    ) -> Response[VoteResponse]:
        """Withdraw my vote; safe to repeat."""
        return await _voted(request, viewer, bug, action="withdraw")


async def _voted(
    request: ApiRequest, viewer: SignedInViewer, bug: BugState, *, action: VoteAction
) -> Response[VoteResponse]:
    """201 when a vote was added, else 200."""
    platform = request.platform
    async with following_merges(request):
        outcome = await vote(
            bug.id,
            user_id=viewer.user_id,
            action=action,
            database=platform.database,
            bus=platform.bus,
            coalescer=platform.coalescer,
        )
    message = "Vote added successfully" if outcome.voted else "Vote removed successfully"
    added = outcome.voted and outcome.changed
    return json_response(
        VoteResponse(message, outcome.voted, outcome.vote_count), status=201 if added else 200
    )
