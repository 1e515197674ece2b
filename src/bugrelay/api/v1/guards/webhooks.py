"""The webhook of a path, for the company's admins; others do not learn whether it exists."""

from __future__ import annotations

from bugrelay.api.v1.guards.companies import require_company_admin
from bugrelay.domain.webhooks import repository
from bugrelay.domain.webhooks.errors import WebhookNotFound
from bugrelay.domain.webhooks.schemas import WebhookOut
from bugrelay.http.request import ApiRequest


async def require_webhook(request: ApiRequest) -> WebhookOut:
    """
    Raises:
        InvalidId, CompanyNotFound, NotMember, InsufficientPermissions, WebhookNotFound
    """
    company = await require_company_admin(request)
    webhook = await repository.find_webhook(
        request.platform.database, company_id=company.id, webhook_id=request.path_id("webhook_id")
    )
    if webhook is None:
        raise WebhookNotFound
    return webhook
