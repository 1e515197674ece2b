"""One call at a time with a token, over all workers: a lease in the database, and when the next call may begin.

A lease is renewed before each call, and lasts longer than a call may. What GitHub limits, it limits by token, so the
pauses that it asks for stand here as well, and cost no push an attempt.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from bugrelay.domain.github.errors import LeaseLost
from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.settings import Rate

LEASE = timedelta(seconds=30)  # longer than a call with what surrounds it
BETWEEN_WRITES = timedelta(seconds=1)
UNTOLD_PAUSE = timedelta(seconds=60)  # where GitHub limits and does not say for how long; doubled each time
MAX_PAUSE = timedelta(hours=1)
_MAX_DOUBLINGS = 6
_WRITES_KEPT = 1000
_AN_AGE = timedelta(days=1)


class Lease(Row):
    """That the token is ours for a while, and for which connection it was taken."""

    key: bytes
    lease_id: UUID
    connection_id: UUID


_DUE = """
    SELECT c.id, CASE WHEN c.uses_default THEN CAST(:default_key AS bytea) ELSE c.token_key END AS key
    FROM github_connections AS c
    JOIN companies AS o ON o.id = c.company_id AND o.verified
    WHERE c.enabled AND {condition}
"""
_TAKE = """
WITH wanted AS ({due}), ready AS (
    SELECT w.id, w.key FROM wanted AS w
    WHERE w.key IS NOT NULL AND NOT EXISTS (
        SELECT FROM github_tokens AS t WHERE t.key = w.key AND (t.leased_until > now() OR t.ready_at > now())
    )
    ORDER BY random() LIMIT 1
)
INSERT INTO github_tokens AS t (key, lease_id, leased_until)
SELECT key, gen_random_uuid(), now() + CAST(:lease AS interval) FROM ready
ON CONFLICT (key) DO UPDATE SET lease_id = excluded.lease_id, leased_until = excluded.leased_until
WHERE t.leased_until <= now() AND t.ready_at <= now()
RETURNING t.key, t.lease_id, (SELECT id FROM ready) AS connection_id
"""
_HAS_WORK = """(c.catch_up_at <= now() OR EXISTS (
    SELECT FROM github_pushes AS p
    WHERE p.connection_id = c.id AND p.state = 'pending' AND p.next_at <= now()
))"""
_TAKE_DUE = Query(text(_TAKE.format(due=_DUE.format(condition=_HAS_WORK))), Lease)
_TAKE_ONE = Query(
    text(
        _TAKE.format(
            due=_DUE.format(condition="c.id = CAST(:connection_id AS uuid)").replace("c.enabled AND ", "")
        )
    ),
    Lease,
)
_RENEW = Query(
    text("""
UPDATE github_tokens SET leased_until = now() + CAST(:leased_for AS interval),
    writes = CASE WHEN :writes THEN (
        SELECT coalesce(array_agg(at ORDER BY at), '{}') FROM (
            SELECT at FROM unnest(array_append(writes, now())) AS at
            WHERE at > now() - CAST(:window AS interval) ORDER BY at DESC LIMIT :kept
        ) AS latest
    ) ELSE writes END
WHERE key = :key AND lease_id = CAST(:lease_id AS uuid) AND leased_until > now()
RETURNING key
"""),
    bytes,
)
_RELEASE = Query(
    text("""
UPDATE github_tokens SET leased_until = now(), pauses = CASE WHEN :rested THEN 0 ELSE pauses END,
    ready_at = greatest(
        ready_at,
        now() + CAST(:rest AS interval),
        CASE WHEN :most > 0 AND cardinality(writes) >= :most
            THEN writes[cardinality(writes) - :most + 1] + CAST(:window AS interval) ELSE now() END
    )
WHERE key = :key AND lease_id = CAST(:lease_id AS uuid)
RETURNING key
"""),
    bytes,
)
_PAUSE = Query(
    text("""
UPDATE github_tokens SET leased_until = now(), pauses = least(pauses + 1, :doublings),
    ready_at = now() + least(
        CASE WHEN CAST(:seconds AS float) IS NULL THEN CAST(:untold AS interval) * power(2, pauses)
            ELSE make_interval(secs => CAST(:seconds AS float)) END,
        CAST(:longest AS interval)
    )
WHERE key = :key AND lease_id = CAST(:lease_id AS uuid)
RETURNING key
"""),
    bytes,
)


async def take_due(work: UnitOfWork, *, default_key: bytes | None) -> Lease | None:
    """Take a token that nobody calls with, for a connection that has something to do; None where there is none."""
    return await work.row(_TAKE_DUE, {"default_key": default_key, "lease": LEASE})


async def take_for(work: UnitOfWork, connection_id: UUID, *, default_key: bytes | None) -> Lease | None:
    """Take the token of this connection; None where somebody calls with it, or GitHub wants none to."""
    values = {"default_key": default_key, "lease": LEASE, "connection_id": connection_id}
    return await work.row(_TAKE_ONE, values)


async def renew(work: UnitOfWork, lease: Lease, *, writes: bool, rate: Rate | None) -> None:
    """Keep the token for one more call.

    Raises:
        LeaseLost
    """
    values = _named(lease, leased_for=LEASE, writes=writes, window=_window(rate), kept=_WRITES_KEPT)
    if await work.row(_RENEW, values) is None:
        raise LeaseLost


async def release(
    work: UnitOfWork, lease: Lease, *, rest: timedelta, answered: bool, rate: Rate | None
) -> None:
    """Leave the token to others.

    Args:
        work: The change.
        lease: Ours, or not any more: then nothing is done.
        rest: Before which nobody calls with it.
        answered: Whether GitHub has answered without limiting: the next pause is a short one again.
        rate: Of writes.
    """
    most = 0 if rate is None else rate.limit
    await work.row(_RELEASE, _named(lease, rest=rest, rested=answered, most=most, window=_window(rate)))


async def pause(work: UnitOfWork, lease: Lease, *, seconds: float | None) -> None:
    """GitHub wants no call with this token for a time, or does not say for how long."""
    values = _named(lease, seconds=seconds, untold=UNTOLD_PAUSE, longest=MAX_PAUSE, doublings=_MAX_DOUBLINGS)
    await work.row(_PAUSE, values)


_FORGET = text(
    "DELETE FROM github_tokens WHERE greatest(leased_until, ready_at) < now() - CAST(:age AS interval)"
)


async def forget_unused(work: UnitOfWork) -> None:
    """Delete what is kept of tokens that nobody has called with for a day."""
    await work.session.execute(_FORGET, {"age": _AN_AGE})


def _window(rate: Rate | None) -> timedelta:
    return timedelta(seconds=60 if rate is None else rate.window_seconds)


def _named(lease: Lease, **values: object) -> dict[str, object]:
    return {"key": lease.key, "lease_id": lease.lease_id, **values}
