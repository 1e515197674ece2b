"""`/api/v1/bugs/{id}/vote`."""

from __future__ import annotations

from litestar import Controller, Response, delete, post, put

from bugrelay.domain.bugs import examples
from bugrelay.domain.bugs.controllers.subjects import any_bug, following_merges
from bugrelay.domain.bugs.schemas import VoteAnswer
from bugrelay.domain.bugs.service.votes import Wish, vote
from bugrelay.http.access import users
from bugrelay.http.answers import answer
from bugrelay.http.request import ApiRequest


class VoteController(Controller):
    path = "/api/v1/bugs/{bug_id:str}/vote"
    tags = ("Votes",)
    opt = users(any_bug, verified=True).opt()

    @post("/", opt={"also": (200,), "example": examples.VOTE})
    async def toggle(self, request: ApiRequest) -> Response[VoteAnswer]:
        """Toggle my vote."""
        return await _voted(request, "toggle")

    @put("/", opt={"also": (201,), "example": examples.VOTE})
    async def cast(self, request: ApiRequest) -> Response[VoteAnswer]:
        """Set my vote; safe to repeat."""
        return await _voted(request, "cast")

    @delete("/", status_code=200, opt={"example": examples.WITHDRAW_VOTE})
    async def withdraw(self, request: ApiRequest) -> Response[VoteAnswer]:
        """Withdraw my vote; safe to repeat."""
        return await _voted(request, "withdraw")


async def _voted(request: ApiRequest, wish: Wish) -> Response[VoteAnswer]:
    """201 when a vote was added, else 200."""
    async with following_merges(request):
        outcome = await vote(request.platform, request.path_id("bug_id"), user_id=request.user_id, wish=wish)
    message = "Vote added successfully" if outcome.voted else "Vote removed successfully"
    added = outcome.voted and outcome.changed
    return answer(VoteAnswer(message, outcome.voted, outcome.vote_count), status=201 if added else 200)
