"""SELECTs of claims of a domain."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Integer, and_, bindparam, func, select

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.models import Company, CompanyClaim
from bugrelay.domain.companies.visibility import claims_visible_to
from bugrelay.infra.db.query import Query, Reader, Row

_OPEN = and_(CompanyClaim.used_at.is_(None), CompanyClaim.expires_at > func.now())


_OWN_CLAIM = select(CompanyClaim.id).where(
    claims_visible_to(bindparam("user_id")), CompanyClaim.company_id == bindparam("company_id"), _OPEN
)
_CLAIM_OF_TOKEN = Query(
    _OWN_CLAIM.where(CompanyClaim.token_hash == bindparam("token_hash"), CompanyClaim.method == "mail"), UUID
)
_PUBLISHED_CLAIM = Query(_OWN_CLAIM.where(CompanyClaim.method == bindparam("method")), UUID)


async def claim_of_token(
    reader: Reader, *, company_id: UUID, user_id: UUID, token_hash: bytes
) -> UUID | None:
    """The id of the user's open claim of the company by mail, if this is its token.

    Claims by a published proof are excluded: their claimants know the token, so sending it proves nothing.
    """
    values = {"company_id": company_id, "user_id": user_id, "token_hash": token_hash}
    return await reader.row(_CLAIM_OF_TOKEN, values)


async def published_claim(reader: Reader, *, company_id: UUID, user_id: UUID, method: str) -> UUID | None:
    """The id of the user's open claim of the company by this method."""
    values = {"company_id": company_id, "user_id": user_id, "method": method}
    return await reader.row(_PUBLISHED_CLAIM, values)


class ClaimState(Row):
    """An open claim of an unverified company, and its claimant."""

    id: UUID
    company_id: UUID
    user_id: UUID
    method: str
    email: str | None
    token_hash: bytes
    domain: str
    username: str


_CLAIM = Query(
    select(
        CompanyClaim.id,
        CompanyClaim.company_id,
        CompanyClaim.user_id,
        CompanyClaim.method,
        CompanyClaim.email,
        CompanyClaim.token_hash,
        Company.domain,
        User.username,
    )
    .join(Company, Company.id == CompanyClaim.company_id)
    .join(User, User.id == CompanyClaim.user_id)
    .where(CompanyClaim.id == bindparam("claim_id"), _OPEN, Company.verified.is_(False)),
    ClaimState,
)


async def open_claim(reader: Reader, claim_id: UUID) -> ClaimState | None:
    return await reader.row(_CLAIM, {"claim_id": claim_id})


_CLAIMS_TO_CHECK = Query(
    select(CompanyClaim.id)
    .join(Company, Company.id == CompanyClaim.company_id)
    .where(CompanyClaim.method != "mail", _OPEN, Company.verified.is_(False))
    .order_by(CompanyClaim.checked_at.asc().nulls_first(), CompanyClaim.id)
    .limit(bindparam("limit", type_=Integer)),
    UUID,
)


async def claims_to_check(reader: Reader, *, limit: int) -> Sequence[UUID]:
    """Ids of open claims by a published proof, the least recently checked first."""
    return await reader.rows(_CLAIMS_TO_CHECK, {"limit": limit})
