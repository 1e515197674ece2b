"""Idempotency keys: the response to the first request with a key is stored, and repeated requests get it again.

A key is claimed by a committed row before the work starts, and completed in the transaction of the work. So a crash
between the two leaves a claim, which expires after `CLAIM_SECONDS`, and never a response without its change.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Index, LargeBinary, SmallInteger, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.errors import BugRelayError
from bugrelay.infra.db.models import Base, CreatedAt, Moment

KEPT_FOR = timedelta(hours=24)
CLAIM_SECONDS = 10  # longer than any request may take


class IdempotencyConflict(BugRelayError):
    code = "IDEMPOTENCY_CONFLICT"
    status = 409
    message = "This Idempotency-Key was used for another request"


class IdempotencyInProgress(BugRelayError):
    code = "IDEMPOTENCY_IN_PROGRESS"
    status = 409
    message = "The first request with this Idempotency-Key is still being worked on"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class IdempotencyKey(Base):
    """A key of a sender; `status` and `answer` are null until the first request is done.

    `sender_id` is the user, null for anonymous senders: a response may contain what only its sender may see.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("ix_idempotency_keys_sender_id", "sender_id", postgresql_where=text("sender_id IS NOT NULL")),
    )

    key_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    sender_id: Mapped[UUID | None]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    claimed_until: Mapped[Moment]


@dataclass(frozen=True)
class IdempotencyClaim:
    """A sender's key and the hash of the request that was sent with it."""

    key_hash: bytes
    request_hash: bytes
    sender_id: UUID | None

    @classmethod
    def of(cls, *, sender_id: UUID | None, key: str, request: Any) -> IdempotencyClaim:
        """`sender_id` is None for anonymous senders. `request` is any JSON value, whatever the order of its keys."""
        sender = f"user:{sender_id}" if sender_id else "anonymous"
        encoder = msgspec.json.Encoder(order="sorted")
        return cls(
            hashlib.sha256(encoder.encode([sender, key])).digest(),
            hashlib.sha256(encoder.encode(request)).digest(),
            sender_id,
        )


@dataclass(frozen=True)
class StoredResponse:
    status: int
    body: bytes


async def claim(session: AsyncSession, claimed: IdempotencyClaim) -> StoredResponse | None:
    """Claim the key for a first request (None), or return the stored response of an earlier one. The caller commits.

    Raises:
        IdempotencyConflict: The key was used for another request.
        IdempotencyInProgress: The first request is not done yet.
    """
    now = func.clock_timestamp()
    free = or_(
        IdempotencyKey.created_at < now - KEPT_FOR,
        IdempotencyKey.status.is_(None) & (IdempotencyKey.claimed_until < now),
    )
    fresh = {
        "request_hash": claimed.request_hash,
        "sender_id": claimed.sender_id,
        "status": None,
        "answer": None,
        "created_at": now,
        "claimed_until": now + timedelta(seconds=CLAIM_SECONDS),
    }
    row = insert(IdempotencyKey).values(key_hash=claimed.key_hash, **fresh)
    row = row.on_conflict_do_update(index_elements=["key_hash"], set_=fresh, where=free)
    if (await session.execute(row.returning(IdempotencyKey.key_hash))).first():
        return None
    return await _stored_response(session, claimed)


async def _stored_response(session: AsyncSession, claimed: IdempotencyClaim) -> StoredResponse:
    """
    Raises:
        IdempotencyConflict, IdempotencyInProgress
    """
    stored = (
        await session.execute(
            select(IdempotencyKey.request_hash, IdempotencyKey.status, IdempotencyKey.answer).where(
                IdempotencyKey.key_hash == claimed.key_hash
            )
        )
    ).one_or_none()
    if stored is None:
        raise IdempotencyInProgress
    if stored.request_hash != claimed.request_hash:
        raise IdempotencyConflict
    if stored.status is None:
        raise IdempotencyInProgress
    return StoredResponse(stored.status, stored.answer)


async def complete(session: AsyncSession, claimed: IdempotencyClaim, response: StoredResponse) -> None:
    """Store the response of a successful request, in the transaction of its work."""
    await session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.key_hash == claimed.key_hash)
        .values(status=response.status, answer=response.body)
    )


async def delete_responses_of(session: AsyncSession, user_id: UUID) -> None:
    """Delete the stored responses of a user. The caller commits."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.sender_id == user_id))


async def release(session: AsyncSession, claimed: IdempotencyClaim) -> None:
    """Free the key of a request that failed: only successful responses are stored. The caller commits."""
    await session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.key_hash == claimed.key_hash, IdempotencyKey.status.is_(None)
        )
    )
