"""Every SELECT of webhooks, their deliveries and attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, Integer, String, Uuid, all_, any_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.repository import ACTIVE
from bugrelay.domain.companies.models import ADMIN, Company, Member
from bugrelay.domain.companies.visibility import EFFECTIVE
from bugrelay.domain.events.models import EventRow, EventStream
from bugrelay.domain.webhooks.models import PENDING, Webhook, WebhookAttempt, WebhookDelivery
from bugrelay.domain.webhooks.schemas import (
    TEST,
    AttemptOut,
    DeliveryOut,
    DeliveryQuery,
    State,
    WebhookOut,
    event_id_of,
)
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery, decoded_cursor

ATTEMPTS_SHOWN = 20

# --- webhooks -------------------------------------------------------------------------------------------------------

_WEBHOOKS = select(*(getattr(Webhook, name) for name in WebhookOut.__struct_fields__)).where(
    Webhook.company_id == bindparam("company_id")
)
_PAGE = Query(
    _WEBHOOKS.order_by(Webhook.id)
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer)),
    WebhookOut,
)
_COUNT = Query(select(func.count()).where(Webhook.company_id == bindparam("company_id")), int)
_OF_ID = Webhook.id == bindparam("webhook_id")
_WEBHOOK = Query(_WEBHOOKS.where(_OF_ID), WebhookOut)
_LOCKED = Query(_WEBHOOKS.where(_OF_ID).with_for_update(key_share=True), WebhookOut)
_SECRET = Query(
    select(Webhook.secret)
    .where(Webhook.company_id == bindparam("company_id"), _OF_ID)
    .with_for_update(key_share=True),
    bytes,
)


async def list_webhooks(
    reader: Reader, company_id: UUID, query: PageQuery
) -> tuple[Sequence[WebhookOut], int]:
    """A page of a company's webhooks, oldest first, and their total number."""
    values = {"company_id": company_id, "limit": query.limit, "offset": query.offset}
    return await reader.rows(_PAGE, values), await count_webhooks(reader, company_id)


async def count_webhooks(reader: Reader, company_id: UUID) -> int:
    return await reader.row(_COUNT, {"company_id": company_id}) or 0


async def find_webhook(reader: Reader, *, company_id: UUID, webhook_id: UUID) -> WebhookOut | None:
    """The webhook, or None if this company has none with that id."""
    return await reader.row(_WEBHOOK, {"company_id": company_id, "webhook_id": webhook_id})


async def lock_webhook(reader: Reader, *, company_id: UUID, webhook_id: UUID) -> WebhookOut | None:
    """The same, with its row locked."""
    return await reader.row(_LOCKED, {"company_id": company_id, "webhook_id": webhook_id})


_LOCK_URL = Query(select(Webhook.url).where(_OF_ID).with_for_update(key_share=True), str)


async def lock_url(reader: Reader, webhook_id: UUID) -> str | None:
    """The webhook's URL, with its row locked; None if it was removed."""
    return await reader.row(_LOCK_URL, {"webhook_id": webhook_id})


async def lock_webhooks_of(session: AsyncSession, company_ids: Sequence[UUID]) -> Sequence[Webhook]:
    """All webhooks of these companies, locked in the order of their ids."""
    of_companies = select(Webhook).where(Webhook.company_id.in_(company_ids))
    return (await session.scalars(of_companies.order_by(Webhook.id).with_for_update())).all()


async def lock_secret(reader: Reader, *, company_id: UUID, webhook_id: UUID) -> bytes | None:
    """The encrypted secret, with the webhook's row locked; None if the company has no such webhook."""
    return await reader.row(_SECRET, {"company_id": company_id, "webhook_id": webhook_id})


# --- deliveries -----------------------------------------------------------------------------------------------------


class _DeliveryRow(Row):
    id: UUID
    stream: UUID | None
    seq: int | None
    type: str
    state: State
    next_at: datetime | None
    created_at: datetime


_IN_STATE = or_(
    bindparam("state", type_=String).is_(None), WebhookDelivery.state == bindparam("state", type_=String)
)
_DELIVERIES = select(*(getattr(WebhookDelivery, name) for name in _DeliveryRow.__struct_fields__)).where(
    WebhookDelivery.webhook_id == bindparam("webhook_id")
)
_NEWEST = (
    _DELIVERIES.where(_IN_STATE).order_by(WebhookDelivery.id.desc()).limit(bindparam("limit", type_=Integer))
)
_DELIVERY_PAGE = Query(_NEWEST.offset(bindparam("offset", type_=Integer)), _DeliveryRow)
_DELIVERY_PAGE_AFTER = Query(_NEWEST.where(WebhookDelivery.id < bindparam("after", type_=Uuid)), _DeliveryRow)
_DELIVERY_COUNT = Query(
    select(func.count()).where(WebhookDelivery.webhook_id == bindparam("webhook_id"), _IN_STATE), int
)
_DELIVERY = Query(_DELIVERIES.where(WebhookDelivery.id == bindparam("delivery_id")), _DeliveryRow)
_WAITING_TEST = Query(
    select(WebhookDelivery.id).where(
        WebhookDelivery.webhook_id == bindparam("webhook_id"),
        WebhookDelivery.state == PENDING,
        WebhookDelivery.type == TEST,
    ),
    UUID,
)
DELIVERY_ORDER = "webhook deliveries"


