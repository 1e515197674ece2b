"""Every SELECT of connections to GitHub, pushes, issues, comments and deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Integer,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.models import Company
from bugrelay.domain.github.models import (
    OUT,
    PENDING,
    SYNCED,
    GitHubComment,
    GitHubConnection,
    GitHubDelivery,
    GitHubIssue,
    GitHubPush,
)
from bugrelay.domain.github.schemas import (
    CommentRow,
    ConnectionRow,
    GitHubSync,
    IssueRow,
    PushRow,
    TicketRow,
)
from bugrelay.domain.tickets.models import Project, Ticket, TicketComment
from bugrelay.domain.tickets.repository.columns import NAME
from bugrelay.infra.db.query import Query, Reader, Row

LOST_AFTER = timedelta(seconds=60)
"""After a lost response: what GitHub does not list after this time was not created, and may be created again."""

_COMPANY_ID = bindparam("company_id", type_=Uuid)
_TICKET_ID = bindparam("ticket_id", type_=Uuid)
_REPOSITORY_ID = bindparam("repository_id", type_=BigInteger)

# --- connections ----------------------------------------------------------------------------------------------------

_CONNECTIONS = select(*(getattr(GitHubConnection, name) for name in ConnectionRow.__struct_fields__))
_OF_COMPANY = Query(_CONNECTIONS.where(GitHubConnection.company_id == _COMPANY_ID), ConnectionRow)
_OF_ID = Query(_CONNECTIONS.where(GitHubConnection.id == bindparam("connection_id")), ConnectionRow)
_LOCKED = Query(
    _CONNECTIONS.where(GitHubConnection.company_id == _COMPANY_ID).with_for_update(key_share=True),
    ConnectionRow,
)


async def connection_of(reader: Reader, company_id: UUID) -> ConnectionRow | None:
    """The company's connection."""
    return await reader.row(_OF_COMPANY, {"company_id": company_id})


async def connection(reader: Reader, connection_id: UUID) -> ConnectionRow | None:
    return await reader.row(_OF_ID, {"connection_id": connection_id})


async def lock_connection(reader: Reader, company_id: UUID) -> ConnectionRow | None:
    """The company's connection, locked."""
    return await reader.row(_LOCKED, {"company_id": company_id})


async def lock_connections_of(
    session: AsyncSession, company_ids: Sequence[UUID]
) -> Sequence[GitHubConnection]:
    """The connections of these companies, locked in the order of their ids."""
    of_companies = select(GitHubConnection).where(GitHubConnection.company_id.in_(company_ids))
    return (await session.scalars(of_companies.order_by(GitHubConnection.id).with_for_update())).all()


_UNCHANGED = Query(
    select(GitHubConnection.id).where(
        GitHubConnection.id == bindparam("connection_id", type_=Uuid),
        GitHubConnection.updated_at == bindparam("updated_at"),
        GitHubConnection.enabled,
    ),
    UUID,
)
_TO_CATCH_UP = Query(
    select(GitHubConnection.id).where(
        GitHubConnection.id == bindparam("connection_id", type_=Uuid),
        GitHubConnection.catch_up_at <= func.now(),
    ),
    UUID,
)


async def is_unchanged(reader: Reader, connection: ConnectionRow) -> bool:
    """Whether no admin has changed the connection since it was read."""
    values = {"connection_id": connection.id, "updated_at": connection.updated_at}
    return await reader.row(_UNCHANGED, values) is not None


async def is_to_catch_up(reader: Reader, connection_id: UUID) -> bool:
    """Whether the catch-up is due."""
    return await reader.row(_TO_CATCH_UP, {"connection_id": connection_id}) is not None


class PushCounts(Row):
    """The numbers of tickets that wait to be sent, and that could not be sent."""

    pending: int
    failed: int


_COUNTS = Query(
    select(
        func.count().filter(GitHubPush.state == PENDING).label("pending"),
        func.count().filter(GitHubPush.state != PENDING).label("failed"),
    ).where(GitHubPush.company_id == _COMPANY_ID),
    PushCounts,
)


async def push_counts(reader: Reader, company_id: UUID) -> PushCounts:
    return await reader.row(_COUNTS, {"company_id": company_id}) or PushCounts(0, 0)


class SwitchedOff(Row):
    """What the mail to an admin about a connection that was switched off says."""

    email: str
    username: str
    domain: str
    repo: str | None
    reason: str


