"""Every SELECT of the board. Reads return rows or wire structs; nothing here is an ORM object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    Integer,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.accounts.models import User
from bugrelay.domain.bugs.models import (
    Attachment,
    Bug,
    BugEdit,
    BugMerge,
    BugText,
    Comment,
    StatusChange,
    Vote,
    tag_changes,
    tag_counts,
)
from bugrelay.domain.bugs.schemas import (
    ApplicationRef,
    AttachmentOut,
    BugItem,
    BugWithTechnical,
    CommentOut,
    CompanyRef,
    HistoryCompany,
    HistoryEntry,
    TagCount,
    TagQuery,
    UserRef,
)
from bugrelay.domain.companies.models import Application, Company
from bugrelay.infra.db.database import Query, Reader
from bugrelay.infra.db.models import Base
from bugrelay.infra.pagination import PageQuery

COMMENTS_IN_DETAIL = 100


@dataclass(frozen=True)
class BugState:
    """What rights over a bug depend on."""

    id: UUID
    status: str
    reporter_id: UUID | None
    assigned_company_id: UUID | None
    removed_at: datetime | None
    merged_into_id: UUID | None


_FACTS_COLUMNS = (
    Bug.id,
    Bug.status,
    Bug.reporter_id,
    Bug.assigned_company_id,
    Bug.removed_at,
    Bug.merged_into_id,
)
_FACTS = Query(select(*_FACTS_COLUMNS).where(Bug.id == bindparam("bug_id")))


async def bug_state(reader: Reader, bug_id: UUID) -> BugState | None:
    row = await reader.row(_FACTS, {"bug_id": bug_id})
    return BugState(*row) if row else None


async def wait_for_tables(session: AsyncSession, *tables: type[Base]) -> None:
    """Wait until these can be written to, before a bug is locked: its voters must not wait for a table with us."""
    names = ", ".join(str(table.__tablename__) for table in tables)
    await session.execute(text(f"LOCK TABLE {names} IN ROW EXCLUSIVE MODE"))


async def lock_bug(
    session: AsyncSession, bug_id: UUID, *, before_writing: Sequence[type[Base]]
) -> BugState | None:
    """The facts, kept from changing until the transaction ends. None for a bug that is removed or merged away.

    Args:
        session: The change.
        bug_id: The bug.
        before_writing: The tables that the change goes on to write to.
    """
    await wait_for_tables(session, *before_writing)
    row = (
        await session.execute(select(*_FACTS_COLUMNS).where(Bug.id == bug_id).with_for_update())
    ).one_or_none()
    facts = BugState(*row) if row else None
    return facts if facts and facts.removed_at is None and facts.merged_into_id is None else None


async def lock_bug_of_comment(session: AsyncSession, comment_id: UUID) -> UUID | None:
    """Lock the bug that a comment is shown with, whatever its state; None for a comment that is not there.

    Comments are changed under the lock of their bug, as by a merge, which may move one while we wait.
    """
    await wait_for_tables(session, Comment)
    where = select(Comment.bug_id).where(Comment.id == comment_id)
    bug_id = await session.scalar(where)
    while bug_id is not None:
        await session.execute(select(Bug.id).where(Bug.id == bug_id).with_for_update())
        now = await session.scalar(where)
        if now == bug_id:
            break
        bug_id = now
    return bug_id


# --- one bug, and bugs in lists -------------------------------------------------------------------------------------

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
    Application.name,
    Application.url,
    User.username,
    Company.name,
    Company.domain,
    Company.verified,
)
_TECHNICAL_COLUMNS = (
    BugText.operating_system,
    BugText.device_type,
    BugText.app_version,
    BugText.browser_version,
    BugText.contact_email,
    User.email,
)


def joined(base: Any) -> Any:
    return (
        base.join(BugText, BugText.bug_id == Bug.id)
        .join(Application, Application.id == Bug.application_id)
        .outerjoin(User, User.id == Bug.reporter_id)
        .outerjoin(Company, Company.id == Bug.assigned_company_id)
    )


def _item_values(row: Sequence[Any]) -> dict[str, Any]:
    (
        bug_id, title, description, description_html, status, priority, tags, application_id, reporter_id,
        company_id, vote_count, comment_count, created_at, updated_at, resolved_at, application_name,
        application_url, username, company_name, company_domain, company_verified,
    ) = row[: len(ITEM_COLUMNS)]  # fmt: skip
    return {
        "id": bug_id,
        "title": title,
        "description": description,
        "description_html": description_html,
        "status": status,
        "priority": priority,
        "tags": tags,
        "application_id": application_id,
        "reporter_id": reporter_id,
        "assigned_company_id": company_id,
        "vote_count": vote_count,
        "comment_count": comment_count,
        "created_at": created_at,
        "updated_at": updated_at,
        "resolved_at": resolved_at,
        "application": ApplicationRef(application_id, application_name, application_url),
        "reporter": UserRef(reporter_id, username) if reporter_id else None,
        "assigned_company": CompanyRef(company_id, company_name, company_domain, company_verified)
        if company_id
        else None,
    }


def item_of(row: Sequence[Any]) -> BugItem:
    """A bug of a list from a row that begins with `ITEM_COLUMNS`."""
    return BugItem(**_item_values(row))


@dataclass(frozen=True)
class BugRecord:
    """A bug with what only some may see beside it."""

    bug: BugWithTechnical
    contact_email: str | None
    reporter_email: str | None


_BUG = Query(
    select(*ITEM_COLUMNS, *_TECHNICAL_COLUMNS)
    .select_from(joined(Bug.__table__))
    .where(Bug.id == bindparam("bug_id"))
)


async def find_bug(reader: Reader, bug_id: UUID) -> BugRecord | None:
    row = await reader.row(_BUG, {"bug_id": bug_id})
    if row is None:
        return None
    operating_system, device_type, app_version, browser_version, contact_email, email = row[
        len(ITEM_COLUMNS) :
    ]
    bug = BugWithTechnical(
        **_item_values(row),
        operating_system=operating_system,
        device_type=device_type,
        app_version=app_version,
        browser_version=browser_version,
    )
    return BugRecord(bug, contact_email, email)


_VOTED = Query(
    select(literal_column("1")).where(
        Vote.bug_id == bindparam("bug_id"), Vote.user_id == bindparam("user_id")
    )
)


async def has_voted(reader: Reader, *, bug_id: UUID, user_id: UUID) -> bool:
    return await reader.row(_VOTED, {"bug_id": bug_id, "user_id": user_id}) is not None


# --- lists and search -----------------------------------------------------------------------------------------------


def contains(text: str) -> str:
    """A LIKE pattern for "has this somewhere"; `%` and `_` are ordinary characters."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