async def list_deliveries(
    reader: Reader, webhook_id: UUID, query: DeliveryQuery
) -> tuple[list[DeliveryOut], int]:
    """A page of a webhook's deliveries, newest first, and their total number."""
    values = {"webhook_id": webhook_id, "state": query.state}
    total = await reader.row(_DELIVERY_COUNT, values) or 0
    if query.cursor is None:
        more = {"limit": query.limit, "offset": query.offset}
        rows = await reader.rows(_DELIVERY_PAGE, values | more)
    else:
        (after,) = decoded_cursor(query.cursor).keys_of(DELIVERY_ORDER, (UUID,))
        rows = await reader.rows(_DELIVERY_PAGE_AFTER, values | {"limit": query.limit, "after": after})
    return await _with_attempts(reader, rows), total


async def find_delivery(reader: Reader, *, webhook_id: UUID, delivery_id: UUID) -> DeliveryOut | None:
    row = await reader.row(_DELIVERY, {"webhook_id": webhook_id, "delivery_id": delivery_id})
    return None if row is None else (await _with_attempts(reader, [row]))[0]


async def waiting_test(reader: Reader, webhook_id: UUID) -> UUID | None:
    """The id of the pending test, if there is one."""
    return await reader.row(_WAITING_TEST, {"webhook_id": webhook_id})


class _AttemptRow(Row):
    delivery_id: UUID
    at: datetime
    status: int | None
    ms: int
    response: str | None
    error: str | None


_ranked = (
    select(
        *(getattr(WebhookAttempt, name) for name in _AttemptRow.__struct_fields__),
        func.row_number()
        .over(partition_by=WebhookAttempt.delivery_id, order_by=WebhookAttempt.at.desc())
        .label("rank"),
    )
    .where(WebhookAttempt.delivery_id == any_(bindparam("delivery_ids", type_=ARRAY(Uuid))))
    .subquery("ranked")
)
_ATTEMPTS = Query(
    select(*(_ranked.c[name] for name in _AttemptRow.__struct_fields__))
    .where(_ranked.c.rank <= ATTEMPTS_SHOWN)
    .order_by(_ranked.c.delivery_id, _ranked.c.at),
    _AttemptRow,
)


async def _with_attempts(reader: Reader, rows: Sequence[_DeliveryRow]) -> list[DeliveryOut]:
    attempts: dict[UUID, list[AttemptOut]] = {row.id: [] for row in rows}
    for found in await reader.rows(_ATTEMPTS, {"delivery_ids": list(attempts)}):
        outcome = AttemptOut(found.at, found.status, found.ms, found.response, found.error)
        attempts[found.delivery_id].append(outcome)
    return [
        DeliveryOut(
            id=row.id,
            event_id=event_id_of(row.id, type=row.type, stream=row.stream, seq=row.seq),
            type=row.type,
            state=row.state,
            attempts=attempts[row.id],
            next_at=row.next_at,
            created_at=row.created_at,
        )
        for row in rows
    ]


# --- due deliveries -------------------------------------------------------------------------------------------------

_DUE = (WebhookDelivery.state == PENDING) & (WebhookDelivery.next_at <= func.now())
_has_room = (
    select(func.count() < bindparam("each", type_=Integer))
    .where(
        WebhookDelivery.webhook_id == Webhook.id,
        WebhookDelivery.lease_id.is_not(None),
        WebhookDelivery.leased_until > func.now(),
    )
    .scalar_subquery()
)
_WITH_DUE = Query(
    select(Webhook.id)
    .join(Company, Company.id == Webhook.company_id)
    .where(
        Webhook.enabled,
        Company.verified,
        Company.id != all_(bindparam("full", type_=ARRAY(Uuid))),
        or_(Webhook.failing_since.is_not(None), Webhook.id == any_(bindparam("slow", type_=ARRAY(Uuid))))
        == bindparam("limited", type_=Boolean),
        _has_room,
        select(WebhookDelivery.id).where(WebhookDelivery.webhook_id == Webhook.id, _DUE).exists(),
    )
    .order_by(func.random())
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(of=Webhook, key_share=True, skip_locked=True),
    UUID,
)


async def lock_webhooks_with_due(
    reader: Reader, *, limited: bool, slow: Sequence[UUID], full: Sequence[UUID], each: int, limit: int
) -> Sequence[UUID]:
    """Webhooks with due deliveries and free slots, locked against other workers until the transaction ends.

    Args:
        reader: The unit of work.
        limited: True for webhooks whose last attempt failed or that are among `slow`, False for all others.
        slow: Webhooks whose last attempt was slow.
        full: Companies without free slots.
        each: The number of slots of each webhook.
        limit: The maximum number of webhooks.
    """
    values = {"limited": limited, "slow": list(slow), "full": list(full), "each": each, "limit": limit}
    return await reader.rows(_WITH_DUE, values)


