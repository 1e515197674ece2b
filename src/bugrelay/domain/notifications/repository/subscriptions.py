"""Subscriptions, and settings of notifications."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, select, text

from bugrelay.domain.bugs.models import Bug
from bugrelay.domain.bugs.schemas import Level, Reason, Status, SubscriptionOut
from bugrelay.domain.notifications.models import NoticeSettings
from bugrelay.domain.notifications.schemas import MySubscription, NoticeSettingsOut, SubscribedBug
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery

_found = func.bug_subscription(
    bindparam("bug_id", type_=Uuid), bindparam("user_id", type_=Uuid)
).table_valued("level", "reason")


class _SubscriptionRow(Row):
    level: Level
    reason: Reason


_SUBSCRIPTION = Query(select(_found.c.level, _found.c.reason), _SubscriptionRow)


async def subscription_of(reader: Reader, *, bug_id: UUID, user_id: UUID) -> SubscriptionOut | None:
    """A user's subscription to a bug, by choice or derived; None for a user who does not follow it."""
    row = await reader.row(_SUBSCRIPTION, {"bug_id": bug_id, "user_id": user_id})
    return SubscriptionOut(row.level, row.reason) if row else None


class _ListedRow(Row):
    bug_id: UUID
    title: str
    status: Status
    level: Level
    reason: Reason


# The bugs that the user chose, reported, voted for or commented on, each replaced by its survivor. The choice for a
# survivor is that of bug_subscription(): its own, else the latest for a bug that was merged into it.
_MINE = """
    WITH RECURSIVE touched (bug_id) AS (
        SELECT bug_id FROM bug_subscriptions WHERE user_id = :user_id
        UNION SELECT id FROM bugs WHERE reporter_id = :user_id
        UNION SELECT bug_id FROM bug_votes WHERE user_id = :user_id
        UNION SELECT bug_id FROM comments WHERE user_id = :user_id AND removed_at IS NULL
    ),
    led (bug_id, id, merged_into_id) AS (
        SELECT t.bug_id, b.id, b.merged_into_id FROM touched t JOIN bugs b ON b.id = t.bug_id
        WHERE b.removed_at IS NULL
        UNION
        SELECT l.bug_id, b.id, b.merged_into_id FROM led l JOIN bugs b ON b.id = l.merged_into_id
        WHERE b.removed_at IS NULL
    ),
    survivors AS (SELECT bug_id, id FROM led WHERE merged_into_id IS NULL),
    chosen AS (
        SELECT DISTINCT ON (v.id) v.id, s.level
        FROM bug_subscriptions s JOIN survivors v ON v.bug_id = s.bug_id
        WHERE s.user_id = :user_id
        ORDER BY v.id, s.bug_id <> v.id, s.chosen_at DESC
    ),
    mine AS (
        SELECT DISTINCT v.id FROM survivors v
        WHERE NOT EXISTS (SELECT FROM chosen c WHERE c.id = v.id AND c.level = 'none')
    )
"""
_TOTAL = Query(text(f"{_MINE} SELECT count(*) FROM mine"), int)  # noqa: S608 - composed of constants
_PAGE = Query(
    text(
        f"{_MINE}, page AS (SELECT id FROM mine ORDER BY id DESC LIMIT :limit OFFSET :offset)"  # noqa: S608
        " SELECT b.id AS bug_id, b.title, b.status, s.level, s.reason"
        " FROM page p JOIN bugs b ON b.id = p.id CROSS JOIN LATERAL bug_subscription(b.id, :user_id) s"
        " ORDER BY b.id DESC"
    ),
    _ListedRow,
)


async def list_subscriptions(
    reader: Reader, user_id: UUID, query: PageQuery
) -> tuple[list[MySubscription], int]:
    """A page of the bugs that a user follows, newest bug first, and their total number."""
    total = await reader.row(_TOTAL, {"user_id": user_id}) or 0
    rows = await reader.rows(_PAGE, {"user_id": user_id, "limit": query.limit, "offset": query.offset})
    return [
        MySubscription(row.level, row.reason, SubscribedBug(row.bug_id, row.title, row.status))
        for row in rows
    ], total


_SETTINGS = Query(
    select(NoticeSettings.mail, NoticeSettings.default_level).where(
        NoticeSettings.user_id == bindparam("user_id")
    ),
    NoticeSettingsOut,
)


async def settings_of(reader: Reader, user_id: UUID) -> NoticeSettingsOut:
    """The settings of a user, or the defaults."""
    return await reader.row(_SETTINGS, {"user_id": user_id}) or NoticeSettingsOut("each", "all")


_survivor = func.bug_survivor(bindparam("bug_id", type_=Uuid))
_SURVIVOR = Query(select(_survivor.label("id")), UUID)
_TITLE = Query(select(Bug.title).where(Bug.id == _survivor), str)


async def survivor_of(reader: Reader, bug_id: UUID) -> UUID | None:
    """The survivor of a bug, which is itself unless it was merged; None if it is not public."""
    return await reader.row(_SURVIVOR, {"bug_id": bug_id})


async def title_of(reader: Reader, bug_id: UUID) -> str | None:
    """The title of the survivor of a bug; None if it is not public."""
    return await reader.row(_TITLE, {"bug_id": bug_id})
