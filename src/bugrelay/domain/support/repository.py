"""Every SELECT of support reports and screenshots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Integer, Select, Text, Uuid, bindparam, cast, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.repository import ACTIVE
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.support.models import Screenshot, SupportReport
from bugrelay.domain.support.schemas import (
    SCHEME,
    Capture,
    ReportDetail,
    ReportItem,
    ScreenshotRef,
    StoredScreenshot,
)
from bugrelay.domain.tickets.models import Project, Ticket, TicketKey
from bugrelay.domain.tickets.repository.columns import NAME, assignees, decoded_users, values_of
from bugrelay.domain.tickets.schemas import TicketUser
from bugrelay.domain.tickets.visibility import COMPANY_ID, USER_ID
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery
from bugrelay.infra.text.redaction import Redaction

T = TypeVar("T")

_SCHEME = bindparam("scheme", SCHEME.name, type_=Text)
# A ticket of the scheme, or one that was created as a report and moved to another project since.
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


# --- the reporter's list ----------------------------------------------------------------------------------------------

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
    """A page of the user's reports to the company, newest first, and their total."""
    values = values_of(tenant, status=status)
    total = await reader.row(_TOTAL, values)
    rows = await reader.rows(_PAGE, values | {"limit": page.limit, "offset": page.offset})
    return rows, total or 0


# --- one report -------------------------------------------------------------------------------------------------------


class _DetailRow(Row):
    """A row of the detail; JSON columns as text."""

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
    screenshot_id: UUID | None
    screenshot_name: str | None
    browser_info: str | None
    screenshot_annotations: str | None
    capture: str | None
    redactions: str | None
    steps_to_reproduce: str | None
    expected_behavior: str | None
    actual_behavior: str | None
    page_url: str | None
    page_title: str | None
    viewport_size: str | None
    screen_resolution: str | None
    truncated: bool | None
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
        Screenshot.id.label("screenshot_id"),
        Screenshot.name.label("screenshot_name"),
        _as_text(SupportReport.browser_info),
        _as_text(SupportReport.screenshot_annotations),
        _as_text(SupportReport.capture),
        _as_text(SupportReport.redactions),
        *_OF_REPORT,
    )
    .join(TicketKey, (TicketKey.company_id == COMPANY_ID) & (TicketKey.ticket_id == Ticket.id))
    .join(User, User.id == Ticket.reporter_id)
    .outerjoin(Screenshot, (Screenshot.company_id == COMPANY_ID) & (Screenshot.ticket_id == Ticket.id))
    .where(TicketKey.key == bindparam("key", type_=Text)),
    _DetailRow,
)


async def find_report(reader: Reader, tenant: Tenant, ticket_number: str) -> ReportDetail | None:
    """A report of the company by its present or a previous number. Does not check who sees it: see `policies`."""
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
        browser_info=_decoded(row.browser_info, dict[str, Any]),
        steps_to_reproduce=row.steps_to_reproduce,
        expected_behavior=row.expected_behavior,
        actual_behavior=row.actual_behavior,
        page_url=row.page_url,
        page_title=row.page_title,
        viewport_size=row.viewport_size,
        screen_resolution=row.screen_resolution,
        screenshot=ScreenshotRef(row.screenshot_id, row.screenshot_name or "") if row.screenshot_id else None,
        screenshot_annotations=_decoded(row.screenshot_annotations, list[Any]),
        capture=_decoded(row.capture, Capture),
        truncated=bool(row.truncated),
        redactions=_decoded(row.redactions, list[Redaction]),
        email_sent_at=row.email_sent_at,
    )


def _decoded(text: str | None, kind: type[T]) -> T | None:
    return None if text is None else msgspec.json.decode(text, type=kind)


# --- screenshots ------------------------------------------------------------------------------------------------------

# Screenshots of removed reports are not served.
_SHOWN = or_(
    Screenshot.ticket_id.is_(None),
    exists().where(
        Ticket.company_id == COMPANY_ID, Ticket.id == Screenshot.ticket_id, Ticket.removed_at.is_(None)
    ),
)
_SCREENSHOT = Query(
    select(Screenshot.storage_key, Screenshot.mime_type).where(
        Screenshot.company_id == COMPANY_ID,
        Screenshot.id == bindparam("screenshot_id", type_=Uuid),
        _SHOWN,
    ),
    StoredScreenshot,
)
_UNUSED = Query(
    select(func.count())
    .select_from(Screenshot)
    .where(
        Screenshot.company_id == COMPANY_ID, Screenshot.user_id == USER_ID, Screenshot.ticket_id.is_(None)
    ),
    int,
)


async def find_screenshot(
    reader: Reader, *, company_id: UUID, screenshot_id: UUID
) -> StoredScreenshot | None:
    """The screenshot of a signed link."""
    return await reader.row(_SCREENSHOT, {"company_id": company_id, "screenshot_id": screenshot_id})


async def count_unused(reader: Reader, tenant: Tenant) -> int:
    """The number of the user's uploads for this company that no report uses."""
    return await reader.row(_UNUSED, values_of(tenant)) or 0


# --- the confirmation -------------------------------------------------------------------------------------------------


class UnconfirmedReport(Row):
    """A report whose confirmation was not sent yet, and its recipient."""

    email: str
    name: str
    ticket_number: str
    title: str
    category: str
    severity: str
    created_at: datetime
    public_issue_url: str | None


_UNCONFIRMED = Query(
    select(
        User.email,
        NAME.label("name"),
        Ticket.key.label("ticket_number"),
        Ticket.title,
        Ticket.kind.label("category"),
        Ticket.priority.label("severity"),
        Ticket.created_at,
        SupportReport.public_issue_url,
    )
    .select_from(SupportReport)
    .join(Ticket, (Ticket.company_id == COMPANY_ID) & (Ticket.id == SupportReport.ticket_id))
    .join(User, User.id == SupportReport.user_id)
    .where(
        SupportReport.company_id == COMPANY_ID,
        SupportReport.ticket_id == bindparam("ticket_id", type_=Uuid),
        SupportReport.email_sent_at.is_(None),
        Ticket.removed_at.is_(None),
        ACTIVE,
    ),
    UnconfirmedReport,
)


async def find_unconfirmed(reader: Reader, *, company_id: UUID, ticket_id: UUID) -> UnconfirmedReport | None:
    """None where the mail was sent, or the reporter or the report was removed."""
    return await reader.row(_UNCONFIRMED, {"company_id": company_id, "ticket_id": ticket_id})
