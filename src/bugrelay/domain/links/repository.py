"""Every SELECT of links. Links to merged bugs lead to the survivor; removed bugs have none."""

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
    LockedBug,
    NamedScreenshot,
    ReportExcerpt,
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
_LOCKED_SURVIVOR = Query(
    text(
        "SELECT b.id, b.assigned_company_id FROM bugs b"
        " WHERE b.id = bug_survivor(:bug_id) AND b.removed_at IS NULL AND b.merged_into_id IS NULL FOR KEY SHARE"
    ),
    LockedBug,
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
# Of all companies: each gets comments in its own tickets, about public changes only.
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
    """The survivor of a bug: itself, or what it was merged into, in turn."""
    return await reader.row(_SURVIVOR, {"bug_id": bug_id})


async def lock_survivor(work: UnitOfWork, bug_id: UUID) -> LockedBug | None:
    """The survivor of a bug, with a key-share lock; before the lock of the ticket."""
    return await work.row(_LOCKED_SURVIVOR, {"bug_id": bug_id})


async def links_of(reader: Reader, *, company_id: UUID, ticket_id: UUID) -> Sequence[LinkState]:
    """The links of a ticket, oldest first, those to removed bugs included."""
    return await reader.rows(_LINKS, {"company_id": company_id, "ticket_id": ticket_id})


async def count_tickets_of(reader: Reader, bug_id: UUID, *, company_id: UUID) -> int:
    """How many tickets of the company are linked to the bug."""
    return await reader.row(_COUNT_OF_BUG, {"bug_id": bug_id, "company_id": company_id}) or 0


async def is_tracked(reader: Reader, bug_id: UUID, *, company_id: UUID) -> bool:
    """Whether the company has a ticket that tracks the bug."""
    return await reader.row(_TRACKED, {"bug_id": bug_id, "company_id": company_id}) is not None


async def bugs_to_carry_to(
    reader: Reader, *, company_id: UUID, ticket_id: UUID, project_id: UUID
) -> Sequence[CarryingLink]:
    """The bugs that a ticket's status is carried over to, in the order of their ids; `project_id` at the time of the
    event."""
    values = {"company_id": company_id, "ticket_id": ticket_id, "project_id": project_id}
    return await reader.rows(_CARRYING, values)


async def tickets_linked_to(reader: Reader, bug_id: UUID) -> Sequence[LinkedTicket]:
    """The tickets of all companies that are linked to the bug, or to bugs merged into it."""
    return await reader.rows(_LINKED_TO, {"bug_id": bug_id})


async def bugs_with_links(reader: Reader, events: Sequence[Event]) -> set[UUID]:
    """The bugs of the events that any ticket is linked to."""
    bug_ids = list({event.bug_id for event in events if event.bug_id is not None})
    return set(await reader.rows(_WITH_LINKS, {"bug_ids": bug_ids})) if bug_ids else set()


async def report_excerpt(reader: Reader, *, company_id: UUID, ticket_id: UUID) -> ReportExcerpt:
    """The publishable parts of a ticket's support report; empty where it has none."""
    row = await reader.row(_REPORT, {"company_id": company_id, "ticket_id": ticket_id})
    pictures = await screenshots_of(reader, company_id=company_id, ticket_id=ticket_id)
    if row is None:
        return ReportExcerpt()
    browser: dict[str, Any] = msgspec.json.decode(row.browser_info) if row.browser_info else {}
    return ReportExcerpt(
        steps=row.steps_to_reproduce,
        operating_system=_joined(browser, "platform"),
        device_type=_joined(browser, "device_type"),
        app_version=_joined(browser, "app_version"),
        browser_version=_joined(browser, "name", "version"),
        screenshots=tuple(picture.name for picture in pictures),
    )


async def screenshots_of(reader: Reader, *, company_id: UUID, ticket_id: UUID) -> Sequence[NamedScreenshot]:
    """The screenshots of a ticket's support report."""
    return await reader.rows(_SCREENSHOTS, {"company_id": company_id, "ticket_id": ticket_id})


def _joined(browser: dict[str, Any], *names: str) -> str | None:
    """The texts under these names, joined in one line; None where there are none."""
    texts = (browser.get(name) for name in names)
    return " ".join(" ".join(text for text in texts if isinstance(text, str)).split()) or None
