"""The bodies of posts: events as JSON, at most 64 KiB."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from bugrelay.domain.events.schemas import Event, event_id
from bugrelay.domain.webhooks.schemas import ClaimedDelivery, event_id_of

MAX_BYTES = 64 * 1024


def event_body(event: Event) -> bytes:
    """The body for an event, the same for each attempt. If it would be too long, its `data` is null."""
    data = {
        "id": event_id(event),
        "seq": event.seq,
        "actor_id": event.actor_id,
        "bug_id": event.bug_id,
        "ticket_id": event.ticket_id,
        "project_id": event.project_id,
        "version": event.version,
        "data": event.data,
    }
    body = _encoded(event.type, event.at, data)
    return body if len(body) <= MAX_BYTES else _encoded(event.type, event.at, data | {"data": None})


def test_body(delivery: ClaimedDelivery) -> bytes:
    """The body of a `webhook.test`; `seq` is null, since it has no event."""
    id_of_test = event_id_of(delivery.id, type=delivery.type, stream=None, seq=None)
    data = {
        "id": id_of_test,
        "seq": None,
        "webhook_id": delivery.webhook_id,
        "company_id": delivery.company_id,
    }
    return _encoded(delivery.type, delivery.created_at, data)


def run_body(delivery: ClaimedDelivery, data: Mapping[str, Any]) -> bytes:
    """The body of a `workflow.run`: the ids of the rule, its run, the event and the ticket."""
    id_of_run = event_id_of(delivery.id, type=delivery.type, stream=None, seq=None)
    public = {name: value for name, value in data.items() if name != "is_internal"}
    return _encoded(delivery.type, delivery.created_at, {"id": id_of_run, "seq": None, **public})


def _encoded(kind: str, at: datetime, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": kind, "timestamp": at, "data": data})
