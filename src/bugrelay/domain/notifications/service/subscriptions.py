"""Following and unfollowing bugs and tickets, and settings of notifications."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.bugs.schemas import Level
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.notifications.models import MUTED, NoticeSettings, Subscription, TicketSubscription
from bugrelay.domain.notifications.schemas import ChangeNoticeSettings
from bugrelay.domain.tickets.models import Ticket
from bugrelay.infra.db.unit_of_work import UnitOfWork


class TicketFollower(Protocol):
    """A user who follows tickets of a company."""

    @property
    def company_id(self) -> UUID: ...
    @property
    def user_id(self) -> UUID: ...


async def subscribe(work: UnitOfWork, bug_id: UUID, *, user_id: UUID, level: Level) -> None:
    """
    Raises:
        AccountBanned
        InvalidToken: The account was erased meanwhile.
    """
    await lock_active_user(work, user_id)
    await _choose(work, bug_id, user_id=user_id, level=level)


async def unsubscribe(work: UnitOfWork, bug_id: UUID, *, user_id: UUID) -> None:
    """End notifications of the bug, whatever the user did or does there.

    Raises:
        AccountBanned
        InvalidToken: The account was erased meanwhile.
    """
    await lock_active_user(work, user_id)
    await mute(work, bug_id, user_id=user_id)


async def mute(work: UnitOfWork, bug_id: UUID, *, user_id: UUID) -> None:
    """The same without a signed-in user: the link of a mail is sufficient authority."""
    await _choose(work, bug_id, user_id=user_id, level=MUTED)


async def _choose(work: UnitOfWork, bug_id: UUID, *, user_id: UUID, level: str) -> None:
    row = insert(Subscription).values(bug_id=bug_id, user_id=user_id, level=level)
    chosen = {"level": level, "chosen_at": func.now()}
    await work.session.execute(
        row.on_conflict_do_update(index_elements=["bug_id", "user_id"], set_=chosen),
        execution_options={"synchronize_session": False},
    )


async def subscribe_to_ticket(work: UnitOfWork, tenant: Tenant, ticket_id: UUID, *, level: Level) -> None:
    """
    Raises:
        AccountBanned
        InvalidToken: The account was erased meanwhile.
    """
    await lock_active_user(work, tenant.user_id)
    await _choose_of_ticket(work, tenant, ticket_id, level=level)


async def unsubscribe_from_ticket(work: UnitOfWork, tenant: Tenant, ticket_id: UUID) -> None:
    """End notifications of the ticket, whatever the user did or does there.

    Raises:
        AccountBanned
        InvalidToken: The account was erased meanwhile.
    """
    await lock_active_user(work, tenant.user_id)
    await mute_ticket(work, tenant, ticket_id)


async def mute_ticket(work: UnitOfWork, owner: TicketFollower, ticket_id: UUID) -> None:
    """The same by the link of a mail; does nothing if the ticket was deleted."""
    await _choose_of_ticket(work, owner, ticket_id, level=MUTED)


async def _choose_of_ticket(work: UnitOfWork, owner: TicketFollower, ticket_id: UUID, *, level: str) -> None:
    of_ticket = select(Ticket.company_id, Ticket.id, literal(owner.user_id), literal(level)).where(
        Ticket.company_id == owner.company_id, Ticket.id == ticket_id
    )
    rows = insert(TicketSubscription).from_select(["company_id", "ticket_id", "user_id", "level"], of_ticket)
    chosen = {"level": level, "chosen_at": func.now()}
    await work.session.execute(
        rows.on_conflict_do_update(index_elements=["company_id", "ticket_id", "user_id"], set_=chosen),
        execution_options={"synchronize_session": False},
    )


async def change_notice_settings(work: UnitOfWork, user_id: UUID, change: ChangeNoticeSettings) -> None:
    """
    Raises:
        AccountBanned
        InvalidToken: The account was erased meanwhile.
    """
    await lock_active_user(work, user_id)
    changes = {
        name: value
        for name in ChangeNoticeSettings.__struct_fields__
        if (value := getattr(change, name)) is not UNSET
    }
    if changes:
        await _set(work, user_id, changes)


async def end_mails(work: UnitOfWork, user_id: UUID) -> None:
    """End all mails of notices, by the link of a digest; notices are still listed."""
    await _set(work, user_id, {"mail": "none"})


async def _set(work: UnitOfWork, user_id: UUID, changes: dict[str, str]) -> None:
    row = insert(NoticeSettings).values(user_id=user_id, **changes)
    await work.session.execute(
        row.on_conflict_do_update(index_elements=["user_id"], set_={**changes, "updated_at": func.now()}),
        execution_options={"synchronize_session": False},
    )