VISIBLE = and_(Bug.removed_at.is_(None), Bug.merged_into_id.is_(None))


# --- tags -----------------------------------------------------------------------------------------------------------

_moved = (
    select(tag_changes.c.name, func.sum(tag_changes.c.sign).label("by"))
    .group_by(tag_changes.c.name)
    .subquery("moved")
)
_tags = (
    select(
        func.coalesce(tag_counts.c.name, _moved.c.name).label("name"),
        (func.coalesce(tag_counts.c.count, 0) + func.coalesce(_moved.c.by, 0)).label("count"),
    )
    .select_from(tag_counts.join(_moved, _moved.c.name == tag_counts.c.name, full=True))
    .subquery("tags")
)
_USED_TAGS = (
    select(_tags.c.name, _tags.c.count)
    .where(_tags.c.count > 0, _tags.c.name.like(bindparam("prefix", type_=Text)))
    .subquery("used")
)
_TAGS = Query(
    select(_USED_TAGS.c.name, _USED_TAGS.c.count, func.count().over())
    .order_by(_USED_TAGS.c.count.desc(), _USED_TAGS.c.name)
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer))
)
_TAG_TOTAL = Query(select(func.count()).select_from(_USED_TAGS))


async def list_tags(reader: Reader, query: TagQuery) -> tuple[list[TagCount], int]:
    """Tags of visible bugs, most used first."""
    prefix = contains((query.search or "").lower()).removeprefix("%")
    rows = await reader.rows(_TAGS, {"prefix": prefix, "limit": query.limit, "offset": query.offset})
    if rows or query.page == 1:
        return [TagCount(name, count) for name, count, _ in rows], rows[0][2] if rows else 0
    row = await reader.row(_TAG_TOTAL, {"prefix": prefix})
    return [], row[0] if row else 0


# --- comments -------------------------------------------------------------------------------------------------------