_SWITCHED_OFF = Query(
    select(
        User.email,
        User.username,
        Company.domain,
        GitHubConnection.repo,
        GitHubConnection.switched_off_reason.label("reason"),
    )
    .select_from(GitHubConnection)
    .join(Company, Company.id == GitHubConnection.company_id)
    .join(User, User.id == bindparam("user_id", type_=Uuid))
    .where(
        GitHubConnection.id == bindparam("connection_id", type_=Uuid),
        GitHubConnection.switched_off_reason.is_not(None),
    ),
    SwitchedOff,
)


async def switched_off(reader: Reader, *, connection_id: UUID, user_id: UUID) -> SwitchedOff | None:
    """None where the connection is enabled again, or was removed."""
    return await reader.row(_SWITCHED_OFF, {"connection_id": connection_id, "user_id": user_id})


class SealedSecrets(Row):
    """The encrypted columns of a connection."""

    id: UUID
    company_id: UUID
    token: bytes | None
    secret: bytes


_NEXT_SECRETS = Query(
    select(*(getattr(GitHubConnection, name) for name in SealedSecrets.__struct_fields__))
    .where(GitHubConnection.id > bindparam("after", type_=Uuid))
    .order_by(GitHubConnection.id)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(key_share=True),
    SealedSecrets,
)


async def lock_secrets_after(reader: Reader, after: UUID, *, limit: int) -> Sequence[SealedSecrets]:
    """The secrets of the next connections after an id, locked in the order of their ids."""
    return await reader.rows(_NEXT_SECRETS, {"after": after, "limit": limit})


# --- the status of tickets ------------------------------------------------------------------------------------------

# A ticket whose event the consumer has not handled yet is pending, too.
_SYNCS = Query(
    text("""
SELECT t.id AS ticket_id,
    CASE WHEN p.state IS NOT NULL THEN p.state WHEN i.state = 'synced' THEN 'synced' ELSE 'pending' END AS status,
    i.issue_id, i.number, i.url, p.error, i.synced_at
FROM github_connections AS c
JOIN tickets AS t ON t.company_id = :company_id AND t.id = ANY(CAST(:ticket_ids AS uuid[]))
JOIN projects AS r ON r.company_id = :company_id AND r.id = t.project_id
LEFT JOIN github_pushes AS p ON p.company_id = c.company_id AND p.ticket_id = t.id
LEFT JOIN github_issues AS i ON i.company_id = c.company_id AND i.ticket_id = t.id
    AND i.repository_id = c.repository_id AND i.state <> 'ended'
WHERE c.company_id = :company_id AND (
    p.ticket_id IS NOT NULL OR i.ticket_id IS NOT NULL
    OR c.enabled AND r.scheme = ANY(c.schemes) AND t.created_at >= c.created_at AND NOT EXISTS (
        SELECT FROM events AS e
        WHERE e.stream = c.company_id AND e.ticket_id = t.id AND e.type = 'ticket.created' AND e.seq <= coalesce(
            (SELECT k.seq FROM event_cursors AS k WHERE k.consumer = 'github' AND k.stream = c.company_id), 0
        )
    )
)
"""),
    GitHubSync,
)


async def syncs_of(reader: Reader, company_id: UUID, ticket_ids: Sequence[UUID]) -> dict[UUID, GitHubSync]:
    """The synchronisation of these tickets, by ticket id; tickets that are not sent to GitHub are missing, and all
    where the company is not connected."""
    if not ticket_ids:
        return {}
    found = await reader.rows(_SYNCS, {"company_id": company_id, "ticket_ids": list(ticket_ids)})
    return {row.ticket_id: row for row in found}


# --- tickets that events refer to -----------------------------------------------------------------------------------


class ReferencedTicket(Row):
    """A ticket that events refer to; `is_known`: whether it has or had an issue, or a push."""

    id: UUID
    scheme: str
    is_known: bool


_known = or_(
    exists().where(GitHubIssue.company_id == Ticket.company_id, GitHubIssue.ticket_id == Ticket.id),
    exists().where(GitHubPush.company_id == Ticket.company_id, GitHubPush.ticket_id == Ticket.id),
)
_REFERENCED = Query(
    select(Ticket.id, Project.scheme, _known.label("is_known"))
    .join(Project, (Project.company_id == Ticket.company_id) & (Project.id == Ticket.project_id))
    .where(Ticket.company_id == _COMPANY_ID, Ticket.id == any_(bindparam("ticket_ids", type_=ARRAY(Uuid)))),
    ReferencedTicket,
)


