"""`/api/v1/companies/{id}/webhooks`: webhooks of a company, for its admins."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import JSONBody

from bugrelay.api.v1.guards.companies import require_company_admin
from bugrelay.api.v1.guards.webhooks import require_webhook
from bugrelay.api.v1.responses.integrations import (
    DeliveryList,
    DeliveryResponse,
    WebhookChangedResponse,
    WebhookList,
    WebhookResponse,
    WebhookSecretResponse,
)
from bugrelay.domain.companies.schemas import CompanyState
from bugrelay.domain.webhooks import repository
from bugrelay.domain.webhooks.errors import DeliveryNotFound, WebhookNotFound
from bugrelay.domain.webhooks.schemas import (
    AddWebhook,
    ChangeWebhook,
    DeliveryOut,
    DeliveryQuery,
    ReplayEvents,
    WebhookOut,
)
from bugrelay.domain.webhooks.service import queueing, removal, webhooks
from bugrelay.domain.webhooks.service.events import request_replay
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, users
from bugrelay.infra.db.query import Reader
from bugrelay.infra.pagination import CursorPagination, PageQuery, Pagination, encoded_cursor
from bugrelay.infra.viewer import SignedInViewer

COMPANY_ADMINS = users("company admins")
ONCE = "; keep the secret, it is not shown again"


class WebhookController(Controller):
    path = "/api/v1/companies/{company_id:str}/webhooks"
    tags = ("Webhooks",)

    @get("/")
    @Route(access=COMPANY_ADMINS, loads=require_company_admin, query=PageQuery)
    async def list_webhooks(
        self, request: ApiRequest, company: CompanyState, query: PageQuery
    ) -> Response[WebhookList]:
        """List the company's webhooks, oldest first."""
        found, total = await repository.list_webhooks(request.platform.database, company.id, query)
        return json_response(WebhookList(list(found), Pagination.of(query, total)))

    @post("/")
    @Route(access=COMPANY_ADMINS, loads=require_company_admin)
    async def add_webhook(
        self, request: ApiRequest, viewer: SignedInViewer, company: CompanyState, data: JSONBody[AddWebhook]
    ) -> Response[WebhookSecretResponse]:
        """Add a webhook. Only this response has the secret that its posts are signed with."""
        platform = request.platform
        async with platform.work() as work:
            webhook_id, secret = await webhooks.add_webhook(
                work, company.id, actor_id=viewer.user_id, new=data, encryption=platform.encryption
            )
            webhook = await _webhook(work, company.id, webhook_id)
        return json_response(WebhookSecretResponse(f"Webhook added{ONCE}", webhook, secret), status=201)

    @get("/{webhook_id:str}")
    @Route(access=COMPANY_ADMINS, loads=require_webhook)
    async def get_webhook(self, webhook: WebhookOut) -> Response[WebhookResponse]:
        """Show one webhook, without its secret."""
        return json_response(WebhookResponse(webhook))

    @patch("/{webhook_id:str}")
    @Route(access=COMPANY_ADMINS, loads=require_webhook)
    async def update_webhook(
        self, request: ApiRequest, viewer: SignedInViewer, webhook: WebhookOut, data: JSONBody[ChangeWebhook]
    ) -> Response[WebhookChangedResponse]:
        """Change a webhook; absent fields are not changed. Enabling it sends its pending deliveries."""
        async with request.platform.work() as work:
            await webhooks.change_webhook(
                work, webhook.company_id, actor_id=viewer.user_id, webhook_id=webhook.id, change=data
            )
            changed = await _webhook(work, webhook.company_id, webhook.id)
        return json_response(WebhookChangedResponse("Webhook changed", changed))

    @delete("/{webhook_id:str}", status_code=200)
    @Route(access=COMPANY_ADMINS, loads=require_webhook)
    async def remove_webhook(
        self, request: ApiRequest, viewer: SignedInViewer, webhook: WebhookOut
    ) -> Response[Message]:
        """Remove a webhook with its deliveries."""
        platform = request.platform
        async with platform.work() as work:
            await removal.remove_webhook(
                work,
                webhook.company_id,
                actor_id=viewer.user_id,
                webhook_id=webhook.id,
                jobs=platform.jobs,
            )
        return json_response(Message("Webhook removed"))

    @post("/{webhook_id:str}/rotate", status_code=200)
    @Route(access=COMPANY_ADMINS, loads=require_webhook)
    async def rotate_webhook_secret(
        self, request: ApiRequest, viewer: SignedInViewer, webhook: WebhookOut
    ) -> Response[WebhookSecretResponse]:
        """Generate a new secret, which only this response has. The previous one signs posts, too, for 24 hours."""
        platform = request.platform
        async with platform.work() as work:
            secret = await webhooks.rotate_secret(
                work,
                webhook.company_id,
                actor_id=viewer.user_id,
                webhook_id=webhook.id,
                encryption=platform.encryption,
            )
            changed = await _webhook(work, webhook.company_id, webhook.id)
        return json_response(WebhookSecretResponse(f"Secret rotated{ONCE}", changed, secret))

    @post("/{webhook_id:str}/test", status_code=202)
    @Route(access=COMPANY_ADMINS, loads=require_webhook)
    async def test_webhook(
        self, request: ApiRequest, viewer: SignedInViewer, webhook: WebhookOut
    ) -> Response[DeliveryResponse]:
        """Send a `webhook.test`, without retries. If one is pending, it is returned instead."""
        async with request.platform.work() as work:
            delivery_id = await queueing.send_test(
                work, webhook.company_id, actor_id=viewer.user_id, webhook_id=webhook.id
            )
            delivery = await _delivery(work, webhook.id, delivery_id)
        return json_response(DeliveryResponse("The test is on its way", delivery), status=202)

    @post("/{webhook_id:str}/replay", status_code=202)
    @Route(access=COMPANY_ADMINS, loads=require_webhook)
    async def replay_events(
        self, request: ApiRequest, viewer: SignedInViewer, webhook: WebhookOut, data: JSONBody[ReplayEvents]
    ) -> Response[Message]:
        """Deliver all events since a time again, under the same ids."""
        platform = request.platform
        async with platform.work() as work:
            await request_replay(
                work,
                webhook.company_id,
                actor_id=viewer.user_id,
                webhook_id=webhook.id,
                since=data.since,
                jobs=platform.jobs,
            )
        return json_response(Message("The events are on their way"), status=202)

    @get("/{webhook_id:str}/deliveries")
    @Route(access=COMPANY_ADMINS, loads=require_webhook, query=DeliveryQuery)
    async def list_webhook_deliveries(
        self, request: ApiRequest, webhook: WebhookOut, query: DeliveryQuery
    ) -> Response[DeliveryList]:
        """List the deliveries of the last 30 days with their attempts, newest first."""
        found, total = await repository.list_deliveries(request.platform.database, webhook.id, query)
        return json_response(DeliveryList(found, _pagination(found, query, total)))

    @post("/{webhook_id:str}/deliveries/{delivery_id:str}/redeliver", status_code=202)
    @Route(access=COMPANY_ADMINS, loads=require_webhook)
    async def redeliver_event(
        self, request: ApiRequest, viewer: SignedInViewer, webhook: WebhookOut, delivery_id: UUID
    ) -> Response[DeliveryResponse]:
        """Deliver an event again, under the same id, with as many attempts as a new one."""
        async with request.platform.work() as work:
            await queueing.redeliver(
                work,
                webhook.company_id,
                actor_id=viewer.user_id,
                webhook_id=webhook.id,
                delivery_id=delivery_id,
            )
            delivery = await _delivery(work, webhook.id, delivery_id)
        return json_response(DeliveryResponse("The event is on its way again", delivery), status=202)


async def _webhook(reader: Reader, company_id: UUID, webhook_id: UUID) -> WebhookOut:
    webhook = await repository.find_webhook(reader, company_id=company_id, webhook_id=webhook_id)
    if webhook is None:
        raise WebhookNotFound
    return webhook


async def _delivery(reader: Reader, webhook_id: UUID, delivery_id: UUID) -> DeliveryOut:
    delivery = await repository.find_delivery(reader, webhook_id=webhook_id, delivery_id=delivery_id)
    if delivery is None:
        raise DeliveryNotFound
    return delivery


def _pagination(found: list[DeliveryOut], query: DeliveryQuery, total: int) -> CursorPagination:
    number, pages = query.page_number, -(-total // query.limit)
    cursor = None
    if len(found) == query.limit and number < pages:
        cursor = encoded_cursor(repository.DELIVERY_ORDER, number + 1, [found[-1].id])
    return CursorPagination(number, query.limit, total, pages, number < pages, number > 1, cursor)
