"""`/api/v1/integrations`: webhooks of other systems."""

from __future__ import annotations

from litestar import Controller, Response, post

from bugrelay.domain.github import repository
from bugrelay.domain.github.service.receiving import check_signature, store_delivery
from bugrelay.errors import ValidationFailed
from bugrelay.http.request import ApiRequest, decode_json
from bugrelay.http.responses import Message, json_response
from bugrelay.http.routes import Route, anyone

EVENT, DELIVERY, SIGNATURE = "X-GitHub-Event", "X-GitHub-Delivery", "X-Hub-Signature-256"
MAX_HEADER = 100


class IntegrationController(Controller):
    path = "/api/v1/integrations"
    tags = ("GitHub",)

    @post("/github/{connection_id:str}", status_code=202)
    @Route(access=anyone(same_for_all=True), errors=(401, 413, 415))
    async def take_github_delivery(self, request: ApiRequest) -> Response[Message]:
        """Receive a delivery of GitHub's webhook; it must be signed with the connection's secret."""
        platform = request.platform
        found = await repository.connection(platform.database, request.path_id("connection_id"))
        body = await request.body()
        connection = check_signature(
            found, body, signature=request.headers.get(SIGNATURE, ""), encryption=platform.encryption
        )
        request.require_media_type("application/json")
        event, delivery_id = _header(request, EVENT), _header(request, DELIVERY)
        content = decode_json(body)
        async with platform.work() as work:
            await store_delivery(
                work,
                connection,
                event=event,
                delivery_id=delivery_id,
                content=content,
                jobs=platform.jobs,
            )
        return json_response(Message("Delivery accepted"), status=202)


def _header(request: ApiRequest, name: str) -> str:
    """
    Raises:
        ValidationFailed
    """
    value = request.headers.get(name, "")
    if not 1 <= len(value) <= MAX_HEADER or not value.isascii() or not value.isprintable():
        raise ValidationFailed.of(name, f"must have 1 to {MAX_HEADER} ASCII characters")
    return value