async def referenced_tickets(
    reader: Reader, company_id: UUID, ticket_ids: Sequence[UUID]
) -> dict[UUID, ReferencedTicket]:
    found = await reader.rows(_REFERENCED, {"company_id": company_id, "ticket_ids": list(ticket_ids)})
    return {ticket.id: ticket for ticket in found}


# --- pushes ---------------------------------------------------------------------------------------------------------

_DUE = Query(
    select(*(getattr(GitHubPush, name) for name in PushRow.__struct_fields__))
    .where(
        GitHubPush.connection_id == bindparam("connection_id", type_=Uuid),
        GitHubPush.state == PENDING,
        GitHubPush.next_at <= func.now(),
    )
    .order_by(GitHubPush.next_at, GitHubPush.ticket_id)
    .limit(1),
    PushRow,
)
_TICKET = Query(
    select(
        *(getattr(Ticket, name) for name in ("id", "project_id", "version")),
        Project.scheme,
        *(getattr(Ticket, name) for name in TicketRow.__struct_fields__[4:-1]),
        NAME.label("reporter"),
    )
    .select_from(Ticket)
    .join(Project, (Project.company_id == Ticket.company_id) & (Project.id == Ticket.project_id))
    .join(User, User.id == Ticket.reporter_id)
    .where(Ticket.company_id == _COMPANY_ID, Ticket.id == _TICKET_ID, Ticket.removed_at.is_(None)),
    TicketRow,
)
_may_try_again = GitHubIssue.tried_at <= func.now() - LOST_AFTER
_ISSUE = Query(
    select(
        *(
            _may_try_again.label("may_try_again") if name == "may_try_again" else getattr(GitHubIssue, name)
            for name in IssueRow.__struct_fields__
        )
    ).where(
        GitHubIssue.company_id == _COMPANY_ID,
        GitHubIssue.ticket_id == _TICKET_ID,
        GitHubIssue.repository_id == _REPOSITORY_ID,
    ),
    IssueRow,
)
# Checked again here: a comment may have become internal since it was queued.
_UNSENT = Query(
    select(
        GitHubComment.comment_id,
        GitHubComment.state,
        TicketComment.content,
        case((User.id.is_not(None), NAME)).label("author"),
        GitHubComment.first_tried_at,
        GitHubComment.tried_at,
        (GitHubComment.tried_at <= func.now() - LOST_AFTER).label("may_try_again"),
    )
    .join(
        TicketComment,
        and_(
            TicketComment.company_id == GitHubComment.company_id,
            TicketComment.id == GitHubComment.comment_id,
        ),
    )
    .outerjoin(User, User.id == TicketComment.author_id)
    .where(
        GitHubComment.company_id == _COMPANY_ID,
        GitHubComment.ticket_id == _TICKET_ID,
        GitHubComment.direction == OUT,
        GitHubComment.state != SYNCED,
        func.coalesce(GitHubComment.repository_id, _REPOSITORY_ID) == _REPOSITORY_ID,
        TicketComment.is_internal.is_(False),
        TicketComment.removed_at.is_(None),
    )
    .order_by(GitHubComment.comment_id)
    .limit(1),
    CommentRow,
)


async def due_push(reader: Reader, connection_id: UUID) -> PushRow | None:
    """The push of a connection that has been due for longest."""
    return await reader.row(_DUE, {"connection_id": connection_id})


async def ticket_text_row(reader: Reader, company_id: UUID, ticket_id: UUID) -> TicketRow | None:
    """A ticket that is not removed."""
    return await reader.row(_TICKET, {"company_id": company_id, "ticket_id": ticket_id})


async def issue_of(
    reader: Reader, company_id: UUID, ticket_id: UUID, *, repository_id: int
) -> IssueRow | None:
    values = {"company_id": company_id, "ticket_id": ticket_id, "repository_id": repository_id}
    return await reader.row(_ISSUE, values)


async def unsent_comment(
    reader: Reader, company_id: UUID, ticket_id: UUID, *, repository_id: int
) -> CommentRow | None:
    """The oldest comment that has to be sent."""
    values = {"company_id": company_id, "ticket_id": ticket_id, "repository_id": repository_id}
    return await reader.row(_UNSENT, values)


# --- changes at GitHub ----------------------------------------------------------------------------------------------


class OwnComment(Row):
    """A comment of ours, and its id at GitHub, if that is known."""

    state: str
    github_id: int | None