_COMMENT_COLUMNS = (
    Comment.id,
    Comment.bug_id,
    Comment.user_id,
    Comment.content,
    Comment.content_html,
    Comment.is_company_response,
    Comment.created_at,
    Comment.updated_at,
    Comment.edited_at,
    User.username,
)
_SHOWN_COMMENTS = (
    select(*_COMMENT_COLUMNS)
    .outerjoin(User, User.id == Comment.user_id)
    .where(Comment.bug_id == bindparam("bug_id"), Comment.removed_at.is_(None))
)
_latest = (
    _SHOWN_COMMENTS.order_by(Comment.created_at.desc(), Comment.id.desc())
    .limit(COMMENTS_IN_DETAIL)
    .subquery("latest")
)
_LATEST_COMMENTS = Query(select(_latest).order_by(_latest.c.created_at, _latest.c.id))
_COMMENT_PAGE = Query(
    _SHOWN_COMMENTS.order_by(Comment.created_at, Comment.id)
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer))
)
_COMMENT_TOTAL = Query(
    select(func.count()).where(Comment.bug_id == bindparam("bug_id"), Comment.removed_at.is_(None))
)
_COMMENT = Query(
    select(*_COMMENT_COLUMNS)
    .outerjoin(User, User.id == Comment.user_id)
    .where(Comment.id == bindparam("comment_id"), Comment.removed_at.is_(None))
)


def _comment_of(row: Sequence[Any]) -> CommentOut:
    (
        comment_id,
        bug_id,
        user_id,
        content,
        content_html,
        is_response,
        created_at,
        updated_at,
        edited_at,
        username,
    ) = row
    return CommentOut(
        id=comment_id,
        bug_id=bug_id,
        user_id=user_id,
        content=content,
        content_html=content_html,
        is_company_response=is_response,
        created_at=created_at,
        updated_at=updated_at,
        edited_at=edited_at,
        user=UserRef(user_id, username) if user_id else None,
    )


async def latest_comments(reader: Reader, bug_id: UUID) -> list[CommentOut]:
    """The latest hundred, oldest first."""
    return [_comment_of(row) for row in await reader.rows(_LATEST_COMMENTS, {"bug_id": bug_id})]


async def list_comments(reader: Reader, bug_id: UUID, query: PageQuery) -> tuple[list[CommentOut], int]:
    """A page of a bug's comments, oldest first, and how many there are."""
    row = await reader.row(_COMMENT_TOTAL, {"bug_id": bug_id})
    rows = await reader.rows(_COMMENT_PAGE, {"bug_id": bug_id, "limit": query.limit, "offset": query.offset})
    return [_comment_of(row) for row in rows], row[0] if row else 0


@dataclass(frozen=True)
class CommentFacts:
    """What the right to change a comment depends on; `company_id` is the company that its author spoke for."""

    bug_id: UUID
    user_id: UUID | None
    company_id: UUID | None
    is_company_response: bool


_COMMENT_FACTS = Query(
    select(Comment.bug_id, Comment.user_id, Comment.company_id, Comment.is_company_response)
    .join(Bug, Bug.id == Comment.bug_id)
    .where(Comment.id == bindparam("comment_id"), Comment.removed_at.is_(None), Bug.removed_at.is_(None))
)


async def comment_facts(reader: Reader, comment_id: UUID) -> CommentFacts | None:
    """None for a comment that is withdrawn or removed, or whose bug is."""
    row = await reader.row(_COMMENT_FACTS, {"comment_id": comment_id})
    return CommentFacts(*row) if row else None


async def find_comment(reader: Reader, comment_id: UUID) -> CommentOut | None:
    row = await reader.row(_COMMENT, {"comment_id": comment_id})
    return _comment_of(row) if row else None


# --- attachments ----------------------------------------------------------------------------------------------------

_ATTACHMENTS = Query(
    select(
        Attachment.id,
        Attachment.bug_id,
        Attachment.filename,
        Attachment.storage_key,
        Attachment.file_size,
        Attachment.mime_type,
        Attachment.uploaded_at,
    )
    .where(Attachment.bug_id == bindparam("bug_id"))
    .order_by(Attachment.uploaded_at, Attachment.id)
)
_FILE = Query(
    select(Attachment.mime_type)
    .join(Bug, Bug.id == Attachment.bug_id)
    .where(Attachment.storage_key == bindparam("storage_key"), VISIBLE)
)
_ATTACHMENT_FACTS = Query(
    select(Attachment.id, Attachment.user_id).where(
        Attachment.id == bindparam("attachment_id"), Attachment.bug_id == bindparam("bug_id")
    )
)


@dataclass(frozen=True)
class AttachmentFacts:
    """What decides who may take a picture away."""

    id: UUID
    uploader_id: UUID | None


