"""Deliveries of GitHub's webhook: authenticated by their signature, stored once, processed by a job."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import delete, func, null, select, update
from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.github import repository
from bugrelay.domain.github.client import Account, GitHubId, Moment
from bugrelay.domain.github.errors import InvalidSignature
from bugrelay.domain.github.models import GitHubDelivery
from bugrelay.domain.github.schemas import ConnectionRow, IncomingFacts
from bugrelay.domain.github.service import incoming
from bugrelay.domain.github.service.secrets import secret_purpose
from bugrelay.errors import ValidationFailed
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.jobs.queue import JobQueue
from bugrelay.infra.security.encryption import Encryption, SecretUnreadable

DELIVERY_JOB = "github.take_delivery"
RETENTION = timedelta(days=30)  # deduplicates redeliveries, which GitHub offers for three days
DELETED_AT_ONCE = 5000
_DUMMY_SECRET = b"used without a connection, so that the response takes as long"

_ACTIONS = {"issues": (*incoming.STATES, *incoming.GONE_ACTIONS), "issue_comment": ("created",)}


class _Issue(Struct):
    id: GitHubId
    number: GitHubId
    updated_at: Moment
    state_reason: str | None = None


class _Comment(Struct):
    id: GitHubId
    body: str | None = None
    user: Account | None = None


class _Repository(Struct):
    id: GitHubId


class _Payload(Struct):
    """The fields that we read of a delivery of `issues` or `issue_comment`."""

    action: str
    repository: _Repository
    issue: _Issue
    comment: _Comment | None = None


def check_signature(
    connection: ConnectionRow | None, body: bytes, *, signature: str, encryption: Encryption
) -> ConnectionRow:
    """The connection whose secret has signed the body, `sha256=` and the HMAC in hexadecimal digits.

    Raises:
        InvalidSignature
    """
    secret = None if connection is None else _secret(connection, encryption)
    digest = hmac.digest(secret or _DUMMY_SECRET, body, hashlib.sha256).hex()
    matches = hmac.compare_digest(f"sha256={digest}".encode(), signature.encode("utf-8", "replace"))
    if connection is None or secret is None or not matches:
        raise InvalidSignature
    return connection


def _secret(connection: ConnectionRow, encryption: Encryption) -> bytes | None:
    purpose = secret_purpose(connection.company_id)
    try:
        return encryption.decrypt(connection.secret, purpose=purpose, row_id=connection.id)
    except SecretUnreadable:
        return None


async def store_delivery(
    work: UnitOfWork,
    connection: ConnectionRow,
    *,
    event: str,
    delivery_id: str,
    content: Any,
    jobs: JobQueue,
) -> None:
    """Store the facts of a delivery, once, with a job that processes it; other events and actions are ignored.

    Raises:
        ValidationFailed: It has not the form of GitHub's deliveries.
    """
    facts = _facts(event, content)
    if facts is None or not connection.enabled:
        return
    keeping = (
        insert(GitHubDelivery)
        .values(
            connection_id=connection.id,
            delivery_id=delivery_id,
            facts=msgspec.to_builtins(facts),
        )
        .on_conflict_do_nothing()
        .returning(GitHubDelivery.delivery_id)
    )
    if (await work.session.execute(keeping)).first() is not None:
        await jobs.add(work.session, DELIVERY_JOB, connection_id=str(connection.id), delivery_id=delivery_id)


def _facts(event: str, content: Any) -> IncomingFacts | None:
    """The facts of a delivery; None for events and actions that are ignored."""
    action = content.get("action") if isinstance(content, dict) else None
    if action not in _ACTIONS.get(event, ()):
        return None
    payload = _read(content)
    issue, comment = payload.issue, payload.comment
    if event == "issues":
        return IncomingFacts(
            action=payload.action,
            repository_id=payload.repository.id,
            issue_id=issue.id,
            number=issue.number,
            at=issue.updated_at,
            reason=incoming.NOT_PLANNED if issue.state_reason == incoming.NOT_PLANNED else None,
        )
    if comment is None:
        raise ValidationFailed.of("comment", "is required")
    return IncomingFacts(
        action=incoming.COMMENTED,
        repository_id=payload.repository.id,
        issue_id=issue.id,
        number=issue.number,
        comment_id=comment.id,
        login=comment.user.login.replace("\0", "") if comment.user else None,
        body=_shortened(comment.body or ""),
    )


def _shortened(body: str) -> str:
    """The body, cut in the middle where it is too long: a marker is at its end."""
    body = body.replace("\0", "")  # jsonb cannot store it
    return body if len(body) <= incoming.MAX_READ else f"{body[: incoming.MAX_READ - 200]}{body[-200:]}"


def _read(content: Any) -> _Payload:
    """
    Raises:
        ValidationFailed
    """
    try:
        return msgspec.convert(content, _Payload)
    except msgspec.ValidationError as error:
        raise ValidationFailed.of("body", "must be a delivery of GitHub's webhook") from error


async def process_delivery(work: UnitOfWork, *, connection_id: UUID, delivery_id: str) -> None:
    """Apply a delivery; once, however often the job runs."""
    kept = await repository.lock_delivery_facts(work, connection_id=connection_id, delivery_id=delivery_id)
    connection = await repository.connection(work, connection_id)
    if kept is None or connection is None:
        return
    await incoming.apply(work, connection, msgspec.convert(kept, IncomingFacts))
    await work.session.execute(
        update(GitHubDelivery)
        .where(GitHubDelivery.connection_id == connection_id, GitHubDelivery.delivery_id == delivery_id)
        .values(facts=null())
        .execution_options(synchronize_session=False)
    )


async def delete_old_deliveries(work: UnitOfWork) -> int:
    """Delete a batch of deliveries older than `RETENTION`; returns how many."""
    old = (
        select(GitHubDelivery.connection_id, GitHubDelivery.delivery_id)
        .where(GitHubDelivery.received_at < func.now() - RETENTION)
        .limit(DELETED_AT_ONCE)
        .subquery()
    )
    deleting = (
        delete(GitHubDelivery)
        .where(
            GitHubDelivery.connection_id == old.c.connection_id,
            GitHubDelivery.delivery_id == old.c.delivery_id,
        )
        .returning(GitHubDelivery.delivery_id)
        .execution_options(synchronize_session=False)
    )
    return len((await work.session.execute(deleting)).all())
