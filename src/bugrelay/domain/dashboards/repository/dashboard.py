"""SELECTs of a company's dashboard: newest bugs, oldest unanswered bugs, response times, votes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Float, bindparam, cast, exists, func, select

from bugrelay.domain.bugs.models import Bug, Comment, Vote
from bugrelay.domain.bugs.repository import ITEM_COLUMNS, ItemRow, item_of, joined
from bugrelay.domain.bugs.schemas import BugItem
from bugrelay.domain.bugs.visibility import COMMENT_SHOWN, LISTED
from bugrelay.domain.dashboards.schemas import ResponseStats
from bugrelay.infra.db.query import Query, Reader, Row

RECENT = 10
UNANSWERED = 5
RECENT_DAYS = 30
SECONDS_AN_HOUR = 3600

_ITS_BUGS = (Bug.assigned_company_id == bindparam("company_id"), LISTED)
_ITS_RESPONSE = (
    Comment.bug_id == Bug.id,
    Comment.is_company_response,
    COMMENT_SHOWN,
)
_ITEMS = select(*ITEM_COLUMNS).select_from(joined(Bug.__table__)).where(*_ITS_BUGS)

_RECENT = Query(_ITEMS.order_by(Bug.created_at.desc(), Bug.id.desc()).limit(RECENT), ItemRow)
_UNANSWERED = Query(
    _ITEMS.where(
        Bug.resolved_at.is_(None),
        ~exists().where(*_ITS_RESPONSE).correlate(Bug),
    )
    .order_by(Bug.created_at, Bug.id)
    .limit(UNANSWERED),
    ItemRow,
)


async def newest_bugs(reader: Reader, company_id: UUID) -> list[BugItem]:
    return [item_of(row) for row in await reader.rows(_RECENT, {"company_id": company_id})]


async def oldest_unanswered(reader: Reader, company_id: UUID) -> list[BugItem]:
    """The oldest bugs that are not resolved and have no official response."""
    return [item_of(row) for row in await reader.rows(_UNANSWERED, {"company_id": company_id})]


def _median_hours(interval: Any) -> Any:
    hours = func.extract("epoch", interval) / SECONDS_AN_HOUR
    return func.percentile_cont(0.5).within_group(cast(func.greatest(hours, 0), Float))


_first_responses = (
    select(Bug.created_at.label("reported_at"), func.min(Comment.created_at).label("answered_at"))
    .join(Comment, Comment.bug_id == Bug.id)
    .where(*_ITS_BUGS, *_ITS_RESPONSE)
    .group_by(Bug.id)
    .subquery("first_responses")
)


class _Responses(Row):
    answered_count: int
    median_hours: float | None


_NO_RESPONSES = _Responses(0, None)
_RESPONSES = Query(
    select(
        func.count().label("answered_count"),
        _median_hours(_first_responses.c.answered_at - _first_responses.c.reported_at).label("median_hours"),
    ).select_from(_first_responses),
    _Responses,
)
_RESOLUTIONS = Query(
    select(_median_hours(Bug.resolved_at - Bug.created_at)).where(*_ITS_BUGS, Bug.resolved_at.is_not(None)),
    float,
)


async def response_stats(reader: Reader, company_id: UUID, *, total: int) -> ResponseStats:
    """Median times in hours, and the share of the company's `total` bugs with an official response, from 0 to 1."""
    responses = await reader.row(_RESPONSES, {"company_id": company_id}) or _NO_RESPONSES
    hours_to_resolution = await reader.row(_RESOLUTIONS, {"company_id": company_id})
    return ResponseStats(
        median_hours_to_first_response=_rounded(responses.median_hours),
        median_hours_to_resolution=_rounded(hours_to_resolution),
        answered_share=responses.answered_count / total if total else None,
    )


def _rounded(hours: float | None) -> float | None:
    return None if hours is None else round(hours, 2)


_RECENT_VOTES = Query(
    select(func.count())
    .select_from(Vote)
    .join(Bug, Bug.id == Vote.bug_id)
    .where(
        *_ITS_BUGS,
        Vote.counted,
        Vote.created_at > func.now() - func.make_interval(0, 0, 0, RECENT_DAYS),
    ),
    int,
)


async def recent_votes(reader: Reader, company_id: UUID) -> int:
    """Counted votes on the company's bugs in the last 30 days."""
    return await reader.row(_RECENT_VOTES, {"company_id": company_id}) or 0
