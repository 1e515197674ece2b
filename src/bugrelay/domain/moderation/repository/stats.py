"""The SELECT of the moderators' dashboard."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    func,
    literal_column,
    or_,
    select,
)

from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.visibility import EXISTING
from bugrelay.domain.bugs.models import Bug, Comment, Vote
from bugrelay.domain.bugs.visibility import COMMENT_SHOWN, LISTED
from bugrelay.domain.companies.models import Company
from bugrelay.domain.moderation.repository.queue import flag_counts
from bugrelay.domain.moderation.schemas import (
    Stats,
)
from bugrelay.infra.db.query import Query, Reader


def _count(model: Any, *conditions: ColumnElement[bool]) -> Any:
    return select(func.count()).select_from(model).where(*conditions).scalar_subquery()


_DAY_AGO = literal_column("now() - interval '24 hours'", type_=DateTime(timezone=True))
_STATS = Query(
    select(
        _count(Bug, LISTED).label("total_bugs"),
        _count(Bug, LISTED, Bug.status == "open").label("open_bugs"),
        _count(Bug.__table__.join(flag_counts, flag_counts.c.shown_with == Bug.id), LISTED).label(
            "flagged_bugs"
        ),
        _count(Bug, Bug.removed_at.is_not(None)).label("removed_bugs"),
        _count(User, EXISTING).label("total_users"),
        _count(
            User,
            User.banned_at.is_not(None),
            or_(User.banned_until.is_(None), User.banned_until > func.now()),
        ).label("banned_users"),
        _count(Company).label("total_companies"),
        _count(Company, Company.verified.is_(True)).label("verified_companies"),
        _count(Bug, LISTED, Bug.created_at > _DAY_AGO).label("bugs_24h"),
        # A vote that a merge has copied is counted with its source.
        _count(Vote, Vote.counted.is_(True), Vote.merged_from_id.is_(None), Vote.created_at > _DAY_AGO).label(
            "votes_24h"
        ),
        _count(Comment, COMMENT_SHOWN, Comment.created_at > _DAY_AGO).label("comments_24h"),
    ),
    Stats,
)


async def dashboard_stats(reader: Reader) -> Stats:
    stats = await reader.row(_STATS)
    assert stats is not None  # noqa: S101 - a SELECT of counts has one row
    return stats
