"""`/api/v1/bugs/{id}/vote`."""

from __future__ import annotations

from litestar import Controller, Response, delete, post, put

from bugrelay.api.v1.examples import bugs
from bugrelay.api.v1.guards.bugs import following_merges, require_visible_bug
from bugrelay.domain.bugs.schemas import VoteResponse
from bugrelay.domain.bugs.service.votes import VoteAction, vote
from bugrelay.http.guard import users
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response


class VoteController(Controller):
    path = "/api/v1/bugs/{bug_id:str}/vote"
    tags = ("Votes",)
    opt = users(require_visible_bug, verified=True).opt()

    @post("/", opt={"also": (200,), "example": bugs.VOTE})
    async def toggle(self, request: ApiRequest) -> Response[VoteResponse]:
        """Toggle my vote."""
        return await _voted(request, "toggle")

    @put("/", opt={"also": (201,), "example": bugs.VOTE})
    async def cast(self, request: ApiRequest) -> Response[VoteResponse]:
        """Set my vote; safe to repeat."""
        return await _voted(request, "cast")

    @delete("/", status_code=200, opt={"example": bugs.WITHDRAW_VOTE})
    async def withdraw(self, request: ApiRequest) -> Response[VoteResponse]:
        """Withdraw my vote; safe to repeat."""
        return await _voted(request, "withdraw")


async def _voted(request: ApiRequest, action: VoteAction) -> Response[VoteResponse]:
    """201 when a vote was added, else 200."""
    platform = request.platform
    async with following_merges(request):
        outcome = await vote(
            request.path_id("bug_id"),
            user_id=request.user_id,
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
