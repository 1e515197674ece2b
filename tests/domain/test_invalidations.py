"""For each type of fact somebody has decided what of the cache it drops."""

from __future__ import annotations

from importlib import import_module

import pytest

from bugrelay.domain.bugs import cache as board
from bugrelay.domain.dashboards import cache as companies
from tests.domain.conftest import DOMAINS, events_of

TABLES = (board.INVALIDATIONS, companies.INVALIDATIONS)


@pytest.mark.parametrize("domain", DOMAINS)
def test_each_fact_invalidates_something_or_is_listed_as_changing_nothing_public(domain: str) -> None:
    facts = set(events_of(domain))
    private = set(import_module(f"bugrelay.domain.{domain}.events").CHANGES_NOTHING_PUBLIC)
    dropping = {fact for table in TABLES for fact in table}
    assert facts, domain
    assert private <= facts
    assert facts - dropping - private == set(), "neither in a table nor in CHANGES_NOTHING_PUBLIC"
    assert private & dropping == set()


def test_tables_name_nothing_but_facts() -> None:
    known = {fact for domain in DOMAINS for fact in events_of(domain)}
    assert {fact for table in TABLES for fact in table} <= known
