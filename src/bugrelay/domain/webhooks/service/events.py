"""Deliveries of events: queued by the consumer of the event log, or again by a replay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, null, text, update

from bugrelay.domain.events.repository import events_after
from bugrelay.domain.events.schemas import Event
from bugrelay.domain.webhooks import repository
from bugrelay.domain.webhooks.models import Webhook
from bugrelay.domain.webhooks.repository import Recipient
from bugrelay.domain.webhooks.schemas import ALL
from bugrelay.domain.webhooks.service.queueing import lock_enabled
from bugrelay.errors import ValidationFailed
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import JobQueue

REPLAY_JOB = "webhooks.replay"
REPLAYED_AT_ONCE = 1000
MAX_REPLAY = timedelta(days=30)

_ROWS = """
INSERT INTO webhook_deliveries (id, webhook_id, stream, seq, type, next_at)
SELECT id, webhook_id, :stream, seq, type, now()
FROM unnest(CAST(:ids AS uuid[]), CAST(:webhook_ids AS uuid[]), CAST(:seqs AS bigint[]), CAST(:types AS text[]))
    AS new (id, webhook_id, seq, type)
ON CONFLICT (webhook_id, stream, seq) """
_QUEUE = text(_ROWS + "DO NOTHING")
# A delivery with a running attempt is not queued again.
_QUEUE_AGAIN = text(
    _ROWS
    + """DO UPDATE
SET state = 'pending', attempts = 0, next_at = now(), lease_id = NULL, leased_until = NULL
WHERE webhook_deliveries.leased_until IS NULL OR webhook_deliveries.leased_until <= now()
"""
)


async def queue_events(work: UnitOfWork, events: Sequence[Event]) -> None:
    """Queue events of one stream for the webhooks of its company; none while the company is not verified.

    A webhook receives only events since it was added.
    """
    recipients = await repository.lock_recipients(work, events[0].stream)
    wanted = [
        (recipient.id, event)
        for event in events
        for recipient in recipients
        if event.at >= recipient.created_at and _is_for(recipient, event)
    ]
    await _queue(work, wanted, again=False)


def _is_for(recipient: Recipient, event: Event) -> bool:
    """Whether a webhook receives an event. Non-public events from before the verification are another team's."""
    if event.is_recorded_later or not (ALL in recipient.events or event.type in recipient.events):
        return False
    if event.visibility == "internal" and not recipient.include_internal:
        return False
    return event.visibility == "public" or event.at >= recipient.verified_at


async def _queue(work: UnitOfWork, wanted: Sequence[tuple[UUID, Event]], *, again: bool) -> None:
    if not wanted:
        return
    values = {
        "stream": wanted[0][1].stream,
        "ids": [new_id() for _ in wanted],
        "webhook_ids": [webhook_id for webhook_id, _ in wanted],
        "seqs": [event.seq for _, event in wanted],
        "types": [event.type for _, event in wanted],
    }
    await work.session.execute(_QUEUE_AGAIN if again else _QUEUE, values)


async def request_replay(
    work: UnitOfWork, company_id: UUID, *, actor_id: UUID, webhook_id: UUID, since: datetime, jobs: JobQueue
) -> None:
    """Deliver all events since then again, under the same ids. A replay that is still running is extended.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, WebhookNotFound, WebhookDisabled
        ValidationFailed: `since` is more than 30 days back.
    """
    if since < datetime.now(UTC) - MAX_REPLAY:
        raise ValidationFailed.of("since", "must be within the last 30 days")
    await lock_enabled(work, company_id, actor_id=actor_id, webhook_id=webhook_id)
    first = await repository.last_seq_before(work, company_id, since) + 1
    last = await repository.last_seq(work, company_id)
    if first > last:
        return
    await work.session.execute(
        update(Webhook)
        .where(Webhook.id == webhook_id)
        .values(
            replay_next_seq=func.least(func.coalesce(Webhook.replay_next_seq, first), first),
            replay_last_seq=func.greatest(func.coalesce(Webhook.replay_last_seq, last), last),
        )
        .execution_options(synchronize_session=False)
    )
    await jobs.add(work.session, REPLAY_JOB, webhook_id=str(webhook_id))


async def replay_some(work: UnitOfWork, webhook_id: UUID, *, jobs: JobQueue) -> None:
    """Queue the next thousand events of a replay, and add the job for the rest, in one transaction.

    A replay ends early when the webhook is disabled or the company is not verified.
    """
    replay = await repository.lock_replay(work, webhook_id)
    if replay is None:
        return
    recipient = await repository.lock_recipient(work, webhook_id)
    events = await events_after(work, replay.company_id, replay.next_seq - 1, limit=REPLAYED_AT_ONCE)
    due = [event for event in events if event.seq <= replay.last_seq]
    is_over = recipient is None or not due or due[-1].seq == replay.last_seq
    if recipient is not None:
        wanted = [(webhook_id, event) for event in due if _is_for(recipient, event)]
        await _queue(work, wanted, again=True)
    await work.session.execute(
        update(Webhook)
        .where(Webhook.id == webhook_id)
        .values(
            replay_next_seq=null() if is_over else due[-1].seq + 1,
            replay_last_seq=null() if is_over else replay.last_seq,
        )
        .execution_options(synchronize_session=False)
    )
    if not is_over:
        await jobs.add(work.session, REPLAY_JOB, webhook_id=str(webhook_id))
