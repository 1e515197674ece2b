"""The receipt of an anonymous report: a link by which its owner reads, follows and withdraws it.

Its secret is derived from the bug's id, so that a repeat of the report with the same Idempotency-Key returns it again.
Only its hash is stored, so neither the database nor a stored response contains a usable secret.
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
    """The secret in the link, derived from the bug's id by the signing key."""
    return link_token(key, purpose="receipt", link_id=bug_id)


async def owned_bug(reader: Reader, secret: str) -> UUID:
    """The id of the bug that this secret is the receipt of.

    Raises:
        ReceiptNotFound: There is none, or the report was withdrawn.
    """
    bug_id = await repository.bug_of_receipt(reader, hash_secret(secret))
    if bug_id is None:
        raise ReceiptNotFound
    return bug_id


async def read_receipt(reader: Reader, bug_id: UUID) -> Receipt:
    """The state of the report: for a merged bug that of its survivor, for a removed one without details."""
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
    """Withdraw the report: remove the bug unless others have contributed to it, and in any case delete the receipt and
    the contact address.

    Args:
        work: The unit of work, which has locked the table of texts (`wait_for_tables`).
        bug_id: The bug.
        secret: The secret of its receipt.

    Returns:
        Whether the bug was removed. A bug with votes or comments, or that was merged with another, stays.

    Raises:
        ReceiptNotFound: The receipt was used to withdraw meanwhile.
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
    """Remove the bug if it is listed, has no votes and comments, and no bug is merged into it; else return None.

    Votes and comments change the counters under a lock of this row, so these are exact here. The UPDATE's own lock
    suffices, and does not wait for transactions that only reference the bug.
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
