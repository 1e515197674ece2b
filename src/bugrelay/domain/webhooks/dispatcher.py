"""Sends due deliveries: each worker runs one dispatcher.

A worker has slots for 20 attempts, 15 of them for one company; a webhook has 4 over all workers, which are counted in
the database. A webhook whose last attempt failed or was slow has one at a time, and all such webhooks together half of
the slots (a bulkhead): receivers that hang delay the others only by the 15 seconds of their first attempts.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog

from bugrelay.domain.webhooks import signing
from bugrelay.domain.webhooks.errors import NotToBeSent
from bugrelay.domain.webhooks.schemas import ClaimedDelivery, event_id_of
from bugrelay.domain.webhooks.service.delivering import Outcome, Slots, claim_due, record_outcome
from bugrelay.domain.webhooks.service.webhooks import FORMER_PURPOSE, PURPOSE
from bugrelay.infra.db.database import bulkhead
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.jobs.queue import JobQueue
from bugrelay.infra.security.egress import Egress, EgressFailed
from bugrelay.infra.security.encryption import Encryption, SecretUnreadable

log = structlog.get_logger()

AT_ONCE = 20
AT_ONCE_LIMITED = AT_ONCE // 2  # for webhooks that fail or are slow
AT_ONCE_PER_COMPANY = 15
SLOW_MS = 3000
MAX_SLOW = 10_000  # webhooks that are remembered
RECORDED_AT_ONCE = 3  # database connections for recording outcomes
POLL_SECONDS = 1.0
STOP_SECONDS = 10.0

Work = Callable[[], UnitOfWork]
LoadBody = Callable[[ClaimedDelivery], Awaitable[bytes]]


class Dispatcher:
    """The attempts of one worker.

    Args:
        work: Begins a unit of work.
        load_body: Returns the body of a delivery; raises `NotToBeSent`.
        egress: Posts it.
        encryption: Decrypts the secrets of webhooks.
        jobs: The queue of mails to admins.
    """

    def __init__(
        self, work: Work, *, load_body: LoadBody, egress: Egress, encryption: Encryption, jobs: JobQueue
    ) -> None:
        self._work = work
        self._load_body = load_body
        self._egress = egress
        self._encryption = encryption
        self._jobs = jobs
        self._running: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self._slow: OrderedDict[UUID, None] = OrderedDict()  # webhooks whose last attempt here was slow
        self._recording = asyncio.Semaphore(RECORDED_AT_ONCE)

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until `stopping` is set; attempts that are running then have `STOP_SECONDS` to finish."""
        bulkhead.set("webhooks")
        stopped = asyncio.create_task(stopping.wait())
        try:
            while not stopping.is_set():
                claimed = await self._claim()
                for delivery in claimed:
                    task = asyncio.create_task(self._attempt(delivery))
                    self._running[task] = delivery
                    task.add_done_callback(self._running.pop)
                if not claimed:
                    await self._pause(stopped)
        finally:
            stopped.cancel()
            await self._end()

    async def _pause(self, stopped: asyncio.Task[bool]) -> None:
        """Wait until deliveries may be due, or a slot is free."""
        full = len(self._running) >= AT_ONCE
        await asyncio.wait(
            {stopped, *self._running},
            timeout=None if full else POLL_SECONDS,
            return_when=asyncio.FIRST_COMPLETED,
        )

    async def _end(self) -> None:
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=STOP_SECONDS)
            for task in late:  # its delivery is due again when the lease expires
                task.cancel()

    async def _claim(self) -> Sequence[ClaimedDelivery]:
        free = AT_ONCE - len(self._running)
        if free <= 0:
            return ()
        async with self._work() as work:
            claimed = list(await claim_due(work, self._slots(()), limited=False, limit=free))
            limited = sum(d.failing or d.webhook_id in self._slow for d in self._running.values())
            left = min(free - len(claimed), AT_ONCE_LIMITED - limited)
            if left > 0:
                claimed += await claim_due(work, self._slots(claimed), limited=True, limit=left)
        return claimed

    def _slots(self, claimed: Sequence[ClaimedDelivery]) -> Slots:
        """The used slots of this worker, including the deliveries that were claimed just now."""
        held = Counter(delivery.company_id for delivery in (*self._running.values(), *claimed))
        return Slots(slow=tuple(self._slow), held=held, per_company=AT_ONCE_PER_COMPANY)

    def _note_duration(self, webhook_id: UUID, *, ms: int) -> None:
        self._slow.pop(webhook_id, None)
        if ms >= SLOW_MS:
            self._slow[webhook_id] = None
        if len(self._slow) > MAX_SLOW:
            self._slow.popitem(last=False)

    async def _attempt(self, delivery: ClaimedDelivery) -> None:
        """Do one attempt and record its outcome; if that fails, the delivery is due again when its lease expires."""
        try:
            outcome = await self._post(delivery)
            self._note_duration(delivery.webhook_id, ms=outcome.ms)
            async with self._recording, self._work() as work:
                await record_outcome(work, delivery, outcome, jobs=self._jobs)
        except Exception:
            log.exception("webhook_attempt_lost", delivery_id=str(delivery.id))
        else:
            log.info(
                "webhook_attempt",
                delivery_id=str(delivery.id),
                webhook_id=str(delivery.webhook_id),
                attempt=delivery.attempts,
                status=outcome.status,
                error=outcome.error,
                ms=outcome.ms,
            )

    async def _post(self, delivery: ClaimedDelivery) -> Outcome:
        at, began = datetime.now(UTC), time.perf_counter()

        def elapsed_ms() -> int:
            return round((time.perf_counter() - began) * 1000)

        try:
            secrets = self._secrets(delivery)
            body = await self._load_body(delivery)
            event_id = event_id_of(delivery.id, type=delivery.type, stream=delivery.stream, seq=delivery.seq)
            headers = signing.signed_headers(event_id, body, timestamp=int(at.timestamp()), secrets=secrets)
            response = await self._egress.post(delivery.url, content=body, headers=headers)
        except SecretUnreadable:
            error = "the secret cannot be read; ask the operator"
            return Outcome(at=at, ms=elapsed_ms(), error=error, unsent="ours")
        except NotToBeSent as reason:
            return Outcome(at=at, ms=elapsed_ms(), error=str(reason), unsent="never")
        except EgressFailed as failure:
            return Outcome(at=at, ms=elapsed_ms(), error=str(failure))
        return Outcome(at=at, ms=elapsed_ms(), status=response.status, response=_storable(response.text))

    def _secrets(self, delivery: ClaimedDelivery) -> list[bytes]:
        """The decrypted secrets of a webhook, newest first."""
        row_id = delivery.webhook_id
        found = [self._encryption.decrypt(delivery.secret, purpose=PURPOSE, row_id=row_id)]
        if delivery.former_secret is not None:
            found.append(
                self._encryption.decrypt(delivery.former_secret, purpose=FORMER_PURPOSE, row_id=row_id)
            )
        return found


def _storable(text: str) -> str:
    """Replace NUL, which PostgreSQL cannot store."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