def file_url(storage_key: str) -> str:
    return f"/uploads/{storage_key}"


async def list_attachments(reader: Reader, bug_id: UUID) -> list[AttachmentOut]:
    return [
        AttachmentOut(
            id=attachment_id,
            bug_id=of_bug,
            filename=filename,
            file_url=file_url(storage_key),
            file_size=file_size,
            mime_type=mime_type,
            uploaded_at=uploaded_at,
        )
        for attachment_id, of_bug, filename, storage_key, file_size, mime_type, uploaded_at in await reader.rows(
            _ATTACHMENTS, {"bug_id": bug_id}
        )
    ]


async def find_attachment(reader: Reader, bug_id: UUID, attachment_id: UUID) -> AttachmentFacts | None:
    """A picture that is shown with the bug."""
    row = await reader.row(_ATTACHMENT_FACTS, {"bug_id": bug_id, "attachment_id": attachment_id})
    return AttachmentFacts(*row) if row else None


async def type_of_file(reader: Reader, storage_key: str) -> str | None:
    """The MIME type of a stored file, while its bug is visible."""
    row = await reader.row(_FILE, {"storage_key": storage_key})
    return row[0] if row else None


# --- history --------------------------------------------------------------------------------------------------------

_changes = select(
    StatusChange.id,
    StatusChange.at,
    literal("status").label("kind"),
    StatusChange.user_id,
    StatusChange.company_id,
    StatusChange.from_status,
    StatusChange.to_status,
    cast(null(), Text).label("before"),
    cast(null(), Uuid).label("source_bug_id"),
    cast(null(), Uuid).label("target_bug_id"),
).where(StatusChange.bug_id == bindparam("bug_id"))
_edits = select(
    BugEdit.id,
    BugEdit.at,
    literal("edit"),
    BugEdit.user_id,
    cast(null(), Uuid),
    cast(null(), Text),
    cast(null(), Text),
    BugEdit.before,
    cast(null(), Uuid),
    cast(null(), Uuid),
).where(BugEdit.bug_id == bindparam("bug_id"))
_merges = select(
    BugMerge.id,
    BugMerge.at,
    BugMerge.kind,
    BugMerge.user_id,
    cast(null(), Uuid),
    cast(null(), Text),
    cast(null(), Text),
    cast(null(), Text),
    BugMerge.source_bug_id,
    BugMerge.target_bug_id,
).where(or_(BugMerge.source_bug_id == bindparam("bug_id"), BugMerge.target_bug_id == bindparam("bug_id")))
_history = union_all(_changes, _edits, _merges).subquery("history")
_HISTORY = Query(
    select(
        _history.c.id,
        _history.c.at,
        _history.c.kind,
        _history.c.user_id,
        User.username,
        _history.c.company_id,
        Company.name,
        _history.c.from_status,
        _history.c.to_status,
        _history.c.before,
        _history.c.source_bug_id,
        _history.c.target_bug_id,
    )
    .outerjoin(User, User.id == _history.c.user_id)
    .outerjoin(Company, Company.id == _history.c.company_id)
    .order_by(_history.c.at, _history.c.id)
    .limit(bindparam("limit", type_=Integer))
    .offset(bindparam("offset", type_=Integer))
)
_HISTORY_TOTAL = Query(select(func.count()).select_from(_history))


def _entry_of(row: Sequence[Any]) -> HistoryEntry:
    (
        entry_id,
        at,
        kind,
        user_id,
        username,
        company_id,
        company,
        from_status,
        to_status,
        before,
        source,
        target,
    ) = row
    entry = HistoryEntry(
        id=entry_id,
        kind=kind,
        at=at,
        user=UserRef(user_id, username) if user_id else None,
        company=HistoryCompany(company_id, company) if company_id else None,
    )
    if kind == "status":
        entry.from_status, entry.to_status = from_status, to_status
    if kind in ("merge", "unmerge"):
        entry.source_bug_id, entry.target_bug_id = source, target
    if kind == "edit":
        entry.before = msgspec.json.decode(before)
    return entry


async def list_history(reader: Reader, bug_id: UUID, query: PageQuery) -> tuple[list[HistoryEntry], int]:
    """A page of what was changed, oldest first."""
    row = await reader.row(_HISTORY_TOTAL, {"bug_id": bug_id})
    rows = await reader.rows(_HISTORY, {"bug_id": bug_id, "limit": query.limit, "offset": query.offset})
    return [_entry_of(row) for row in rows], row[0] if row else 0
