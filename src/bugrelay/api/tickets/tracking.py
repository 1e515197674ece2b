"""`/api/v1/bugs/{id}/track`: create a ticket that tracks a public bug."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, post

from bugrelay.api.tickets.guards import OnBug, load_bug_to_track
from bugrelay.api.tickets.responses import TicketDetailOut, TicketResponse, written_as
from bugrelay.api.versions import etag
from bugrelay.domain.links.service.tracking import track_bug
from bugrelay.domain.tickets.repository.tickets import find_ticket
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import raw_json_response, to_json
from bugrelay.http.routes import Route, users
from bugrelay.infra.idempotency import StoredResponse


class TrackingController(Controller):
    path = "/api/v1/bugs"
    tags = ("Tickets",)

    @post("/{bug_id:str}/track")
    @Route(access=users("members of the bug's company"), loads=load_bug_to_track, idempotent=True)
    async def track_bug(self, request: ApiRequest, found: OnBug) -> Response[TicketResponse]:
        """Create a ticket that tracks a public bug, in the project `TSK`."""

        async def work(complete: Complete) -> Response[Any]:
            async with request.platform.work() as unit:
                made = await track_bug(unit, found.tenant, found.bug_id)
                ticket = await find_ticket(unit, found.tenant, made.id) or made
                body = to_json(TicketResponse(written_as(TicketDetailOut, ticket)))
                await complete(unit, StoredResponse(201, body))
            return raw_json_response(body, status=201, headers=etag(made.version))

        return await idempotent(request, work, of=found.tenant.company_id)
