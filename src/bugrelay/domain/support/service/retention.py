"""Retention: captures and screenshots are deleted after CAPTURE_DAYS, and with their reporter's account. Reports
stay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.files.events import FileReleased
from bugrelay.domain.files.service import release
from bugrelay.domain.support.models import Screenshot, SupportReport
from bugrelay.domain.support.service.screenshots import UNUSED_FOR
from bugrelay.infra.db.unit_of_work import UnitOfWork

BATCH: Final = 500
_CAPTURE: Final = {"capture": None, "redactions": None, "screenshot_annotations": None}
# Personal data besides the capture.
_BROWSER: Final = {
    "browser_info": None,
    "page_url": None,
    "page_title": None,
    "viewport_size": None,
    "screen_resolution": None,
}
_HAS_CAPTURE = or_(SupportReport.capture.is_not(None), SupportReport.screenshot_annotations.is_not(None))
_KEY = tuple_(SupportReport.company_id, SupportReport.ticket_id)


async def delete_old_captures(work: UnitOfWork, *, older_than: timedelta) -> int:
    """Delete a batch of captures of all companies; returns how many."""
    old = (
        select(SupportReport.company_id, SupportReport.ticket_id)
        .where(SupportReport.created_at < func.now() - older_than, _HAS_CAPTURE)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    clearing = (
        update(SupportReport)
        .where(_KEY.in_(old))
        .values(**_CAPTURE)
        .returning(SupportReport.ticket_id)
        .execution_options(synchronize_session=False)
    )
    return len((await work.session.execute(clearing)).all())


async def delete_old_screenshots(work: UnitOfWork, *, older_than: timedelta) -> int:
    """Delete a batch of screenshots of all companies, and of unused uploads; returns how many."""
    unused = and_(Screenshot.ticket_id.is_(None), Screenshot.created_at < func.now() - UNUSED_FOR)
    old = (
        select(Screenshot.id)
        .where(or_(unused, Screenshot.created_at < func.now() - older_than))
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    keys = await _delete(work.session, Screenshot.id.in_(old))
    for key in keys:
        release(work, key)
    return len(keys)


async def erase_reporters(session: AsyncSession, erased: Sequence[AccountErased]) -> list[FileReleased]:
    """Delete captures and screenshots of erased accounts, in the transaction of the erasure."""
    people = [account.user_id for account in erased]
    await session.execute(
        update(SupportReport).where(SupportReport.user_id.in_(people)).values(**_CAPTURE, **_BROWSER),
        execution_options={"synchronize_session": False},
    )
    return [FileReleased(key) for key in await _delete(session, Screenshot.user_id.in_(people))]


async def _delete(session: AsyncSession, condition: ColumnElement[Any]) -> list[str]:
    """Delete screenshots; returns the storage keys of their files."""
    deleting = (
        delete(Screenshot)
        .where(condition)
        .returning(Screenshot.storage_key)
        .execution_options(synchronize_session=False)
    )
    return list((await session.scalars(deleting)).all())
