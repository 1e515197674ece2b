"""Links of tickets. Where a bug was merged, its survivor is meant; what is removed is nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Text, bindparam, cast, select, text

from bugrelay.domain.events.schemas import Event
from bugrelay.domain.links.schemas import (
    CarryingLink,
    LinkedTicket,
    LinkState,
    NamedScreenshot,
    Reported,
    SharedBug,
)
from bugrelay.domain.support.models import Screenshot, SupportReport
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork


class _ReportRow(Row):
    steps_to_reproduce: str | None
    browser_info: str | None


_REPORT = Query(
    select(
        SupportReport.steps_to_reproduce, cast(SupportReport.browser_info, Text).label("browser_info")
    ).where(
        SupportReport.company_id == bindparam("company_id"), SupportReport.ticket_id == bindparam("ticket_id")
    ),
    _ReportRow,
)
_OF_REPORT = (
    Screenshot.company_id == bindparam("company_id"),
    Screenshot.ticket_id == bindparam("ticket_id"),
)
_SCREENSHOTS = Query(
    select(Screenshot.name, Screenshot.storage_key).where(*_OF_REPORT).order_by(Screenshot.id),
    NamedScreenshot,
)
_SHARED = Query(
    text(
        "SELECT b.id, b.assigned_company_id FROM bugs b"
        " WHERE b.id = bug_survivor(:bug_id) AND b.removed_at IS NULL AND b.merged_into_id IS NULL FOR KEY SHARE"
    ),
    SharedBug,
)
_SURVIVOR: Query[UUID | None] = Query(text("SELECT bug_survivor(:bug_id)"), UUID)
_OF_TICKET = "FROM ticket_links l WHERE l.company_id = :company_id AND l.ticket_id = :ticket_id"
_LINKS = Query(
    text(
        "SELECT l.bug_id, bug_survivor(l.bug_id) AS survivor_id, l.kind, l.carry_status"
        f" {_OF_TICKET} ORDER BY l.created_at, l.bug_id"
    ),
    LinkState,
)
_COUNT_OF_BUG = Query(
    text(
        "SELECT count(*) FROM merged_bugs(:bug_id) AS m(id) JOIN ticket_links l ON l.bug_id = m.id"
        " WHERE l.company_id = :company_id"
    ),
    int,
)
_TRACKED = Query(
    text(
        "SELECT true FROM merged_bugs(:bug_id) AS m(id) JOIN ticket_links l ON l.bug_id = m.id"
        " JOIN tickets t ON t.company_id = :company_id AND t.id = l.ticket_id"
        " WHERE l.company_id = :company_id AND l.kind = 'tracked' AND t.removed_at IS NULL LIMIT 1"
    ),
    bool,
)
_CARRYING = Query(
    text(
        "SELECT DISTINCT s.bug_id, p.scheme FROM ticket_links l"
        " CROSS JOIN LATERAL bug_survivor(l.bug_id) AS s(bug_id)"
        " JOIN projects p ON p.company_id = :company_id AND p.id = :project_id"
        " WHERE l.company_id = :company_id AND l.ticket_id = :ticket_id AND l.carry_status"
        " AND s.bug_id IS NOT NULL ORDER BY s.bug_id"
    ),
    CarryingLink,
)
# Of all companies: each is told in its own tickets of what everybody may see, and of no other company.
_LINKED_TO = Query(
    text(
        "SELECT DISTINCT l.company_id, l.ticket_id FROM merged_bugs(:bug_id) AS m(id)"
        " JOIN ticket_links l ON l.bug_id = m.id ORDER BY l.company_id, l.ticket_id"
    ),
    LinkedTicket,
)
_WITH_LINKS = Query(
    text(
        "SELECT w.id FROM unnest(CAST(:bug_ids AS uuid[])) AS w(id)"
        " WHERE EXISTS (SELECT FROM merged_bugs(w.id) AS m(id) JOIN ticket_links l ON l.bug_id = m.id)"
    ),
    UUID,
)


async def find_survivor(reader: Reader, bug_id: UUID) -> UUID | None:
    """The bug that everybody sees under this id: itself, or what it was merged into, in turn."""
    return await reader.row(_SURVIVOR, {"bug_id": bug_id})


async def share_survivor(work: UnitOfWork, bug_id: UUID) -> SharedBug | None:
    """The same bug, its key shared until the transaction ends: of a link, before its ticket is locked."""
    return await work.row(_SHARED, {"bug_id": bug_id})


async def links_of(reader: Reader, *, company_id: UUID, ticket_id: UUID) -> Sequence[LinkState]:
    """Of one ticket, the oldest first; those to removed bugs as well."""
    return await reader.rows(_LINKS, {"company_id": company_id, "ticket_id": ticket_id})


async def count_tickets_of(reader: Reader, bug_id: UUID, *, company_id: UUID) -> int:
    """How many tickets of the company are tied to the bug."""
    return await reader.row(_COUNT_OF_BUG, {"bug_id": bug_id, "company_id": company_id}) or 0


async def is_tracked(reader: Reader, bug_id: UUID, *, company_id: UUID) -> bool:
    """Whether the company has a ticket that was made to track the bug."""
    return await reader.row(_TRACKED, {"bug_id": bug_id, "company_id": company_id}) is not None


async def bugs_to_carry_to(
    reader: Reader, *, company_id: UUID, ticket_id: UUID, project_id: UUID
) -> Sequence[CarryingLink]:
    """The bugs that a ticket's status is carried to, by their ids; its project as it was then."""
    values = {"company_id": company_id, "ticket_id": ticket_id, "project_id": project_id}
    return await reader.rows(_CARRYING, values)


async def tickets_linked_to(reader: Reader, bug_id: UUID) -> Sequence[LinkedTicket]:
    """The tickets of all companies that are tied to the bug, or to what was merged into it."""
    return await reader.rows(_LINKED_TO, {"bug_id": bug_id})


async def bugs_with_links(reader: Reader, events: Sequence[Event]) -> set[UUID]:
    """Those of the events' bugs that any ticket is tied to."""
    bug_ids = list({event.bug_id for event in events if event.bug_id is not None})
    return set(await reader.rows(_WITH_LINKS, {"bug_ids": bug_ids})) if bug_ids else set()


async def reported_with(reader: Reader, *, company_id: UUID, ticket_id: UUID) -> Reported:
    """What the report of a ticket adds to it; nothing where it came in otherwise."""
    row = await reader.row(_REPORT, {"company_id": company_id, "ticket_id": ticket_id})
    pictures = await screenshots_of(reader, company_id=company_id, ticket_id=ticket_id)
    if row is None:
        return Reported()
    browser: dict[str, Any] = msgspec.json.decode(row.browser_info) if row.browser_info else {}
    return Reported(
        steps=row.steps_to_reproduce,
        operating_system=_said(browser, "platform"),
        device_type=_said(browser, "device_type"),
        app_version=_said(browser, "app_version"),
        browser_version=_said(browser, "name", "version"),
        screenshots=tuple(picture.name for picture in pictures),
    )


async def screenshots_of(reader: Reader, *, company_id: UUID, ticket_id: UUID) -> Sequence[NamedScreenshot]:
    """The pictures that a ticket's report has."""
    return await reader.rows(_SCREENSHOTS, {"company_id": company_id, "ticket_id": ticket_id})


def _said(browser: dict[str, Any], *names: str) -> str | None:
    """What a browser says under these names, in one line."""
    texts = (browser.get(name) for name in names)
    return " ".join(" ".join(text for text in texts if isinstance(text, str)).split()) or None
