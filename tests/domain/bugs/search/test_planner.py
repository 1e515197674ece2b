"""Which plans are tried for a list, in which order, and when a page is settled."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bugrelay.domain.bugs.search.planner import (
    DEEP_OFFSET,
    KEY_TYPES,
    MAX_SORTED,
    MAX_WHOLE_TIER,
    NEAR_ROWS,
    TITLED,
    BoundQuery,
    Plan,
    QuerySpec,
    deep_boundary,
    is_deep,
    plans,
)
from bugrelay.infra.search.ranking import BEST_OUTSIDE, SCORES, TIERS

FEW, MANY, VERY_MANY = MAX_SORTED, MAX_SORTED + 1, MAX_WHOLE_TIER + 1
LIST = QuerySpec(("status",), "popular")
ONE_WORD = QuerySpec(order="relevance", searching=True, words=1)
TWO_WORDS = QuerySpec(order="relevance", searching=True, words=2)
ONLY_EXCLUDES = QuerySpec(order="relevance", searching=True)
BY_DATE = QuerySpec(order="oldest", searching=True, words=2)
BY_VOTES = QuerySpec(order="popular", searching=True, words=3)

WHOLE = [Plan()]
INDEX_SCAN = [Plan(index_scan=True)]
TIER_BY_TIER = [Plan(tier=3), Plan(tier=2), Plan(tier=1), Plan()]
NEWEST_FIRST = [
    Plan(tier=3),
    Plan(tier=2, newest=True),
    Plan(tier=2),
    Plan(tier=1, newest=True),
    Plan(tier=1),
    Plan(),
]


@pytest.mark.parametrize(
    ("spec", "total", "wanted"),
    [
        (LIST, 0, WHOLE),
        (LIST, VERY_MANY, WHOLE),
        *((spec, FEW, WHOLE) for spec in (TWO_WORDS, ONLY_EXCLUDES, BY_DATE)),
        (ONE_WORD, TITLED * 21 - 1, WHOLE),
        (ONE_WORD, TITLED * 21, [Plan(tier=1), *WHOLE]),
        (ONE_WORD, FEW, [Plan(tier=1), *WHOLE]),
        *((spec, MANY, INDEX_SCAN) for spec in (ONLY_EXCLUDES, BY_DATE, BY_VOTES)),
        (ONE_WORD, MANY, TIER_BY_TIER),
        (ONE_WORD, MAX_WHOLE_TIER, TIER_BY_TIER),
        (ONE_WORD, VERY_MANY, NEWEST_FIRST),
        (TWO_WORDS, VERY_MANY, TIER_BY_TIER),
    ],
)
def test_the_total_decides_what_is_tried(spec: QuerySpec, total: int, wanted: list[Plan]) -> None:
    assert plans(spec, total=total, page_end=21) == wanted


@pytest.mark.parametrize("keyset", [False, True])
@pytest.mark.parametrize(
    ("spec", "page_end", "near"),
    [
        (QuerySpec(), NEAR_ROWS, True),
        (QuerySpec(order="popular"), 21, True),
        (QuerySpec(), NEAR_ROWS + 1, False),
        (LIST, 21, False),
        (TWO_WORDS, 21, False),
    ],
)
def test_pages_near_the_beginning_of_a_list_without_conditions_share_a_plan(
    spec: QuerySpec, page_end: int, near: bool, keyset: bool
) -> None:
    assert plans(spec, total=FEW, keyset=keyset, page_end=page_end) == [Plan(keyset=keyset, near=near)]


@pytest.mark.parametrize(
    ("order", "total", "all_first"),
    [
        ("popular", 1000, True),
        ("trending", 1000, True),
        ("popular", 1001, False),  # a scan checks fewer bugs than there are matches
        ("recent", 1000, False),  # bugs of one time are in the same blocks
    ],
)
def test_few_bugs_in_the_order_of_votes_are_found_first(order: str, total: int, all_first: bool) -> None:
    tried = plans(QuerySpec(("tags",), order), total=total, page_end=10, board=100_000)
    assert tried == [Plan(all_first=all_first)]


SPECS = st.builds(
    QuerySpec,
    order=st.sampled_from(["relevance", "recent", "oldest", "popular", "trending"]),
    searching=st.just(value=True),
    words=st.integers(0, 32),
)
TOTALS = st.sampled_from([0, FEW, MANY, VERY_MANY, 10**7])


@given(SPECS, TOTALS, st.booleans())
def test_the_last_plan_finds_every_page_and_each_begins_after_the_same_row(
    spec: QuerySpec, total: int, keyset: bool
) -> None:
    tried = plans(spec, total=total, keyset=keyset)
    assert tried[-1].is_settled(spec, next_score=None)
    assert all(plan.keyset is keyset for plan in tried)
    assert len(set(tried)) == len(tried)


@given(SPECS, TOTALS)
def test_no_plan_reads_less_than_the_one_before(spec: QuerySpec, total: int) -> None:
    for before, after in itertools.pairwise(plans(spec, total=total)):
        assert after.tier < before.tier or (after.tier == before.tier and before.newest and not after.newest)


@pytest.mark.parametrize(
    ("tier", "words", "next_score", "settled"),
    [
        (0, 2, None, True),
        (3, 1, None, False),
        (3, 1, 11, False),
        (3, 1, 14, True),
        (2, 1, 10, False),
        (2, 1, 11, True),
        (1, 1, 5, False),
        (1, 1, 10, True),
        (3, 2, 22, False),
        (3, 2, 24, True),
        (1, 3, 15, False),
        (1, 3, 16, True),
    ],
)
def test_a_page_is_settled_when_no_bug_outside_of_the_tier_can_stand_on_it(
    tier: int, words: int, next_score: int | None, settled: bool
) -> None:
    spec = QuerySpec(order="relevance", searching=True, words=words)
    assert Plan(tier=tier).is_settled(spec, next_score=next_score) is settled


@given(
    tier=st.sampled_from(list(TIERS)),
    documents=st.lists(st.lists(st.sampled_from(SCORES), min_size=2, max_size=2), max_size=40),
    limit=st.integers(1, 5),
)
def test_a_settled_page_is_that_of_the_full_ranking(
    tier: int, documents: list[list[int]], limit: int
) -> None:
    """Documents by the scores of two words; the plan sees those with a word in the tier."""
    ranked = sorted((sum(scores) for scores in documents), reverse=True)
    seen = sorted((sum(s) for s in documents if max(s) >= TIERS[tier]), reverse=True)
    next_score = seen[limit] if len(seen) > limit else None
    if Plan(tier=tier).is_settled(TWO_WORDS, next_score=next_score):
        assert seen[: limit + 1] == ranked[: limit + 1]


def test_a_tier_without_the_one_above_has_one_score() -> None:
    for above, tier in itertools.pairwise(TIERS):
        assert [score for score in SCORES if TIERS[tier] <= score < TIERS[above]] == [BEST_OUTSIDE[above]]


# --- deep offsets ---------------------------------------------------------------------------------------------------

START = datetime(2026, 1, 1, tzinfo=UTC)
BOUNDS = [START + timedelta(days=day) for day in range(101)]


@pytest.mark.parametrize(
    ("spec", "offset", "total", "deep"),
    [
        (QuerySpec(), DEEP_OFFSET, 10**6, True),
        (QuerySpec(), DEEP_OFFSET - 1, 10**6, False),
        (QuerySpec(), DEEP_OFFSET, 0, False),
        (QuerySpec(("status",)), DEEP_OFFSET, 10**6, False),
        (QuerySpec(order="oldest"), DEEP_OFFSET, 10**6, False),
        (ONE_WORD, DEEP_OFFSET, 10**6, False),
    ],
)
def test_only_the_list_of_all_bugs_has_deep_offsets(
    spec: QuerySpec, offset: int, total: int, deep: bool
) -> None:
    assert is_deep(spec, offset=offset, total=total) is deep


@given(st.integers(1, 10**6), st.integers(0, 2 * 10**6))
def test_a_boundary_is_newer_than_the_page_if_bugs_came_evenly(total: int, offset: int) -> None:
    boundary = deep_boundary(BOUNDS, offset=offset, total=total)
    if boundary is not None and offset <= total:
        newer = (BOUNDS[-1] - boundary) / (BOUNDS[-1] - BOUNDS[0]) * total
        assert newer <= offset


@pytest.mark.parametrize(("offset", "total"), [(0, 100), (1, 100), (10**9, 100)])
def test_the_ends_of_the_list_have_no_boundary(offset: int, total: int) -> None:
    assert deep_boundary(BOUNDS, offset=offset, total=total) is None
    assert deep_boundary([], offset=offset, total=total) is None


# --- what a total and a cursor belong to ----------------------------------------------------------------------------


def test_the_total_is_the_same_in_every_order() -> None:
    keys = {
        BoundQuery(QuerySpec(("status",), order, searching=True, words=words), {"status": "open", "search": "'a'"}).total_key
        for order in ("relevance", "popular", "recent")
        for words in (1, 2)
    }  # fmt: skip
    assert keys == {'[["status"],false,{"search":"\'a\'","status":"open"}]'}


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        (QuerySpec(order=""), {}),
        (QuerySpec(("status",), ""), {"status": "open"}),
        (QuerySpec(("tags", "application_ids"), ""), {"tags": ["ui"], "application_ids": "{}"}),
        (QuerySpec(("priority",), "", searching=True), {"priority": "low", "search": "'a' & 'b'"}),
    ],
)
def test_a_list_is_read_back_from_the_key_of_its_total(spec: QuerySpec, values: dict[str, Any]) -> None:
    wanted = BoundQuery(spec, values)
    assert BoundQuery.of_total_key(wanted.total_key) == wanted


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        (QuerySpec(), ("created_at", "id")),
        (LIST, ("vote_count", "created_at", "id")),
        (QuerySpec(order="trending"), ("recent_vote_count", "vote_count", "created_at", "id")),
        (ONE_WORD, ("score", "created_at", "id")),
        (ONLY_EXCLUDES, ("created_at", "id")),
        (BY_VOTES, ("vote_count", "created_at", "id")),
    ],
)
def test_each_order_has_its_keys(spec: QuerySpec, keys: tuple[str, ...]) -> None:
    assert spec.keys == keys
    assert all(name in KEY_TYPES for name in keys)
