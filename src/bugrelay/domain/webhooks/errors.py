"""Errors of webhooks."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class NotToBeSent(Exception):
    """A queued delivery must no longer be sent; the message is the reason."""


class WebhookNotFound(BugRelayError):
    code = "WEBHOOK_NOT_FOUND"
    status = 404
    message = "The company has no such webhook"


class DeliveryNotFound(BugRelayError):
    code = "DELIVERY_NOT_FOUND"
    status = 404
    message = "The webhook has no such delivery; they are kept for 30 days"


class TooManyWebhooks(BugRelayError):
    code = "TOO_MANY_WEBHOOKS"
    status = 409
    message = "A company has at most 20 webhooks; remove one first"


class WebhookDisabled(BugRelayError):
    code = "WEBHOOK_DISABLED"
    status = 409
    message = "This webhook is disabled; enable it first"
