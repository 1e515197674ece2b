"""Addresses for notifications of anonymous reports, which their owners must confirm.

Anybody can type anybody's address. So an unconfirmed address is only mailed a link to confirm it, at most once a day,
in a mail without any text of the report. Notifications begin after the link was opened and its button pressed.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, or_, update
from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.accounts.models import email_key
from bugrelay.domain.bugs.errors import ReceiptNotFound
from bugrelay.domain.bugs.models import BugText
from bugrelay.domain.bugs.repository import lock_owner, lock_receipt, wait_for_tables
from bugrelay.domain.bugs.schemas import FollowReport, Level, ReceiptSubscription
from bugrelay.domain.bugs.service import receipts
from bugrelay.domain.notifications.models import ContactMail, ReportContact
from bugrelay.domain.notifications.repository import contacts as repository
from bugrelay.errors import InvalidLinkToken, RateLimitExceeded, ValidationFailed
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import MAIL_QUEUE, JobQueue
from bugrelay.infra.redis.rate_limits import Bucket, Limiter
from bugrelay.infra.security.signed_links import link_token
from bugrelay.infra.security.tokens import hash_secret
from bugrelay.settings import Rate

PURPOSE = "confirm_contact"
MAIL_JOB = "notifications.mail_contact_link"
LIFE = timedelta(hours=48)
BETWEEN_MAILS = timedelta(days=1)
ADDRESSES = Bucket("report_addresses", Rate(5, 86400))
_UNSYNCHRONISED = {"synchronize_session": False}


async def add_contact(
    work: UnitOfWork, bug_id: UUID, *, email: str, level: Level, jobs: JobQueue | None
) -> None:
    """Store an address that waits for confirmation.

    Args:
        work: The unit of work.
        bug_id: The bug of the report.
        email: The address.
        level: The level of its subscription.
        jobs: The queue for the mail with the link; None sends no mail.
    """
    contact_id = new_id()
    await work.session.execute(
        insert(ReportContact).values(
            id=contact_id, bug_id=bug_id, email=email, address_key=address_key(email), level=level
        )
    )
    if jobs is not None:
        await jobs.add(work.session, MAIL_JOB, queue=MAIL_QUEUE, contact_id=str(contact_id))


async def subscription_of(reader: Reader, bug_id: UUID) -> ReceiptSubscription | None:
    """The owner's subscription. While a new address waits for confirmation, the previous one is still notified."""
    waiting = await repository.waiting_address(reader, bug_id)
    if waiting is not None:
        return ReceiptSubscription(waiting.level, "unconfirmed")
    following = await repository.confirmed_address(reader, bug_id)
    return None if following is None else ReceiptSubscription(following.level, "confirmed")


async def follow_report(
    work: UnitOfWork, bug_id: UUID, wanted: FollowReport, *, secret: str, jobs: JobQueue
) -> ReceiptSubscription:
    """Change the level and the address of the owner's subscription.

    Args:
        work: The unit of work.
        bug_id: The bug of the report.
        wanted: The level; and an address, if it is to be changed or to be mailed a new link.
        secret: The secret of the receipt, which is checked again under a lock.
        jobs: The queue for the mail with the link.

    Raises:
        ReceiptNotFound
        ValidationFailed: The report has no address, and `wanted` has none.
    """
    if not await lock_receipt(work, bug_id, secret_hash=hash_secret(secret)):
        raise ReceiptNotFound
    following = await repository.confirmed_address(work, bug_id)
    if wanted.email is not None:
        await _delete_unconfirmed(work, bug_id)
        if following is None or email_key(following.email) != email_key(wanted.email):
            await add_contact(work, bug_id, email=wanted.email, level=wanted.level, jobs=jobs)
            return ReceiptSubscription(wanted.level, "unconfirmed")
    await work.session.execute(
        update(ReportContact).where(ReportContact.bug_id == bug_id).values(level=wanted.level),
        execution_options=_UNSYNCHRONISED,
    )
    chosen = await subscription_of(work, bug_id)
    if chosen is None:
        raise ValidationFailed.of("email", "is required: there is no address for this report")
    return chosen


async def check_addresses_of(bug_id: UUID, *, limiter: Limiter) -> None:
    """Count an address that the owner of a report has typed, so that a receipt cannot be used to mail strangers.

    Raises:
        RateLimitExceeded
    """
    decision = await limiter.hit([(ADDRESSES, f"bug:{bug_id}")])
    if not decision.allowed:
        raise RateLimitExceeded(
            "Too many addresses for this report today",
            headers={"Retry-After": str(decision.retry_after_seconds)},
        )


