"""`/api/v1/bugs/{id}/subscription`."""

from __future__ import annotations

from litestar import Controller, Response, delete, put
from litestar.params import JSONBody

from bugrelay.api.v1.guards.bugs import load_visible_bug
from bugrelay.api.v1.responses.notices import SubscriptionResponse
from bugrelay.domain.bugs.schemas import BugState
from bugrelay.domain.notifications import repository
from bugrelay.domain.notifications.schemas import Subscribe
from bugrelay.domain.notifications.service import subscriptions
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, users
from bugrelay.infra.viewer import SignedInViewer


class SubscriptionController(Controller):
    path = "/api/v1/bugs/{bug_id:str}/subscription"
    tags = ("Notices",)

    @put("/")
    @Route(access=users(), loads=load_visible_bug)
    async def subscribe_to_bug(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState, data: JSONBody[Subscribe]
    ) -> Response[SubscriptionResponse]:
        """Follow a bug at a level; this replaces the level that follows from my actions."""
        async with request.platform.work() as work:
            await subscriptions.subscribe(work, bug.id, user_id=viewer.user_id, level=data.level)
            now = await repository.subscription_of(work, bug_id=bug.id, user_id=viewer.user_id)
        return json_response(SubscriptionResponse("Subscribed", now))

    @delete("/", status_code=200)
    @Route(access=users(), loads=load_visible_bug)
    async def unsubscribe_from_bug(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState
    ) -> Response[SubscriptionResponse]:
        """Stop following a bug, whatever I did or do there."""
        async with request.platform.work() as work:
            await subscriptions.unsubscribe(work, bug.id, user_id=viewer.user_id)
        return json_response(SubscriptionResponse("Unsubscribed", None))
