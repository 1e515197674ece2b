"""Write, edit and withdraw comments of tickets, each in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Boolean, Text, Uuid, bindparam, case, exists, func, insert, select, true, update

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets import policies
from bugrelay.domain.tickets.errors import TicketCommentNotFound, TicketNotFound
from bugrelay.domain.tickets.events import CommentAction, TicketCommented
from bugrelay.domain.tickets.models import Ticket, TicketComment
from bugrelay.domain.tickets.repository.comments import find_comment
from bugrelay.domain.tickets.service.acting import acting_values, membership, refuse_former_member
from bugrelay.domain.tickets.visibility import (
    COMPANY_ID,
    USER_ID,
    ByActor,
    by_actor,
    by_sight,
    comments_visible_to,
    visible_to,
)
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.text.markdown import render

_TICKET_ID, _COMMENT_ID = bindparam("ticket_id", type_=Uuid), bindparam("comment_id", type_=Uuid)
_AUTHOR_ID = bindparam("author_id", type_=Uuid)
_AUTHOR_NAME = bindparam("author_name", type_=Text)
_CONTENT, _CONTENT_HTML = bindparam("content", type_=Text), bindparam("content_html", type_=Text)


class _OnTicket(Row):
    """The ticket of the comment, with the values of facts."""

    ticket_id: UUID
    project_id: UUID
    version: int
    is_internal: bool


def _writing(tenant: Tenant, *, is_internal: bool) -> Query[_OnTicket]:
    """Counts and inserts the comment. An internal comment changes nothing that reporters may read."""
    member = membership(tenant)
    counted: dict[str, Any] = (
        {"internal_comment_count": Ticket.internal_comment_count + 1}
        if is_internal
        else {"comment_count": Ticket.comment_count + 1, "updated_at": func.now()}
    )
    ticket = (
        update(Ticket)
        .where(visible_to(tenant), Ticket.id == _TICKET_ID, exists(select(member.c.role)))
        .values(**counted)
        .returning(Ticket.id, Ticket.project_id, Ticket.version)
        .cte("ticket")
    )
    internal = bindparam("is_internal", is_internal, type_=Boolean)
    values = {
        "id": _COMMENT_ID,
        "company_id": COMPANY_ID,
        "ticket_id": ticket.c.id,
        "author_id": _AUTHOR_ID,
        "author_name": _AUTHOR_NAME,
        "content": _CONTENT,
        "content_html": _CONTENT_HTML,
        "is_internal": internal,
    }
    comment = insert(TicketComment).from_select(
        list(values), select(*values.values()), include_defaults=False
    )
    written = select(
        ticket.c.id.label("ticket_id"), ticket.c.project_id, ticket.c.version, internal.label("is_internal")
    )
    return Query(written.add_cte(comment.cte("comment")), _OnTicket)


class _Writing(NamedTuple):
    """The statements, by whether the comment is internal."""

    public: ByActor[Query[_OnTicket]]
    internal: ByActor[Query[_OnTicket]]


_WRITE = _Writing(
    by_actor(lambda tenant: _writing(tenant, is_internal=False)),
    by_actor(lambda tenant: _writing(tenant, is_internal=True)),
)


async def write_comment(
    work: UnitOfWork,
    tenant: Tenant,
    ticket_id: UUID,
    *,
    content: str,
    is_internal: bool = False,
    author_name: str | None = None,
) -> UUID:
    """Comment on a visible ticket; returns the comment's id. `author_name` is for authors without an account.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, TicketNotFound
        InsufficientPermissions: A reporter asked for an internal comment.
    """
    if is_internal and not policies.may_triage(tenant):
        raise InsufficientPermissions("Only members of the company may write internal comments")
    comment_id, content_html = new_id(), render(content)
    statement = (_WRITE.internal if is_internal else _WRITE.public).of(tenant)
    values = acting_values(
        tenant,
        ticket_id=ticket_id,
        comment_id=comment_id,
        author_id=tenant.actor_id,
        author_name=author_name,
        content=content,
        content_html=content_html,
    )
    on = await work.row(statement, values)
    if on is None:
        await refuse_former_member(work, tenant)
        raise TicketNotFound
    work.record(_fact(tenant, on, comment_id, "created"))
    return comment_id


def _own(tenant: Tenant) -> Any:
    """The user's own comment, on a ticket that they see."""
    return (
        comments_visible_to(tenant),
        TicketComment.id == _COMMENT_ID,
        TicketComment.ticket_id == _TICKET_ID,
        TicketComment.author_id == USER_ID,
        visible_to(tenant),
        Ticket.id == TicketComment.ticket_id,
    )