# --- events ---------------------------------------------------------------------------------------------------------


class Recipient(Row):
    """An enabled webhook of a verified company, and since when that is verified."""

    id: UUID
    events: list[str]
    include_internal: bool
    created_at: datetime
    verified_at: datetime


_recipients = (
    select(
        Webhook.id,
        Webhook.events,
        Webhook.include_internal,
        Webhook.created_at,
        func.coalesce(Company.verified_at, Company.created_at).label("verified_at"),
    )
    .join(Company, Company.id == Webhook.company_id)
    .where(Webhook.enabled, Company.verified)
    .order_by(Webhook.id)
    .with_for_update(of=Webhook, read=True, key_share=True)
)
_RECIPIENTS = Query(_recipients.where(Webhook.company_id == bindparam("company_id")), Recipient)
_RECIPIENT = Query(_recipients.where(_OF_ID), Recipient)


async def lock_recipients(reader: Reader, company_id: UUID) -> Sequence[Recipient]:
    """A company's webhooks that receive events now, locked against removal until the transaction ends.

    They are locked in the order of their ids, like the removal of all webhooks of a company.
    """
    return await reader.rows(_RECIPIENTS, {"company_id": company_id})


async def lock_recipient(reader: Reader, webhook_id: UUID) -> Recipient | None:
    """The same for one webhook; None if it receives no events now."""
    return await reader.row(_RECIPIENT, {"webhook_id": webhook_id})


_OF_STREAM = EventRow.stream == bindparam("stream")
_SEQ_BEFORE = Query(
    select(EventRow.seq)
    .where(_OF_STREAM, EventRow.at < bindparam("since"))
    .order_by(EventRow.seq.desc())
    .limit(1),
    int,
)
_LAST_SEQ = Query(select(EventStream.last_seq).where(EventStream.stream == bindparam("stream")), int)


async def last_seq_before(reader: Reader, stream: UUID, since: datetime) -> int:
    """The number of the last event before that time; 0 if there is none."""
    return await reader.row(_SEQ_BEFORE, {"stream": stream, "since": since}) or 0


async def last_seq(reader: Reader, stream: UUID) -> int:
    return await reader.row(_LAST_SEQ, {"stream": stream}) or 0


class Replay(Row):
    """The range of events that a replay has yet to queue, both ends included."""

    company_id: UUID
    next_seq: int
    last_seq: int


_REPLAY = Query(
    select(
        Webhook.company_id,
        Webhook.replay_next_seq.label("next_seq"),
        Webhook.replay_last_seq.label("last_seq"),
    )
    .where(_OF_ID, Webhook.replay_next_seq.is_not(None))
    .with_for_update(key_share=True),
    Replay,
)


async def lock_replay(reader: Reader, webhook_id: UUID) -> Replay | None:
    """The replay of a webhook, with its row locked; None if there is none."""
    return await reader.row(_REPLAY, {"webhook_id": webhook_id})


# --- secrets --------------------------------------------------------------------------------------------------------


class Secrets(Row):
    """The encrypted columns of a webhook."""

    id: UUID
    secret: bytes
    former_secret: bytes | None


_SECRETS_AFTER = Query(
    select(Webhook.id, Webhook.secret, Webhook.former_secret)
    .where(Webhook.id > bindparam("after", type_=Uuid))
    .order_by(Webhook.id)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(key_share=True),
    Secrets,
)


async def lock_secrets_after(reader: Reader, after: UUID, *, limit: int) -> Sequence[Secrets]:
    """The secrets of the next webhooks after that id, with their rows locked."""
    return await reader.rows(_SECRETS_AFTER, {"after": after, "limit": limit})


# --- mails ----------------------------------------------------------------------------------------------------------


class DisabledWebhook(Row):
    """A webhook that BugRelay has disabled, and an admin of its company who is to be notified."""

    url: str
    disabled_reason: str
    domain: str
    username: str
    email: str


_DISABLED = Query(
    select(Webhook.url, Webhook.disabled_reason, Company.domain, User.username, User.email)
    .select_from(Webhook)
    .join(Company, Company.id == Webhook.company_id)
    .join(Member, Member.company_id == Company.id)
    .join(User, User.id == Member.user_id)
    .where(
        _OF_ID,
        Webhook.disabled_reason.is_not(None),
        Company.verified,
        Member.user_id == bindparam("user_id"),
        Member.role == ADMIN,
        EFFECTIVE,
        ACTIVE,
    ),
    DisabledWebhook,
)


async def disabled_webhook(reader: Reader, *, webhook_id: UUID, user_id: UUID) -> DisabledWebhook | None:
    """None if it is enabled again, or the user is no longer an admin of the company."""
    return await reader.row(_DISABLED, {"webhook_id": webhook_id, "user_id": user_id})
