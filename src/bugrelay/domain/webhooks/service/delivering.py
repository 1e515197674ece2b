"""Deliveries: leased for one attempt at a time, and the consequences of its outcome.

A running attempt is a lease of its row, which is committed before anything is sent. After a worker is killed, the
delivery is due again when the lease expires; a worker that returns too late changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import structlog
from sqlalchemy import func, null, text, update

from bugrelay.domain.companies.repository import admins_of
from bugrelay.domain.webhooks import repository
from bugrelay.domain.webhooks.events import WebhookDisabled
from bugrelay.domain.webhooks.models import (
    DELIVERED,
    FAILED,
    FAILING,
    GONE,
    PENDING,
    Webhook,
    WebhookAttempt,
    WebhookDelivery,
)
from bugrelay.domain.webhooks.schemas import TEST, ClaimedDelivery
from bugrelay.infra.db.query import Query
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import MAIL_QUEUE, JobQueue

log = structlog.get_logger()

AT_ONCE_PER_WEBHOOK = 4
AT_ONCE_WHILE_LIMITED = 1
LEASE = timedelta(seconds=40)  # longer than an attempt and the recording of its outcome
DISABLED_AFTER = timedelta(days=7)
PAUSES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
MAIL_JOB = "webhooks.mail_disabled"
STATUS_GONE = 410

# The previous statement has locked the webhooks, so this one sees all leases of other workers.
_CLAIM = Query(
    text("""
UPDATE webhook_deliveries AS d
SET lease_id = gen_random_uuid(), leased_until = now() + :lease, next_at = now() + :lease, attempts = d.attempts + 1
FROM webhooks AS w, (
    SELECT turns.id
    FROM (
        SELECT due.id, due.turn, hook.company_id,
            row_number() OVER (PARTITION BY hook.company_id ORDER BY due.turn) AS turn_of_company
        FROM webhooks AS hook
        CROSS JOIN LATERAL (
            SELECT one.id, row_number() OVER (ORDER BY one.next_at, one.id) AS turn
            FROM webhook_deliveries AS one
            WHERE one.webhook_id = hook.id AND one.state = 'pending' AND one.next_at <= now()
            ORDER BY one.next_at, one.id
            LIMIT greatest(0, :each - (
                SELECT count(*) FROM webhook_deliveries AS other
                WHERE other.webhook_id = hook.id AND other.lease_id IS NOT NULL AND other.leased_until > now()
            ))
        ) AS due
        WHERE hook.id = ANY(CAST(:webhook_ids AS uuid[]))
    ) AS turns
    LEFT JOIN unnest(CAST(:holders AS uuid[]), CAST(:held AS bigint[])) AS taken (company_id, places) USING (company_id)
    WHERE turns.turn_of_company <= :per_company - coalesce(taken.places, 0)
    ORDER BY turns.turn
    LIMIT :limit
) AS claimed
WHERE d.id = claimed.id AND w.id = d.webhook_id
RETURNING d.id, d.webhook_id, w.company_id, d.stream, d.seq, d.type, d.attempts, d.created_at, d.lease_id, w.url,
    w.secret, CASE WHEN w.former_secret_until > now() THEN w.former_secret END AS former_secret,
    w.failing_since IS NOT NULL AS failing, w.include_internal, d.data