_ON_TICKET = (
    Ticket.id.label("ticket_id"),
    Ticket.project_id,
    Ticket.version,
    TicketComment.is_internal,
)


def _correcting(tenant: Tenant) -> Query[_OnTicket]:
    comment = (
        update(TicketComment)
        .where(*_own(tenant), exists(select(membership().c.role)))
        .values(content=_CONTENT, content_html=_CONTENT_HTML, updated_at=func.now())
        .returning(*_ON_TICKET)
        .cte("comment")
    )
    return Query(select(comment), _OnTicket)


def _withdrawing(tenant: Tenant) -> Query[_OnTicket]:
    """Withdraws the comment, and takes it out of its count."""
    comment = (
        update(TicketComment)
        .where(*_own(tenant), exists(select(membership().c.role)))
        .values(removed_at=func.now())
        .returning(*_ON_TICKET)
        .cte("comment")
    )
    internal = comment.c.is_internal
    counting = (
        update(Ticket)
        .where(Ticket.company_id == COMPANY_ID, Ticket.id == comment.c.ticket_id)
        .values(
            comment_count=Ticket.comment_count - case((internal, 0), else_=1),
            internal_comment_count=Ticket.internal_comment_count - case((internal, 1), else_=0),
        )
        .returning(Ticket.id)
        .cte("counted")
    )
    return Query(select(comment).join(counting, true()), _OnTicket)


_CORRECT, _WITHDRAW = by_sight(_correcting), by_sight(_withdrawing)


async def update_comment(
    work: UnitOfWork, tenant: Tenant, ticket_id: UUID, *, comment_id: UUID, content: str
) -> None:
    """Edit an own comment.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, TicketCommentNotFound, InsufficientPermissions
    """
    values = {"content": content, "content_html": render(content)}
    await _change_own(
        work,
        tenant,
        ticket_id,
        comment_id=comment_id,
        statement=_CORRECT.of(tenant),
        action="edited",
        values=values,
    )


async def withdraw_comment(work: UnitOfWork, tenant: Tenant, ticket_id: UUID, *, comment_id: UUID) -> None:
    """Withdraw an own comment; it is no longer shown or counted.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, TicketCommentNotFound, InsufficientPermissions
    """
    await _change_own(
        work,
        tenant,
        ticket_id,
        comment_id=comment_id,
        statement=_WITHDRAW.of(tenant),
        action="removed",
        values={},
    )


async def _change_own(
    work: UnitOfWork,
    tenant: Tenant,
    ticket_id: UUID,
    *,
    comment_id: UUID,
    statement: Query[_OnTicket],
    action: CommentAction,
    values: Mapping[str, str],
) -> None:
    named = acting_values(tenant, ticket_id=ticket_id, comment_id=comment_id, **values)
    on = await work.row(statement, named)
    if on is None:
        await refuse_former_member(work, tenant)
        comment = await find_comment(work, tenant, ticket_id, comment_id)
        if comment is None or comment.is_by(tenant.user_id):
            raise TicketCommentNotFound
        raise InsufficientPermissions("Only its author may change a comment")
    work.record(_fact(tenant, on, comment_id, action))


def _fact(tenant: Tenant, on: _OnTicket, comment_id: UUID, action: CommentAction) -> TicketCommented:
    return TicketCommented(
        ticket_id=on.ticket_id,
        company_id=tenant.company_id,
        project_id=on.project_id,
        comment_id=comment_id,
        action=action,
        is_internal=on.is_internal,
        version=on.version,
        actor_id=tenant.actor_id,
    )
