"""One bug with its pictures, latest comments and what depends on the viewer, in one statement.

Comments and pictures are read as one JSON array each, since separate statements would add round trips.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import asdict
from sqlalchemy import (
    ColumnElement,
    Subquery,
    Text,
    Uuid,
    bindparam,
    cast,
    exists,
    false,
    func,
    null,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from bugrelay.domain.bugs.models import Bug, Vote
from bugrelay.domain.bugs.repository.attachments import ATTACHMENTS_OF_BUG, AttachmentRow, attachment_of
from bugrelay.domain.bugs.repository.bugs import (
    ITEM_COLUMNS,
    TECHNICAL_COLUMNS,
    BugRow,
    item_of,
    joined,
)
from bugrelay.domain.bugs.repository.comments import LATEST_OF_BUG, CommentRow, comment_of
from bugrelay.domain.bugs.schemas import BugDetail, BugState, Level, Reason, SubscriptionOut
from bugrelay.domain.bugs.visibility import visible_to
from bugrelay.domain.companies.repository import role_in
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.viewer import ANONYMOUS, Viewer


class _DetailRow(BugRow):
    removed_at: datetime | None
    merged_into_id: UUID | None
    attachments: str
    comments: str
    voted: bool
    level: Level | None
    reason: Reason | None
    company_role: str | None


class DetailRecord(Row):
    """A bug with its pictures and comments, and fields that only some viewers may see.

    `state` is what rights depend on; `company_role` is the viewer's role in the company that the bug is assigned to.
    """

    detail: BugDetail
    state: BugState
    company_role: str | None
    contact_email: str | None
    reporter_email: str | None


_attachments = ATTACHMENTS_OF_BUG.subquery("pictures")
_latest = LATEST_OF_BUG.subquery("latest")


def _array(rows: Subquery, *order: ColumnElement[Any]) -> ColumnElement[str]:
    """All rows of a subquery as one JSON array of arrays."""
    listed = func.json_agg(aggregate_order_by(func.json_build_array(*rows.c), *order))
    return func.coalesce(select(cast(listed, Text)).scalar_subquery(), "[]")


def _statement(viewer: Viewer) -> Query[_DetailRow]:
    """The statement for viewers like this one: anonymous, signed in, or an admin; takes `:user_id` if signed in."""
    user_id = bindparam("user_id", type_=Uuid)
    source = joined(Bug.__table__)
    of_viewer: tuple[Any, ...] = (false(), cast(null(), Text), cast(null(), Text), cast(null(), Text))
    if viewer.signed_in:
        followed = func.bug_subscription(Bug.id, user_id).table_valued("level", "reason", name="followed")
        source = source.outerjoin(followed, true())
        voted = exists().where(Vote.bug_id == Bug.id, Vote.user_id == user_id).correlate(Bug)
        role = role_in(Bug.assigned_company_id, user_id).correlate(Bug).scalar_subquery()
        of_viewer = (voted, followed.c.level, followed.c.reason, role)
    shown = zip(of_viewer, ("voted", "level", "reason", "company_role"), strict=True)
    return Query(
        select(
            *ITEM_COLUMNS,
            *TECHNICAL_COLUMNS,
            Bug.removed_at,
            Bug.merged_into_id,
            _array(_attachments, _attachments.c.uploaded_at, _attachments.c.id).label("attachments"),
            _array(_latest, _latest.c.created_at, _latest.c.id).label("comments"),
            *(column.label(name) for column, name in shown),
        )
        .select_from(source)
        .where(Bug.id == bindparam("bug_id"), visible_to(viewer)),
        _DetailRow,
    )


_DETAIL = {
    (viewer.signed_in, viewer.is_admin): _statement(viewer)
    for viewer in (ANONYMOUS, Viewer(user_id=UUID(int=0)), Viewer(user_id=UUID(int=0), is_admin=True))
}
_attachments_in = msgspec.json.Decoder(list[AttachmentRow]).decode
_comments_in = msgspec.json.Decoder(list[CommentRow]).decode


async def find_detail(reader: Reader, viewer: Viewer, bug_id: UUID) -> DetailRecord | None:
    """A bug with what belongs to it, also a merged one; None if there is none that the viewer may see."""
    statement = _DETAIL[viewer.signed_in, viewer.is_admin]
    row = await reader.row(statement, {"bug_id": bug_id, "user_id": viewer.user_id})
    if row is None:
        return None
    state = BugState(
        id=row.id,
        status=row.status,
        reporter_id=row.reporter_id,
        assigned_company_id=row.assigned_company_id,
        removed_at=row.removed_at,
        merged_into_id=row.merged_into_id,
    )
    detail = _detail_of(row)
    if viewer.signed_in:
        detail.voted = row.voted
        detail.subscription = SubscriptionOut(row.level, row.reason) if row.level and row.reason else None
    return DetailRecord(detail, state, row.company_role, row.contact_email, row.reporter_email)


def _detail_of(row: _DetailRow) -> BugDetail:
    """The detail as anonymous readers see it."""
    return BugDetail(
        **asdict(item_of(row)),
        operating_system=row.operating_system,
        device_type=row.device_type,
        app_version=row.app_version,
        browser_version=row.browser_version,
        attachments=[attachment_of(one) for one in _attachments_in(row.attachments)],
        comments=[comment_of(one) for one in _comments_in(row.comments)],
        voted=None,
    )
