"""`/api/v1/bugs/{id}/vote`."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, post, put

from bugrelay.api.v1.examples import bugs
from bugrelay.api.v1.guards.bugs import load_visible_bug
from bugrelay.api.v1.responses.bugs import VoteResponse
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.service.votes import VoteAction, VoteOutcome, VoteRequest, vote
from bugrelay.errors import AccountBanned, InvalidToken
from bugrelay.http.guard import check_in_full
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, users
from bugrelay.infra.viewer import SignedInViewer

VOTERS = users(verified=True)


class VoteController(Controller):
    path = "/api/v1/bugs/{bug_id:str}/vote"
    tags = ("Votes",)

    @post("/")
    @Route(access=VOTERS, loads=load_visible_bug, checked_by_change=True, also=(200,), example=bugs.VOTE)
    async def toggle_vote(
        self, request: ApiRequest, viewer: SignedInViewer, bug_id: UUID
    ) -> Response[VoteResponse]:
        """Toggle my vote."""
        return await _voted(request, viewer, bug_id, action="toggle")

    @put("/")
    @Route(access=VOTERS, loads=load_visible_bug, checked_by_change=True, also=(201,), example=bugs.VOTE)
    async def cast_vote(
        self, request: ApiRequest, viewer: SignedInViewer, bug_id: UUID
    ) -> Response[VoteResponse]:
        """Cast my vote; idempotent."""
        return await _voted(request, viewer, bug_id, action="cast")

    @delete("/", status_code=200)
    @Route(access=VOTERS, loads=load_visible_bug, checked_by_change=True, example=bugs.WITHDRAW_VOTE)
    async def withdraw_vote(
        self, request: ApiRequest, viewer: SignedInViewer, bug_id: UUID
    ) -> Response[VoteResponse]:
        """Withdraw my vote; idempotent."""
        return await _voted(request, viewer, bug_id, action="withdraw")


async def _voted(
    request: ApiRequest, viewer: SignedInViewer, bug_id: UUID, *, action: VoteAction
) -> Response[VoteResponse]:
    """201 when a vote was added, else 200."""
    platform = request.platform
    wanted = VoteRequest(viewer.user_id, action, viewer.session_id)

    async def cast() -> VoteOutcome:
        return await vote(
            bug_id,
            wanted,
            must_be_verified=platform.settings.require_verified_email,
            database=platform.database,
            bus=platform.bus,
            coalescer=platform.coalescer,
        )

    try:
        outcome = await cast()
    except (BugNotFound, AccountBanned, InvalidToken):
        await check_in_full(request)  # raises the error of the contract; else the cause was temporary
        outcome = await cast()
    message = "Vote added successfully" if outcome.voted else "Vote removed successfully"
    added = outcome.voted and outcome.changed
    return json_response(
        VoteResponse(message, outcome.voted, outcome.vote_count), status=201 if added else 200
    )
