"""Responses about webhooks and connections to GitHub."""

from __future__ import annotations

from msgspec import Struct

from bugrelay.domain.github.schemas import GitHubConnectionOut, GitHubTestOut
from bugrelay.domain.webhooks.schemas import DeliveryOut, WebhookOut
from bugrelay.http.responses import Message
from bugrelay.infra.pagination import CursorPagination, Pagination


class WebhookResponse(Struct):
    """One webhook."""

    webhook: WebhookOut


class WebhookChangedResponse(Message):
    """A webhook that was changed."""

    webhook: WebhookOut


class WebhookSecretResponse(Message):
    """A webhook with its new secret, which is not shown again.

    Attributes:
        secret: The key of signatures, in the form that libraries of Standard Webhooks read.
    """

    webhook: WebhookOut
    secret: str


class WebhookList(Struct):
    """A page of webhooks.

    Attributes:
        webhooks: The webhooks of this page.
    """

    webhooks: list[WebhookOut]
    pagination: Pagination


class DeliveryResponse(Message):
    """A delivery that was queued."""

    delivery: DeliveryOut


class DeliveryList(Struct):
    """A page of deliveries.

    Attributes:
        deliveries: The deliveries of this page.
    """

    deliveries: list[DeliveryOut]
    pagination: CursorPagination


class GitHubConnectionResponse(Struct):
    """The company's connection to GitHub."""

    github: GitHubConnectionOut


class GitHubConnectionSetResponse(Message):
    """A connection that was made or changed.

    Attributes:
        webhook_secret: What GitHub is to sign deliveries with; null where the connection is not new.
    """

    github: GitHubConnectionOut
    webhook_secret: str | None


class GitHubTestResponse(Struct):
    """What GitHub says of the repository and the token."""

    test: GitHubTestOut
