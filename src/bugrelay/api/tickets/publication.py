"""`/api/v1/tickets/{ticket}/publication`: a ticket as a public bug."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Response, post
from litestar.params import JSONBody
from msgspec.structs import asdict

from bugrelay.api.tickets.guards import OnTicket, require_ticket_member
from bugrelay.api.tickets.links import MEMBERS, link_response
from bugrelay.api.tickets.requests import PublishTicket
from bugrelay.api.tickets.responses import (
    PreviewResponse,
    PublicBugOut,
    RedactionOut,
    TicketLinkResponse,
    WarningOut,
    all_written_as,
)
from bugrelay.domain.links.schemas import Preview
from bugrelay.domain.links.service.previews import preview
from bugrelay.domain.links.service.publishing import publish_ticket
from bugrelay.domain.links.service.screenshots import with_screenshots
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response, raw_json_response, to_json
from bugrelay.http.routes import Route, tenant_users
from bugrelay.infra.idempotency import StoredResponse
from bugrelay.infra.text.markdown import render


class PublicationController(Controller):
    path = "/api/v1/tickets/{ticket:str}/publication"
    tags = ("Tickets",)

    @post("/preview", status_code=200)
    @Route(access=tenant_users(MEMBERS), loads=require_ticket_member, limits=("similar",))
    async def preview_publication(self, request: ApiRequest, found: OnTicket) -> Response[PreviewResponse]:
        """Preview a ticket as a public bug. Nothing is written."""
        platform = request.platform
        async with platform.database.reading() as reader:
            shown = await preview(
                reader,
                platform.computing,
                found.tenant,
                ticket_id=found.ticket_id,
                key=platform.settings.signing_key,
            )
        return json_response(_preview_response(shown))

    @post("/")
    @Route(access=tenant_users(MEMBERS), loads=require_ticket_member, idempotent=True)
    async def publish_ticket(
        self, request: ApiRequest, found: OnTicket, data: JSONBody[PublishTicket]
    ) -> Response[TicketLinkResponse]:
        """Publish a ticket on the board, as it was previewed."""

        async def work(complete: Complete) -> Response[Any]:
            unit, platform = request.platform.work(), request.platform
            async with with_screenshots(
                unit,
                found.tenant,
                found.ticket_id,
                names=data.screenshots or (),
                reader=platform.database,
                images=platform.images,
                storage=platform.storage,
            ) as pictures:
                bug_id = await publish_ticket(
                    unit,
                    found.tenant,
                    found.ticket_id,
                    token=data.token,
                    application_id=data.application_id,
                    carry_status=bool(data.carry_status),
                    pictures=pictures,
                    key=platform.settings.signing_key,
                )
                body = to_json(await link_response(unit, found, bug_id=bug_id))
                await complete(unit, StoredResponse(201, body))
            return raw_json_response(body, status=201)

        return await idempotent(request, work, of=found.tenant.company_id)


def _preview_response(shown: Preview) -> PreviewResponse:
    bug = PublicBugOut(**asdict(shown.bug), description_html=render(shown.bug.description))
    return PreviewResponse(
        bug=bug,
        redactions=all_written_as(RedactionOut, shown.redactions),
        warnings=all_written_as(WarningOut, shown.warnings),
        screenshots=shown.screenshots,
        token=shown.token,
    )
