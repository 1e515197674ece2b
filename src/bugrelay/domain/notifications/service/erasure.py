"""Data of notifications is deleted when the account is erased."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.notifications.models import (
    Notice,
    NoticeMail,
    NoticeSettings,
    Subscription,
    TicketSubscription,
)
from bugrelay.domain.notifications.service.fan_out import lock_fan_outs


async def erase_followers(session: AsyncSession, erased: Sequence[AccountErased]) -> None:
    """Delete subscriptions, settings, notices and mails, in the transaction of the erasure.

    A running step may have found the account before it was erased, and its notices are not visible until it commits.
    """
    await lock_fan_outs(session)
    user_ids = [account.user_id for account in erased]
    for kind in (Notice, NoticeMail, NoticeSettings, Subscription, TicketSubscription):
        await session.execute(
            delete(kind).where(kind.user_id.in_(user_ids)), execution_options={"synchronize_session": False}
        )
