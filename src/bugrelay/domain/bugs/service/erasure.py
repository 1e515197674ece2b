"""Erasure of personal data on the board, with the account."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.bugs.models import Bug, BugText


async def erase_contact_addresses(session: AsyncSession, erased: Sequence[AccountErased]) -> None:
    """Delete the contact addresses of their reports, in the transaction of the erasure."""
    theirs = select(Bug.id).where(Bug.reporter_id.in_([account.user_id for account in erased]))
    await session.execute(
        update(BugText).where(BugText.bug_id.in_(theirs)).values(contact_email=None),
        execution_options={"synchronize_session": False},
    )
