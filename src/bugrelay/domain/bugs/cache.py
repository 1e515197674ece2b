"""Cache keys and groups of the board, and which fact invalidates which group.

Only public content is cached: pages of lists, and details as anonymous readers see them. Signed-in readers always read
the database, so they see their own writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from bugrelay.domain.accounts.events import AccountErased, ProfileChanged
from bugrelay.domain.bugs import events
from bugrelay.domain.bugs.schemas import BugQuery
from bugrelay.domain.companies.events import (
    ApplicationAssigned,
    CompanyEdited,
    CompanyUnverified,
    CompanyVerified,
)
from bugrelay.infra.redis.invalidation import Invalidations

LISTS = "bugs"
MAX_INVALIDATED = 1000  # details for one fact; the others expire within a second

_canonical = msgspec.json.Encoder().encode


def detail_group(bug_id: UUID) -> str:
    return f"bug:{bug_id}"


def list_key(query: BugQuery) -> str:
    """The canonical key of a query: the same for any order of parameters, and with or without defaults."""
    return _canonical(msgspec.structs.replace(query, sort=query.order)).decode()


def _lists(_fact: Any) -> Iterable[str]:
    return (LISTS,)


def _detail(fact: Any) -> Iterable[str]:
    return (detail_group(fact.bug_id),)


def _lists_and_detail(fact: Any) -> Iterable[str]:
    return LISTS, detail_group(fact.bug_id)


def _lists_and_chain(fact: events.BugRemoved | events.BugRestored | events.BugUnmerged) -> Iterable[str]:
    return LISTS, *map(detail_group, fact.chain)


def _lists_and_both(fact: events.BugMerged) -> Iterable[str]:
    return LISTS, detail_group(fact.bug_id), detail_group(fact.target_id)


def _lists_and_details(fact: events.VotesSuspended | events.VotesReinstated) -> Iterable[str]:
    return LISTS, *map(detail_group, fact.bug_ids[:MAX_INVALIDATED])


INVALIDATIONS: Invalidations = {
    events.BugReported: _lists,
    events.BugImported: _lists,
    events.BugEdited: _lists_and_detail,
    events.BugReassigned: _detail,
    events.StatusChanged: _lists_and_detail,
    events.BugRemoved: _lists_and_chain,
    events.BugRestored: _lists_and_chain,
    events.BugMerged: _lists_and_both,
    events.BugUnmerged: _lists_and_chain,
    events.VoteCast: _lists_and_detail,
    events.VoteWithdrawn: _lists_and_detail,
    events.VotesSuspended: _lists_and_details,
    events.VotesReinstated: _lists_and_details,
    events.CommentAdded: _lists_and_detail,
    events.ResponseAdded: _lists_and_detail,
    events.CommentEdited: _detail,
    events.CommentWithdrawn: _lists_and_detail,
    events.CommentRemoved: _lists_and_detail,
    events.CommentRestored: _lists_and_detail,
    events.AttachmentAdded: _detail,
    events.AttachmentRemoved: _detail,
    # Any number of details show these names; they are left to expire within a second.
    ProfileChanged: _lists,
    AccountErased: _lists,
    CompanyEdited: _lists,
    CompanyVerified: _lists,
    CompanyUnverified: _lists,
    ApplicationAssigned: _lists,
}
