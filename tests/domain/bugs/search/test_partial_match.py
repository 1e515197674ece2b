"""By which words candidates are found when no bug has all of them."""

from __future__ import annotations

import pytest

from bugrelay.domain.bugs.search.partial_match import MAX_CANDIDATES, rarest

ALL = MAX_CANDIDATES


@pytest.mark.parametrize(
    ("hits", "chosen"),
    [
        ({}, ("a", "b", "c")),
        ({"a": ALL, "b": 1}, ("c", "b")),
        ({"a": ALL, "b": 1, "c": 2}, ("b", "c")),
        ({"a": ALL - 3, "b": 1, "c": 2}, ("b", "c", "a")),
        ({"a": 3 * ALL, "b": 2 * ALL, "c": 4 * ALL}, ("b",)),
    ],
)
def test_the_rarest_words_are_chosen_while_they_are_few(
    hits: dict[str, float], chosen: tuple[str, ...]
) -> None:
    assert rarest(("a", "b", "c"), hits) == chosen
