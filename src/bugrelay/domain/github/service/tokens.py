"""Leases of tokens: one call at a time with a token over all workers, and the earliest time of the next call.

A lease is renewed before each call, and lasts longer than a call. GitHub's rate limits are per token, so the pauses
that it asks for are stored here, and do not count as attempts of a push.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from bugrelay.domain.github.errors import LeaseLost
from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.settings import Rate

LEASE = timedelta(seconds=30)  # longer than a call and the units of work around it
BETWEEN_WRITES = timedelta(seconds=1)
DEFAULT_PAUSE = timedelta(seconds=60)  # for a limit without a time; doubled each time
MAX_PAUSE = timedelta(hours=1)
_MAX_DOUBLINGS = 6
_WRITES_KEPT = 1000
_UNUSED_FOR = timedelta(days=1)


class Lease(Row):
    """A lease of a token, and the connection that it was taken for."""

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
        CASE WHEN CAST(:seconds AS float) IS NULL THEN CAST(:default AS interval) * power(2, pauses)
            ELSE make_interval(secs => CAST(:seconds AS float)) END,
        CAST(:longest AS interval)
    )
WHERE key = :key AND lease_id = CAST(:lease_id AS uuid)
RETURNING key
"""),
    bytes,
)


async def lease_due(work: UnitOfWork, *, default_key: bytes | None) -> Lease | None:
    """Lease a free token of a connection that has work to do; None where there is none."""
    return await work.row(_TAKE_DUE, {"default_key": default_key, "lease": LEASE})


async def lease_for(work: UnitOfWork, connection_id: UUID, *, default_key: bytes | None) -> Lease | None:
    """Lease the token of this connection; None where it is leased, or not ready."""
    values = {"default_key": default_key, "lease": LEASE, "connection_id": connection_id}
    return await work.row(_TAKE_ONE, values)


async def renew(work: UnitOfWork, lease: Lease, *, writes: bool, rate: Rate | None) -> None:
    """Renew the lease for one more call.

    Raises:
        LeaseLost
    """
    values = _parameters(lease, leased_for=LEASE, writes=writes, window=_window(rate), kept=_WRITES_KEPT)
    if await work.row(_RENEW, values) is None:
        raise LeaseLost


async def release(
    work: UnitOfWork, lease: Lease, *, rest: timedelta, answered: bool, rate: Rate | None
) -> None:
    """Release the lease; nothing is done where it was lost.

    Args:
        work: The unit of work.
        lease: The lease.
        rest: The pause before the next call with the token.
        answered: Whether GitHub has answered without limiting, which resets the back-off.
        rate: The limit of writes.
    """
    most = 0 if rate is None else rate.limit
    await work.row(_RELEASE, _parameters(lease, rest=rest, rested=answered, most=most, window=_window(rate)))


async def pause(work: UnitOfWork, lease: Lease, *, seconds: float | None) -> None:
    """Release the lease, and pause the token for `seconds`, or with exponential back-off where that is None."""
    values = _parameters(
        lease, seconds=seconds, default=DEFAULT_PAUSE, longest=MAX_PAUSE, doublings=_MAX_DOUBLINGS
    )
    await work.row(_PAUSE, values)


_DELETE_UNUSED = text(
    "DELETE FROM github_tokens WHERE greatest(leased_until, ready_at) < now() - CAST(:age AS interval)"
)


async def delete_unused(work: UnitOfWork) -> None:
    """Delete leases of tokens that were not used for a day."""
    await work.session.execute(_DELETE_UNUSED, {"age": _UNUSED_FOR})


def _window(rate: Rate | None) -> timedelta:
    return timedelta(seconds=60 if rate is None else rate.window_seconds)


def _parameters(lease: Lease, **values: object) -> dict[str, object]:
    return {"key": lease.key, "lease_id": lease.lease_id, **values}
