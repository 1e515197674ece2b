"""Whom and what an act of moderation may touch."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from bugrelay.domain.moderation.errors import InvalidMerge, SourceBugNotFound, TargetBugNotFound
from bugrelay.domain.moderation.policies import ensure_mergeable, may_be_banned
from bugrelay.domain.moderation.schemas import BanState, ModeratedState
from bugrelay.domain.moderation.service.merge_chain import displayed_on

ONE, OTHER, THIRD = (UUID(int=number) for number in (1, 2, 3))
NOW = datetime(2026, 1, 31, tzinfo=UTC)


def a_bug(bug_id: UUID, *, removed: bool = False, into: UUID | None = None) -> ModeratedState:
    return ModeratedState(
        bug_id, "A title", NOW if removed else None, None, into, NOW if into else None, None
    )


@pytest.mark.parametrize(
    ("is_admin", "banned", "expected"), [(False, False, True), (False, True, True), (True, False, False)]
)
def test_anybody_but_an_admin_may_be_banned(is_admin: bool, banned: bool, expected: bool) -> None:
    assert may_be_banned(BanState(is_admin, NOW if banned else None, None)) is expected


def test_two_listed_bugs_may_be_merged() -> None:
    source, target = a_bug(ONE), a_bug(OTHER)
    assert ensure_mergeable(source, target) == (source, target)


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [
        (None, a_bug(OTHER), SourceBugNotFound),
        (a_bug(ONE, removed=True), a_bug(OTHER), SourceBugNotFound),
        (a_bug(ONE), None, TargetBugNotFound),
        (a_bug(ONE), a_bug(OTHER, removed=True), TargetBugNotFound),
        (None, None, SourceBugNotFound),
        (a_bug(ONE), a_bug(ONE), InvalidMerge),
        (a_bug(ONE, into=THIRD), a_bug(OTHER), InvalidMerge),
        (a_bug(ONE), a_bug(OTHER, into=THIRD), InvalidMerge),
        (a_bug(ONE), a_bug(OTHER, into=ONE), InvalidMerge),
    ],
)
def test_what_is_not_there_or_merged_away_is_not_merged(
    source: ModeratedState | None, target: ModeratedState | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        ensure_mergeable(source, target)


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ([a_bug(ONE)], ONE),
        ([a_bug(ONE, into=OTHER), a_bug(OTHER)], OTHER),
        ([a_bug(ONE, into=OTHER), a_bug(OTHER, into=THIRD), a_bug(THIRD)], THIRD),
        ([a_bug(ONE, into=OTHER), a_bug(OTHER, into=THIRD, removed=True), a_bug(THIRD)], OTHER),
        ([a_bug(ONE, into=OTHER, removed=True), a_bug(OTHER)], ONE),
    ],
    ids=["alone", "merged", "by way of another", "by way of a removed one", "itself removed"],
)
def test_content_climbs_until_a_bug_that_is_not_merged_or_one_that_was_removed(
    chain: list[ModeratedState], expected: UUID
) -> None:
    assert displayed_on(chain) == expected
