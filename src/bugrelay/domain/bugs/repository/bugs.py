"""SELECTs of one bug, and of bugs in lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import asdict
from sqlalchemy import Uuid, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from bugrelay.domain.accounts.models import User
from bugrelay.domain.bugs.models import Bug, BugText
from bugrelay.domain.bugs.schemas import (
    ApplicationRef,
    BugItem,
    BugState,
    BugWithTechnical,
    CompanyRef,
    CorrectableFields,
    Priority,
    Status,
    UserRef,
)
from bugrelay.domain.bugs.visibility import LISTED, is_listed, visible_to
from bugrelay.domain.companies.models import Application, Company
from bugrelay.infra.db.models import Base
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.viewer import ANONYMOUS, Viewer

# --- states -----------------------------------------------------------------------------------------------------------

_state = select(*(getattr(Bug, name) for name in BugState.__struct_fields__)).where(
    Bug.id == bindparam("bug_id")
)
_STATE = Query(_state, BugState)
_LOCKED_STATE = Query(_state.with_for_update(), BugState)
_VISIBLE_STATE = {
    viewer.is_admin: Query(_state.where(visible_to(viewer)), BugState)
    for viewer in (ANONYMOUS, Viewer(is_admin=True))
}


async def bug_state(reader: Reader, bug_id: UUID) -> BugState | None:
    """The state of any bug, also of a removed or merged one; None if there is no such bug."""
    return await reader.row(_STATE, {"bug_id": bug_id})


async def visible_bug(reader: Reader, viewer: Viewer, bug_id: UUID) -> BugState | None:
    """The state of a bug, also of a merged one; None if there is none that the viewer may see."""
    return await reader.row(_VISIBLE_STATE[viewer.is_admin], {"bug_id": bug_id})


async def wait_for_tables(work: UnitOfWork, *tables: type[Base]) -> None:
    """Acquire the table locks for writes before a bug is locked, so that votes for it do not wait for a table."""
    names = ", ".join(str(table.__tablename__) for table in tables)
    await work.session.execute(text(f"LOCK TABLE {names} IN ROW EXCLUSIVE MODE"))


async def lock_bug(
    work: UnitOfWork, bug_id: UUID, *, before_writing: Sequence[type[Base]]
) -> BugState | None:
    """Lock a bug until the transaction ends, and return its state; None if it is not listed.

    Args:
        work: The unit of work.
        bug_id: The bug.
        before_writing: The tables that the unit of work will write to, whose locks come before the bug's.
    """
    await wait_for_tables(work, *before_writing)
    bug = await work.row(_LOCKED_STATE, {"bug_id": bug_id})
    return bug if bug is not None and is_listed(bug) else None


# --- items and details ------------------------------------------------------------------------------------------------

ITEM_COLUMNS = (
    Bug.id,
    Bug.title,
    BugText.description,
    BugText.description_html,
    Bug.status,
    Bug.priority,
    Bug.tags,
    Bug.application_id,
    Bug.reporter_id,
    Bug.assigned_company_id,
    Bug.vote_count,
    Bug.comment_count,
    Bug.created_at,
    Bug.updated_at,
    Bug.resolved_at,
    Application.name.label("application_name"),
    Application.url.label("application_url"),
    User.username.label("reporter_username"),
    Company.name.label("company_name"),
    Company.domain.label("company_domain"),
    Company.verified.label("company_verified"),
)
TECHNICAL_COLUMNS = (
    BugText.operating_system,
    BugText.device_type,
    BugText.app_version,
    BugText.browser_version,
    BugText.contact_email,
    User.email.label("reporter_email"),
)


class ItemRow(Row):
    """`ITEM_COLUMNS`. The columns of the reporter and the company are null if their ids are."""

    id: UUID
    title: str
    description: str
    description_html: str
    status: Status
    priority: Priority
    tags: list[str]
    application_id: UUID
    reporter_id: UUID | None
    assigned_company_id: UUID | None
    vote_count: int
    comment_count: int
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    application_name: str
    application_url: str | None
    reporter_username: str
    company_name: str
    company_domain: str
    company_verified: bool


class BugRow(ItemRow):
    """`ITEM_COLUMNS` and `TECHNICAL_COLUMNS`."""

    operating_system: str | None
    device_type: str | None
    app_version: str | None
    browser_version: str | None
    contact_email: str | None
    reporter_email: str | None


def joined(base: Any) -> Any:
    """`base`, which has the table of bugs, joined with the other tables of `ITEM_COLUMNS` and `TECHNICAL_COLUMNS`."""
    return (
        base.join(BugText, BugText.bug_id == Bug.id)
        .join(Application, Application.id == Bug.application_id)
        .outerjoin(User, User.id == Bug.reporter_id)
        .outerjoin(Company, Company.id == Bug.assigned_company_id)
    )


def item_of(row: ItemRow) -> BugItem:
    """The row as a bug in a list."""
    company_id, reporter_id = row.assigned_company_id, row.reporter_id
    return BugItem(
        id=row.id,
        title=row.title,
        description=row.description,
        description_html=row.description_html,
        status=row.status,
        priority=row.priority,
        tags=row.tags,
        application_id=row.application_id,
        reporter_id=reporter_id,
        assigned_company_id=company_id,
        vote_count=row.vote_count,
        comment_count=row.comment_count,
        created_at=row.created_at,
        updated_at=row.updated_at,
        resolved_at=row.resolved_at,
        application=ApplicationRef(row.application_id, row.application_name, row.application_url),
        reporter=UserRef(reporter_id, row.reporter_username) if reporter_id else None,
        assigned_company=CompanyRef(company_id, row.company_name, row.company_domain, row.company_verified)
        if company_id
        else None,
    )


# Ids are passed as text: converting them to UUIDs and back would cost as much as the rest of a row.
_wanted = (
    func.unnest(bindparam("ids", type_=ARRAY(Uuid)))
    .table_valued("id", with_ordinality="position", name="wanted")
    .render_derived()
)
_LISTED = Query(
    select(*ITEM_COLUMNS)
    .select_from(joined(_wanted.join(Bug.__table__, Bug.id == _wanted.c.id)))
    .where(LISTED)
    .order_by(_wanted.c.position),
    ItemRow,
)


async def listed_bugs(reader: Reader, ids: Sequence[str]) -> list[BugItem]:
    """The bugs with these ids (UUIDs as text), in this order, without any that is not listed any more."""
    if not ids:
        return []
    return [item_of(row) for row in await reader.rows(_LISTED, {"ids": f"{{{','.join(ids)}}}"})]


class BugRecord(Row):
    """A bug, and addresses that only some viewers may see."""

    bug: BugWithTechnical
    contact_email: str | None
    reporter_email: str | None


_BUG = Query(
    select(*ITEM_COLUMNS, *TECHNICAL_COLUMNS)
    .select_from(joined(Bug.__table__))
    .where(Bug.id == bindparam("bug_id")),
    BugRow,
)


async def find_bug(reader: Reader, bug_id: UUID) -> BugRecord | None:
    """Any bug, also a removed or merged one: the caller has checked the viewer's rights by `visible_bug` or a lock."""
    row = await reader.row(_BUG, {"bug_id": bug_id})
    if row is None:
        return None
    bug = BugWithTechnical(
        **asdict(item_of(row)),
        operating_system=row.operating_system,
        device_type=row.device_type,
        app_version=row.app_version,
        browser_version=row.browser_version,
    )
    return BugRecord(bug, row.contact_email, row.reporter_email)


_CORRECTABLE = Query(
    select(
        Bug.title,
        Bug.tags,
        BugText.description,
        BugText.operating_system,
        BugText.device_type,
        BugText.app_version,
        BugText.browser_version,
    )
    .join(BugText, BugText.bug_id == Bug.id)
    .where(Bug.id == bindparam("bug_id")),
    CorrectableFields,
)


async def correctable_fields(reader: Reader, bug_id: UUID) -> CorrectableFields | None:
    """The editable fields of any bug, also of a removed or merged one; None if there is no such bug."""
    return await reader.row(_CORRECTABLE, {"bug_id": bug_id})
