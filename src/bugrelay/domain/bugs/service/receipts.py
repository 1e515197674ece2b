"""The receipt of an anonymous report: a link by which its owner looks at it, follows it and withdraws it.

Its secret is derived from the bug's id, so that who repeats a report under its Idempotency-Key is given it again, and
is stored as a hash alone: neither the database nor a stored response opens anything.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import exists, update
from sqlalchemy.orm import aliased

from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.errors import ReceiptNotFound
from bugrelay.domain.bugs.events import BugRemoved
from bugrelay.domain.bugs.models import Bug, BugText
from bugrelay.domain.bugs.schemas import Receipt, ReceiptBug, SurvivorRef
from bugrelay.domain.bugs.visibility import LISTED
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.security.signed_links import link_token
from bugrelay.infra.security.tokens import hash_secret

WITHDRAWN = "withdrawn by its reporter"
_UNSYNCHRONISED = {"synchronize_session": False}


def receipt_secret(key: str, bug_id: UUID) -> str:
    """What stands in the link, under the signing key."""
    return link_token(key, purpose="receipt", link_id=bug_id)


async def owned_bug(reader: Reader, secret: str) -> UUID:
    """The bug that the secret is the receipt of.

    Raises:
        ReceiptNotFound: There is none, or its owner has withdrawn.
    """
    bug_id = await repository.bug_of_receipt(reader, hash_secret(secret))
    if bug_id is None:
        raise ReceiptNotFound
    return bug_id


async def read_receipt(reader: Reader, bug_id: UUID) -> Receipt:
    """What has become of the report. Where it was merged, of the bug that it became; of a removed one nothing."""
    chain = await repository.merge_chain_of(reader, bug_id)
    survivor = chain[-1]
    is_removed, is_merged = survivor.removed_at is not None, survivor.id != bug_id
    return Receipt(
        bug_id=bug_id,
        reported_at=chain[0].created_at,
        state="removed" if is_removed else "merged" if is_merged else "listed",
        merged_into=SurvivorRef(survivor.id, survivor.title) if is_merged and not is_removed else None,
        bug=None
        if is_removed
        else ReceiptBug(
            title=survivor.title,
            status=survivor.status,
            vote_count=survivor.vote_count,
            comment_count=survivor.comment_count,
            updated_at=survivor.updated_at,
            resolved_at=survivor.resolved_at,
        ),
        responses=[] if is_removed else await repository.official_responses(reader, survivor.id),
    )


async def withdraw_report(work: UnitOfWork, bug_id: UUID, *, secret: str) -> bool:
    """Take the report back: the bug goes from the board while it is its owner's alone; the receipt and the address
    for questions go in any case.

    Args:
        work: The change; it has waited for the table of texts (`wait_for_tables`).
        bug_id: The bug.
        secret: Of its receipt, which may have been used up meanwhile.

    Returns:
        Whether the bug was removed. It stays where somebody has voted or commented, or a moderator has merged it.

    Raises:
        ReceiptNotFound
    """
    removed = await _remove_unshared(work, bug_id)
    forgetting = (
        update(BugText)
        .where(BugText.bug_id == bug_id, BugText.receipt_hash == hash_secret(secret))
        .values(receipt_hash=None, contact_email=None)
        .returning(BugText.bug_id)
    )
    if await work.session.scalar(forgetting, execution_options=_UNSYNCHRONISED) is None:
        raise ReceiptNotFound
    if removed is not None:
        work.record(removed)
    return removed is not None


async def _remove_unshared(work: UnitOfWork, bug_id: UUID) -> BugRemoved | None:
    """The counters are the votes and comments that there are, and whoever writes one moves them under this lock.

    The lock is the UPDATE's own, which does not wait for those who only name the bug.
    """
    merged, removed_at = aliased(Bug), datetime.now(UTC)
    removing = (
        update(Bug)
        .where(
            Bug.id == bug_id,
            LISTED,
            Bug.vote_count == 0,
            Bug.comment_count == 0,
            ~exists().where(merged.merged_into_id == bug_id),
        )
        .values(removed_at=removed_at, removed_reason=WITHDRAWN)
        .returning(Bug.id, Bug.assigned_company_id)
    )
    row = (await work.session.execute(removing, execution_options=_UNSYNCHRONISED)).one_or_none()
    if row is None:
        return None
    return BugRemoved(
        bug_id=bug_id,
        company_id=row.assigned_company_id,
        chain=(bug_id,),
        removed_at=removed_at,
        actor_id=None,
    )
