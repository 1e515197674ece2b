"""Weights and tiers are the same in Python and in the database."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import psycopg
import pytest

from bugrelay.infra.search.ranking import TIERS, WEIGHTS

FIELDS = [found for n in range(1, 4) for found in combinations(WEIGHTS, n)]
DOCUMENT = "SELECT tsvector_to_array(search_layers(%s::tsvector))"


@pytest.mark.parametrize("fields", FIELDS, ids="".join)
def test_a_document_marks_the_tiers_of_each_word(
    sql: psycopg.Connection[Any], fields: tuple[str, ...]
) -> None:
    document = "'word':" + ",".join(f"{position}{label}" for position, label in enumerate(fields, 1))
    row = sql.execute(DOCUMENT, (document,)).fetchone()
    score = sum(WEIGHTS[label] for label in fields)
    assert row is not None
    assert set(row[0]) == {f"^{tier}word" for tier, least in TIERS.items() if score >= least}


def test_title_application_and_description_have_the_labels_that_are_weighed(
    sql: psycopg.Connection[Any],
) -> None:
    row = sql.execute(
        "SELECT array_agg(lexeme || weights[1] ORDER BY lexeme) FROM unnest(search_document('zebra', 'yak', 'newt'))"
        " WHERE weights IS NOT NULL"
    ).fetchone()
    assert row == (["newtD", "yakB", "zebraA"],)
