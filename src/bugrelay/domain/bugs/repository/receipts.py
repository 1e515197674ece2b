"""SELECTs of receipts of anonymous reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import LargeBinary, Uuid, bindparam, literal, select

from bugrelay.domain.bugs.models import Bug, BugText, Comment
from bugrelay.domain.bugs.schemas import HistoryCompany, OfficialResponse, Status
from bugrelay.domain.bugs.visibility import COMMENT_SHOWN
from bugrelay.domain.companies.models import Company
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork

MAX_RESPONSES = 20

_hash = BugText.receipt_hash == bindparam("secret_hash", type_=LargeBinary)
_BUG_OF_RECEIPT = Query(select(BugText.bug_id).where(_hash), UUID)
_LOCKED_RECEIPT = Query(
    select(BugText.bug_id).where(_hash, BugText.bug_id == bindparam("bug_id")).with_for_update(), UUID
)
_LOCKED_TEXT = Query(
    select(BugText.bug_id).where(BugText.bug_id == bindparam("bug_id")).with_for_update(), UUID
)


async def bug_of_receipt(reader: Reader, secret_hash: bytes) -> UUID | None:
    """The id of the bug with this receipt, whatever its state; None if there is none."""
    return await reader.row(_BUG_OF_RECEIPT, {"secret_hash": secret_hash})


async def lock_receipt(work: UnitOfWork, bug_id: UUID, *, secret_hash: bytes) -> bool:
    """Lock the receipt of the bug until the transaction ends; returns False if it is not valid any more."""
    return await work.row(_LOCKED_RECEIPT, {"bug_id": bug_id, "secret_hash": secret_hash}) is not None


async def lock_owner(work: UnitOfWork, bug_id: UUID) -> None:
    """Take the same lock, whether or not the receipt is valid; it comes before the addresses of the bug's owner."""
    await work.row(_LOCKED_TEXT, {"bug_id": bug_id})


class ChainedBug(Row):
    """A bug of a merge chain, with its public fields."""

    id: UUID
    title: str
    status: Status
    vote_count: int
    comment_count: int
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    removed_at: datetime | None


_columns = [getattr(Bug, name) for name in ChainedBug.__struct_fields__]
_first = (
    select(*_columns, Bug.merged_into_id, literal(0).label("step"))
    .where(Bug.id == bindparam("bug_id", type_=Uuid))
    .cte("chain", recursive=True)
)
_chain = _first.union_all(
    select(*_columns, Bug.merged_into_id, _first.c.step + 1).where(
        Bug.id == _first.c.merged_into_id, _first.c.removed_at.is_(None)
    )
)
_MERGE_CHAIN = Query(
    select(*(_chain.c[name] for name in ChainedBug.__struct_fields__)).order_by(_chain.c.step), ChainedBug
)


async def merge_chain_of(reader: Reader, bug_id: UUID) -> Sequence[ChainedBug]:
    """The bug and all that it is merged into, in turn, up to the survivor or a removed one."""
    return await reader.rows(_MERGE_CHAIN, {"bug_id": bug_id})


class _ResponseRow(Row):
    id: UUID
    content: str
    content_html: str
    created_at: datetime
    company_id: UUID | None
    company_name: str


_RESPONSES = Query(
    select(
        Comment.id,
        Comment.content,
        Comment.content_html,
        Comment.created_at,
        Comment.company_id,
        Company.name.label("company_name"),
    )
    .outerjoin(Company, Company.id == Comment.company_id)
    .where(Comment.bug_id == bindparam("bug_id"), Comment.is_company_response, COMMENT_SHOWN)
    .order_by(Comment.created_at.desc(), Comment.id.desc())
    .limit(MAX_RESPONSES),
    _ResponseRow,
)


async def official_responses(reader: Reader, bug_id: UUID) -> list[OfficialResponse]:
    """The latest `MAX_RESPONSES` official responses to the bug, oldest first."""
    rows = await reader.rows(_RESPONSES, {"bug_id": bug_id})
    return [
        OfficialResponse(
            row.id,
            row.content,
            row.content_html,
            row.created_at,
            HistoryCompany(row.company_id, row.company_name) if row.company_id else None,
        )
        for row in reversed(rows)
    ]
