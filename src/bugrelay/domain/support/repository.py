"""Support reports, as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Integer, Select, Text, bindparam, cast, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from bugrelay.domain.accounts.models import User
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.support.models import SupportReport
from bugrelay.domain.support.schemas import SCHEME, ReportDetail, ReportItem
from bugrelay.domain.tickets.models import Project, Ticket, TicketKey
from bugrelay.domain.tickets.repository.columns import NAME, assignees, decoded_users, values_of
from bugrelay.domain.tickets.schemas import TicketUser
from bugrelay.domain.tickets.visibility import COMPANY_ID, USER_ID
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery

_SCHEME = bindparam("scheme", SCHEME.name, type_=Text)
# A ticket of the scheme, and one that came in as a report and was moved to another project since.
_IS_REPORT = or_(Project.scheme == _SCHEME, SupportReport.ticket_id.is_not(None))


def _reports(*columns: Any) -> Select[Any]:
    """The company's reports that are not removed."""
    return (
        select(*columns)
        .select_from(Ticket)
        .join(Project, (Project.company_id == COMPANY_ID) & (Project.id == Ticket.project_id))
        .outerjoin(
            SupportReport, (SupportReport.company_id == COMPANY_ID) & (SupportReport.ticket_id == Ticket.id)
        )
        .where(Ticket.company_id == COMPANY_ID, Ticket.removed_at.is_(None), _IS_REPORT)
    )


# --- one's own --------------------------------------------------------------------------------------------------------

_STATUS = bindparam("status", type_=Text)
_MINE = (Ticket.reporter_id == USER_ID, or_(_STATUS.is_(None), Ticket.status == _STATUS))
_PAGE = Query(
    _reports(
        Ticket.id,
        Ticket.key.label("ticket_number"),
        Ticket.kind.label("category"),
        Ticket.priority.label("severity"),
        Ticket.status,
        Ticket.title,
        Ticket.created_at,
    )
    .where(*_MINE)
    .order_by(Ticket.created_at.desc(), Ticket.id.desc())
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer)),
    ReportItem,
)
_TOTAL = Query(_reports(func.count()).where(*_MINE), int)


async def list_own_reports(
    reader: Reader, tenant: Tenant, page: PageQuery, *, status: str | None = None
) -> tuple[Sequence[ReportItem], int]:
    """A page of what the user has reported to the company, the newest first, and how many there are."""
    values = values_of(tenant, status=status)
    total = await reader.row(_TOTAL, values)
    rows = await reader.rows(_PAGE, values | {"limit": page.limit, "offset": page.offset})
    return rows, total or 0


# --- one --------------------------------------------------------------------------------------------------------------


class _DetailRow(Row):
    """JSON comes as text."""

    id: UUID
    key: str
    kind: str
    priority: str
    status: str
    title: str
    description: str
    description_html: str
    resolution_notes: str | None
    internal_notes: str | None
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    reporter_id: UUID
    username: str
    name: str
    assignees: str
    browser_info: str | None
    steps_to_reproduce: str | None
    expected_behavior: str | None
    actual_behavior: str | None
    page_url: str | None
    page_title: str | None
    viewport_size: str | None
    screen_resolution: str | None
    email_sent_at: datetime | None


def _as_text(column: InstrumentedAttribute[Any]) -> Any:
    return cast(column, Text).label(column.key)


_names = _DetailRow.__struct_fields__
_OF_TICKET = [getattr(Ticket, name) for name in _names[: _names.index("username")]]
_OF_REPORT = [getattr(SupportReport, name) for name in _names[_names.index("steps_to_reproduce") :]]
_BY_NUMBER = Query(
    _reports(
        *_OF_TICKET,
        User.username,
        NAME.label("name"),
        assignees(),
        _as_text(SupportReport.browser_info),
        *_OF_REPORT,
    )
    .join(TicketKey, (TicketKey.company_id == COMPANY_ID) & (TicketKey.ticket_id == Ticket.id))
    .join(User, User.id == Ticket.reporter_id)
    .where(TicketKey.key == bindparam("key", type_=Text)),
    _DetailRow,
)


async def find_report(reader: Reader, tenant: Tenant, ticket_number: str) -> ReportDetail | None:
    """A report of the company by a number that it has or had, whoever asks: `policies` says who sees it."""
    row = await reader.row(_BY_NUMBER, values_of(tenant, key=ticket_number))
    return _detail_of(row) if row else None


def _detail_of(row: _DetailRow) -> ReportDetail:
    return ReportDetail(
        id=row.id,
        ticket_number=row.key,
        category=row.kind,
        severity=row.priority,
        status=row.status,
        title=row.title,
        description=row.description,
        description_html=row.description_html,
        reporter=TicketUser(row.reporter_id, row.username, row.name),
        assignees=decoded_users(row.assignees),
        resolution_notes=row.resolution_notes,
        internal_notes=row.internal_notes,
        created_at=row.created_at,
        updated_at=row.updated_at,
        resolved_at=row.resolved_at,
        browser_info=_decoded(row.browser_info),
        steps_to_reproduce=row.steps_to_reproduce,
        expected_behavior=row.expected_behavior,
        actual_behavior=row.actual_behavior,
        page_url=row.page_url,
        page_title=row.page_title,
        viewport_size=row.viewport_size,
        screen_resolution=row.screen_resolution,
        email_sent_at=row.email_sent_at,
    )


def _decoded(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
