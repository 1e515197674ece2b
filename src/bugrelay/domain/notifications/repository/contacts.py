"""Addresses for notifications of anonymous reports, confirmed or waiting for confirmation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import LargeBinary, bindparam, func, or_, select

from bugrelay.domain.bugs.schemas import Level
from bugrelay.domain.notifications.models import ReportContact
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork


class AddressLevel(Row):
    """An address, and the level of its subscription."""

    email: str
    level: Level


_address = select(ReportContact.email, ReportContact.level).where(ReportContact.bug_id == bindparam("bug_id"))
_WAITING = Query(_address.where(ReportContact.confirmed_at.is_(None)), AddressLevel)
_CONFIRMED = Query(_address.where(ReportContact.confirmed_at.is_not(None)), AddressLevel)
_LOCKED_WAITING = Query(
    select(ReportContact.email)
    .where(
        ReportContact.id == bindparam("contact_id"),
        ReportContact.confirmed_at.is_(None),
        func.bug_survivor(ReportContact.bug_id).is_not(None),
    )
    .with_for_update(),
    str,
)


class LinkedContact(Row):
    """The contact that a mailed link confirms."""

    id: UUID
    bug_id: UUID
    confirmed_at: datetime | None


_LOCKED_OF_ADDRESS = Query(
    select(ReportContact.id)
    .where(ReportContact.address_key == bindparam("address_key"), ReportContact.confirmed_at.is_not(None))
    .order_by(ReportContact.id)
    .with_for_update(),
    UUID,
)
_OF_TOKEN = ReportContact.token_hash == bindparam("token_hash", type_=LargeBinary)
_BUG_OF_LINK = Query(select(ReportContact.bug_id).where(_OF_TOKEN), UUID)
_LOCKED_BY_TOKEN = Query(
    select(ReportContact.id, ReportContact.bug_id, ReportContact.confirmed_at)
    .where(
        _OF_TOKEN,
        or_(ReportContact.confirmed_at.is_not(None), ReportContact.expires_at > func.now()),
    )
    .with_for_update(),
    LinkedContact,
)


async def waiting_address(reader: Reader, bug_id: UUID) -> AddressLevel | None:
    """The address of a report that is not confirmed yet."""
    return await reader.row(_WAITING, {"bug_id": bug_id})


async def confirmed_address(reader: Reader, bug_id: UUID) -> AddressLevel | None:
    """The confirmed address of a report."""
    return await reader.row(_CONFIRMED, {"bug_id": bug_id})


async def lock_waiting_address(work: UnitOfWork, contact_id: UUID) -> str | None:
    """An address that waits for confirmation, with its row locked.

    None if it was confirmed, replaced or deleted, or if neither its bug nor the survivor of that is public.
    """
    return await work.row(_LOCKED_WAITING, {"contact_id": contact_id})


async def lock_confirmed_of(work: UnitOfWork, address_key: UUID) -> Sequence[UUID]:
    """The ids of all confirmed contacts of an address, locked in the order of their ids."""
    return await work.rows(_LOCKED_OF_ADDRESS, {"address_key": address_key})


async def bug_of_link(reader: Reader, token_hash: bytes) -> UUID | None:
    """The bug of a link, even of an expired one; None if the link is unknown or was replaced."""
    return await reader.row(_BUG_OF_LINK, {"token_hash": token_hash})


async def lock_linked_contact(work: UnitOfWork, token_hash: bytes) -> LinkedContact | None:
    """The contact of a link, with its row locked; None if the link is unknown, expired or was replaced."""
    return await work.row(_LOCKED_BY_TOKEN, {"token_hash": token_hash})
