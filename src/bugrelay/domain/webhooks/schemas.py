"""Webhooks and their deliveries as they are read, and the input of their use cases."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from bugrelay.domain.events.schemas import EVENT_TYPES
from bugrelay.infra.db.query import Row
from bugrelay.infra.pagination import CursorQuery
from bugrelay.infra.security.egress import is_callable
from bugrelay.infra.validation import Check, ListProblem, OneLine, utc_time

ALL = "*"  # types of events, including future ones
TEST = "webhook.test"
RULE_RUN = "workflow.run"

State = Literal["pending", "delivered", "failed"]
DisabledReason = Literal["gone", "failing"]


def _callable_url(value: str) -> str:
    if not is_callable(value):
        raise ValueError(
            "must be an https URL with a host name, no user name, and port 443 or one from 1024 up"
        )
    return value


def _event_types(values: list[str]) -> list[str]:
    """Without duplicates, in the order of `EVENT_TYPES`; `*` alone if it is among them."""
    sentence = f"must be one of {', '.join((ALL, *EVENT_TYPES))}"
    unknown = [(i, sentence) for i, value in enumerate(values) if value not in (ALL, *EVENT_TYPES)]
    if unknown:
        raise ListProblem(unknown)
    return [ALL] if ALL in values else [name for name in EVENT_TYPES if name in values]


Url = Annotated[str, OneLine, Meta(max_length=500), Check(_callable_url)]
EventTypes = Annotated[list[str], Meta(min_length=1, max_length=50), Check(_event_types)]


class AddWebhook(Struct, kw_only=True):
    """`POST /companies/{id}/webhooks`.

    Attributes:
        url: The URL to which events are posted: https, with a host name whose addresses are public.
        events: The types of events that are sent, or `*` for all.
        include_internal: Whether events that only the company's members and admins may see are sent, too.
        enabled: Whether anything is sent.
    """

    url: Url
    events: EventTypes
    include_internal: bool = False
    enabled: bool = True


class ChangeWebhook(Struct, kw_only=True):
    """`PATCH /companies/{id}/webhooks/{webhook_id}`: absent fields are not changed.

    Attributes:
        url: The URL to which events are posted: https, with a host name whose addresses are public.
        events: The types of events that are sent, or `*` for all.
        include_internal: Whether events that only the company's members and admins may see are sent, too.
        enabled: Whether anything is sent.
    """

    url: Url | UnsetType = UNSET
    events: EventTypes | UnsetType = UNSET
    include_internal: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class ReplayEvents(Struct):
    """`POST /companies/{id}/webhooks/{webhook_id}/replay`.

    Attributes:
        since: Events since this time are sent again; at most 30 days back.
    """

    since: Annotated[datetime, Meta(tz=True), Check(utc_time)]


class DeliveryQuery(CursorQuery, kw_only=True):
    """`GET /companies/{id}/webhooks/{webhook_id}/deliveries`.

    Attributes:
        state: Only deliveries in this state.
    """

    state: State | None = None


class WebhookOut(Row):
    """A webhook, as the company's admins see it.

    Attributes:
        id: The webhook's id.
        company_id: The company.
        url: The URL to which events are posted.
        events: The types of events that are sent, or `*` for all.
        include_internal: Whether events that only the company's members and admins may see are sent, too.
        enabled: Whether anything is sent.
        disabled_reason: `gone` after a response of 410, `failing` after seven days without a success; else null.
        failing_since: When it failed first after the last success.
        former_secret_until: Until when posts are signed with the previous secret, too.
        created_at: When it was added.
        updated_at: When it was last changed.
    """

    id: UUID
    company_id: UUID
    url: str
    events: list[str]
    include_internal: bool
    enabled: bool
    disabled_reason: DisabledReason | None
    failing_since: datetime | None
    former_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime


class AttemptOut(Struct):
    """One attempt to deliver.

    Attributes:
        at: When it began.
        status: The status of the receiver's response; null if there was none.
        ms: Its duration in milliseconds.
        response: The first KiB of the receiver's response.
        error: Why there was no response; else null.
    """

    at: datetime
    status: int | None
    ms: int
    response: str | None
    error: str | None


class DeliveryOut(Struct):
    """One event for one webhook.

    Attributes:
        id: The delivery's id.
        event_id: The event's id: the `webhook-id` of each attempt.
        type: The event's type.
        state: `pending` until an attempt succeeds, or the last one has failed.
        attempts: The latest 20 attempts, newest last.
        next_at: When the next attempt is due.
        created_at: When it was first queued.
    """

    id: UUID
    event_id: str
    type: str
    state: State
    attempts: list[AttemptOut]
    next_at: datetime | None
    created_at: datetime


class ClaimedDelivery(Row):
    """A delivery that is leased for one attempt, with the current URL and secrets of its webhook.

    `former_secret` is None once it has expired. `failing` says whether the webhook's last attempt failed.
    """

    id: UUID
    webhook_id: UUID
    company_id: UUID
    stream: UUID | None
    seq: int | None
    type: str
    attempts: int
    created_at: datetime
    lease_id: UUID
    url: str
    secret: bytes
    former_secret: bytes | None
    failing: bool
    include_internal: bool
    data: dict[str, Any] | None


def event_id_of(delivery_id: UUID, *, type: str, stream: UUID | None, seq: int | None) -> str:  # noqa: A002
    """The `webhook-id`: the event's id; tests and runs of rules, which have no event, have their own."""
    if stream is None:
        return f"evt_{'run' if type == RULE_RUN else 'test'}_{delivery_id}"
    return f"evt_{stream}_{seq}"