"""),
    ClaimedDelivery,
)


UNSENT_PAUSES = PAUSES[:3]
"""The pauses after attempts that failed on our side; the last one repeats for as long as the delivery is kept."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of an attempt: a status with the start of the response, or the error why there was none.

    Attributes:
        at: When it began.
        ms: Its duration in milliseconds.
        unsent: Why nothing was sent, through no fault of the receiver; None if it was. `ours`: an error on our side,
            to be retried; `never`: the delivery must no longer be sent.
    """

    at: datetime
    ms: int
    status: int | None = None
    response: str | None = None
    error: str | None = None
    unsent: Literal["ours", "never"] | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, section 15.3


@dataclass(frozen=True, kw_only=True)
class Slots:
    """The slots of a worker.

    Attributes:
        slow: Webhooks whose last attempt was slow.
        held: The number of used slots, by company.
        per_company: The maximum number for each company.
    """

    slow: Sequence[UUID]
    held: Mapping[UUID, int]
    per_company: int


async def claim_due(
    work: UnitOfWork, slots: Slots, *, limited: bool, limit: int
) -> Sequence[ClaimedDelivery]:
    """Lease due deliveries, round-robin over their webhooks, each for one attempt.

    Args:
        work: The unit of work.
        slots: The slots of the worker.
        limited: True for webhooks whose last attempt failed or was slow, False for all others.
        limit: The maximum number of deliveries.
    """
    each = AT_ONCE_WHILE_LIMITED if limited else AT_ONCE_PER_WEBHOOK
    full = [company_id for company_id, held in slots.held.items() if held >= slots.per_company]
    webhook_ids = await repository.lock_webhooks_with_due(
        work, limited=limited, slow=slots.slow, full=full, each=each, limit=limit
    )
    if not webhook_ids:
        return ()
    values = {
        "webhook_ids": list(webhook_ids),
        "holders": list(slots.held),
        "held": list(slots.held.values()),
        "per_company": slots.per_company,
        "each": each,
        "limit": limit,
        "lease": LEASE,
    }
    return await work.rows(_CLAIM, values)


async def record_outcome(
    work: UnitOfWork, delivery: ClaimedDelivery, outcome: Outcome, *, jobs: JobQueue
) -> None:
    """Record an attempt and its consequences: delivered, retried, given up, the webhook disabled.

    A failure of a URL that the webhook no longer has is not counted.
    """
    has_moved = False
    if delivery.failing or not outcome.is_success:
        # The webhook is locked before its delivery, in the same order as by its removal: else they could deadlock.
        has_moved = await repository.lock_url(work, delivery.webhook_id) != delivery.url
    if not await _end_lease(work, delivery, _next_state(delivery, outcome, has_moved=has_moved)):
        # The webhook was removed meanwhile, or another worker has leased the delivery.
        log.info("webhook_lease_lost", delivery_id=str(delivery.id))
        return
    work.session.add(
        WebhookAttempt(
            id=new_id(),
            delivery_id=delivery.id,
            at=outcome.at,
            ms=outcome.ms,
            status=outcome.status,
            response=outcome.response,
            error=outcome.error,
        )
    )
    if has_moved or outcome.unsent is not None:
        return
    if outcome.is_success:
        await _clear_failures(work, delivery)
    elif await _count_failure(work, delivery, outcome):
        await _mail_admins(work, delivery, jobs=jobs)


async def _mail_admins(work: UnitOfWork, delivery: ClaimedDelivery, *, jobs: JobQueue) -> None:
    """Add a job for each admin that mails them that the webhook was disabled."""
    for user_id in await admins_of(work, delivery.company_id):
        await jobs.add(
            work.session,
            MAIL_JOB,
            queue=MAIL_QUEUE,
            webhook_id=str(delivery.webhook_id),
            user_id=str(user_id),
            occasion=str(delivery.lease_id),
        )


async def _end_lease(work: UnitOfWork, delivery: ClaimedDelivery, next_state: Mapping[str, Any]) -> bool:
    """End the lease; returns False if it was lost."""
    ending = (
        update(WebhookDelivery)
        .where(WebhookDelivery.id == delivery.id, WebhookDelivery.lease_id == delivery.lease_id)
        .values(lease_id=null(), leased_until=null(), **next_state)
        .returning(WebhookDelivery.id)
        .execution_options(synchronize_session=False)
    )
    return (await work.session.execute(ending)).first() is not None


def _next_state(delivery: ClaimedDelivery, outcome: Outcome, *, has_moved: bool) -> dict[str, Any]:
    """The columns of the delivery after an attempt. A test is tried once, since a user looks at its outcome."""
    if outcome.is_success:
        return {"state": DELIVERED, "next_at": null()}
    if delivery.type == TEST or outcome.unsent == "never":
        return {"state": FAILED, "next_at": null()}
    if has_moved:
        return {"state": PENDING, "attempts": 0, "next_at": func.now()}
    if outcome.unsent == "ours":
        attempts = min(delivery.attempts, len(UNSENT_PAUSES))
        return {"state": PENDING, "attempts": attempts, "next_at": func.now() + UNSENT_PAUSES[attempts - 1]}
    if outcome.status == STATUS_GONE or delivery.attempts > len(PAUSES):
        return {"state": FAILED, "next_at": null()}
    return {"state": PENDING, "next_at": func.now() + PAUSES[delivery.attempts - 1]}


async def _clear_failures(work: UnitOfWork, delivery: ClaimedDelivery) -> None:
    if delivery.failing:
        await _update_webhook(work, delivery, failing_since=null())


async def _count_failure(work: UnitOfWork, delivery: ClaimedDelivery, outcome: Outcome) -> bool:
    """Record a failure; returns whether it has disabled the webhook. Failed tests disable it only by a 410."""
    if outcome.status == STATUS_GONE:
        return await _disable(work, delivery, GONE)
    if delivery.type == TEST:
        return False
    if not delivery.failing:
        await _update_webhook(work, delivery, Webhook.failing_since.is_(None), failing_since=func.now())
        return False
    return await _disable(work, delivery, FAILING, Webhook.failing_since < func.now() - DISABLED_AFTER)


async def _disable(work: UnitOfWork, delivery: ClaimedDelivery, reason: str, *conditions: Any) -> bool:
    values = {"enabled": False, "disabled_reason": reason, "updated_at": func.now()}
    disabled = await _update_webhook(work, delivery, Webhook.enabled, *conditions, **values)
    if disabled:
        log.info("webhook_disabled", webhook_id=str(delivery.webhook_id), reason=reason)
        work.record(
            WebhookDisabled(webhook_id=delivery.webhook_id, company_id=delivery.company_id, reason=reason)
        )
    return disabled


async def _update_webhook(
    work: UnitOfWork, delivery: ClaimedDelivery, *conditions: Any, **values: Any
) -> bool:
    changing = (
        update(Webhook)
        .where(Webhook.id == delivery.webhook_id, *conditions)
        .values(**values)
        .returning(Webhook.id)
        .execution_options(synchronize_session=False)
    )
    return (await work.session.execute(changing)).first() is not None