_LINKED = Query(
    select(GitHubIssue.ticket_id)
    .where(
        GitHubIssue.company_id == _COMPANY_ID,
        GitHubIssue.repository_id == _REPOSITORY_ID,
        GitHubIssue.state == SYNCED,
        or_(
            GitHubIssue.issue_id == bindparam("issue_id", type_=BigInteger),
            and_(
                bindparam("issue_id", type_=BigInteger).is_(None),
                GitHubIssue.number == bindparam("number", type_=BigInteger),
            ),
        ),
    )
    .limit(1),
    UUID,
)
_LOCK_ISSUE = Query(
    select(
        *(
            _may_try_again.label("may_try_again") if name == "may_try_again" else getattr(GitHubIssue, name)
            for name in IssueRow.__struct_fields__
        )
    )
    .where(
        GitHubIssue.company_id == _COMPANY_ID,
        GitHubIssue.ticket_id == _TICKET_ID,
        GitHubIssue.repository_id == _REPOSITORY_ID,
    )
    .with_for_update(key_share=True),
    IssueRow,
)
_OWN_COMMENT = Query(
    select(GitHubComment.state, GitHubComment.github_id)
    .where(
        GitHubComment.company_id == _COMPANY_ID,
        GitHubComment.comment_id == bindparam("comment_id", type_=Uuid),
        GitHubComment.ticket_id == _TICKET_ID,
    )
    .with_for_update(),
    OwnComment,
)
_KNOWN_COMMENT = Query(
    select(GitHubComment.comment_id).where(
        GitHubComment.company_id == _COMPANY_ID,
        GitHubComment.repository_id == _REPOSITORY_ID,
        GitHubComment.github_id == bindparam("github_id", type_=BigInteger),
    ),
    UUID,
)


async def linked_ticket(
    reader: Reader, company_id: UUID, *, repository_id: int, issue_id: int | None, number: int | None
) -> UUID | None:
    """The ticket of an issue; by its number where the id is None."""
    values = {
        "company_id": company_id,
        "repository_id": repository_id,
        "issue_id": issue_id,
        "number": number,
    }
    return await reader.row(_LINKED, values)


async def lock_issue(
    reader: Reader, company_id: UUID, ticket_id: UUID, *, repository_id: int
) -> IssueRow | None:
    """The issue of a ticket, locked; the ticket has to be locked before."""
    values = {"company_id": company_id, "ticket_id": ticket_id, "repository_id": repository_id}
    return await reader.row(_LOCK_ISSUE, values)


async def lock_own_comment(
    reader: Reader, company_id: UUID, ticket_id: UUID, *, comment_id: UUID
) -> OwnComment | None:
    """A synchronised comment of a ticket, locked."""
    values = {"company_id": company_id, "ticket_id": ticket_id, "comment_id": comment_id}
    return await reader.row(_OWN_COMMENT, values)


async def is_known_comment(reader: Reader, company_id: UUID, *, repository_id: int, github_id: int) -> bool:
    values = {"company_id": company_id, "repository_id": repository_id, "github_id": github_id}
    return await reader.row(_KNOWN_COMMENT, values) is not None


_FACTS = Query(
    select(GitHubDelivery.facts)
    .where(
        GitHubDelivery.connection_id == bindparam("connection_id", type_=Uuid),
        GitHubDelivery.delivery_id == bindparam("delivery_id", type_=Text),
        GitHubDelivery.facts.is_not(None),
    )
    .with_for_update(),
    dict,
)
_HAS_ISSUES = Query(
    select(GitHubIssue.ticket_id)
    .where(
        GitHubIssue.company_id == _COMPANY_ID,
        GitHubIssue.repository_id == _REPOSITORY_ID,
        GitHubIssue.state == SYNCED,
    )
    .limit(1),
    UUID,
)


async def lock_delivery_facts(
    reader: Reader, *, connection_id: UUID, delivery_id: str
) -> dict[str, Any] | None:
    """The facts of a delivery, locked; None where it was processed."""
    return await reader.row(_FACTS, {"connection_id": connection_id, "delivery_id": delivery_id})


async def has_issues(reader: Reader, company_id: UUID, *, repository_id: int) -> bool:
    """Whether any ticket of the company has an issue in this repository."""
    return (
        await reader.row(_HAS_ISSUES, {"company_id": company_id, "repository_id": repository_id}) is not None
    )