async def make_contact_link(work: UnitOfWork, contact_id: UUID, *, key: str) -> tuple[str, str] | None:
    """The address and the token of its link.

    None if the address was replaced, confirmed or deleted meanwhile, the bug is no longer public, or a link was mailed
    to this address within the last day.
    """
    email = await repository.lock_waiting_address(work, contact_id)
    if email is None or not await _may_be_mailed(work, contact_id, email=email):
        return None
    token = link_token(key, purpose=PURPOSE, link_id=contact_id)
    await work.session.execute(
        update(ReportContact)
        .where(ReportContact.id == contact_id)
        .values(token_hash=hash_secret(token), expires_at=datetime.now(UTC) + LIFE),
        execution_options=_UNSYNCHRONISED,
    )
    return email, token


async def _may_be_mailed(work: UnitOfWork, contact_id: UUID, *, email: str) -> bool:
    """Record a link to this address, one a day, in the database, as it must not depend on Redis.

    Returns False if a link was mailed within a day, unless it was for the same contact: a retry of its job is allowed.
    """
    values = {"contact_id": contact_id, "mailed_at": func.now()}
    row = insert(ContactMail).values(address_hash=address_hash(email), **values)
    row = row.on_conflict_do_update(
        index_elements=["address_hash"],
        set_=values,
        where=or_(ContactMail.mailed_at <= func.now() - BETWEEN_MAILS, ContactMail.contact_id == contact_id),
    )
    mailed = row.returning(ContactMail.contact_id)
    return await work.session.scalar(mailed, execution_options=_UNSYNCHRONISED) is not None


def address_hash(email: str) -> bytes:
    """The same hash for all spellings of a mailbox: without case, and without the part after a `+` (RFC 5233)."""
    user, _, domain = email.casefold().rpartition("@")
    return hashlib.sha256(f"{user.partition('+')[0]}@{domain}".encode("utf-8", "replace")).digest()


def address_key(email: str) -> UUID:
    """The first 128 bits of the hash, by which the mails of an address are counted."""
    return UUID(bytes=address_hash(email)[:16])


async def confirm_contact(work: UnitOfWork, token: str) -> None:
    """Confirm an address, which replaces the previous one; idempotent.

    The receipt is locked before its addresses, in the same order as when a report is followed or withdrawn: else they
    could deadlock.

    Raises:
        InvalidLinkToken: The link is unknown or expired, or the address was replaced, withdrawn or unsubscribed.
    """
    token_hash = hash_secret(token)
    bug_id = await repository.bug_of_link(work, token_hash)
    if bug_id is None:
        raise InvalidLinkToken
    await lock_owner(work, bug_id)
    contact = await repository.lock_linked_contact(work, token_hash)
    if contact is None:
        raise InvalidLinkToken
    if contact.confirmed_at is not None:
        return
    await work.session.execute(
        delete(ReportContact).where(
            ReportContact.bug_id == contact.bug_id, ReportContact.confirmed_at.is_not(None)
        ),
        execution_options=_UNSYNCHRONISED,
    )
    await work.session.execute(
        update(ReportContact).where(ReportContact.id == contact.id).values(confirmed_at=func.now()),
        execution_options=_UNSYNCHRONISED,
    )


async def delete_contact(work: UnitOfWork, contact_id: UUID) -> None:
    """Delete an address, by the link in its mails; idempotent."""
    await work.session.execute(
        delete(ReportContact).where(ReportContact.id == contact_id), execution_options=_UNSYNCHRONISED
    )


async def delete_address(work: UnitOfWork, key: UUID) -> None:
    """Delete an address from all reports, by the link in a digest; idempotent."""
    contact_ids = await repository.lock_confirmed_of(work, key)
    await work.session.execute(
        delete(ReportContact).where(ReportContact.id.in_(contact_ids)), execution_options=_UNSYNCHRONISED
    )


async def withdraw_report(work: UnitOfWork, bug_id: UUID, *, secret: str) -> bool:
    """Withdraw a report, and delete all addresses of its owner; returns whether the bug was removed.

    Raises:
        ReceiptNotFound
    """
    await wait_for_tables(work, BugText, ReportContact)
    removed = await receipts.withdraw_report(work, bug_id, secret=secret)
    await work.session.execute(
        delete(ReportContact).where(ReportContact.bug_id == bug_id), execution_options=_UNSYNCHRONISED
    )
    return removed


async def _delete_unconfirmed(work: UnitOfWork, bug_id: UUID) -> None:
    await work.session.execute(
        delete(ReportContact).where(ReportContact.bug_id == bug_id, ReportContact.confirmed_at.is_(None)),
        execution_options=_UNSYNCHRONISED,
    )
