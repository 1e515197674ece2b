"""`/api/v1/bugs/{id}/vote`."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from litestar import Controller, Response, delete, post, put

from bugrelay.domain.bugs import examples
from bugrelay.domain.bugs.controllers.subjects import any_bug, following_merges
from bugrelay.domain.bugs.events import BugChanged
from bugrelay.domain.bugs.schemas import VoteAnswer
from bugrelay.domain.bugs.service.votes import VoteOutcome, cast_vote, toggle_vote, withdraw_vote
from bugrelay.http.access import users
from bugrelay.http.answers import answer
from bugrelay.http.request import ApiRequest
from bugrelay.infra.db import Reader


class VoteController(Controller):
    path = "/api/v1/bugs/{bug_id:str}/vote"
    tags = ("Votes",)
    opt = users(any_bug, verified=True).opt()

    @post("/", opt={"also": (200,), "example": examples.VOTE})
    async def toggle(self, request: ApiRequest) -> Response[VoteAnswer]:
        """Toggle my vote."""
        return await _voted(request, toggle_vote)

    @put("/", opt={"also": (201,), "example": examples.VOTE})
    async def cast(self, request: ApiRequest) -> Response[VoteAnswer]:
        """Set my vote; safe to repeat."""
        return await _voted(request, cast_vote)

    @delete("/", status_code=200, opt={"example": examples.WITHDRAW_VOTE})
    async def withdraw(self, request: ApiRequest) -> Response[VoteAnswer]:
        """Withdraw my vote; safe to repeat."""
        return await _voted(request, withdraw_vote)


class _Vote(Protocol):
    async def __call__(self, where: Reader, bug_id: UUID, *, user_id: UUID) -> VoteOutcome: ...


async def _voted(request: ApiRequest, vote: _Vote) -> Response[VoteAnswer]:
    """201 when a vote was added, else 200."""
    platform, bug_id = request.platform, request.path_id("bug_id")
    async with following_merges(request):
        outcome = await vote(platform.database.alone, bug_id, user_id=request.user_id)
    if outcome.changed:
        await platform.bus.publish_afterwards([BugChanged(bug_id)])
    message = "Vote added successfully" if outcome.voted else "Vote removed successfully"
    added = outcome.voted and outcome.changed
    return answer(VoteAnswer(message, outcome.voted, outcome.vote_count), status=201 if added else 200)
