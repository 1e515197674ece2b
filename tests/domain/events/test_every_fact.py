"""For each type of fact somebody has decided which events it writes, or that it writes none."""

from __future__ import annotations

from importlib import import_module

import pytest

from bugrelay.bootstrap import DOMAINS as PLUGINS
from tests.domain.conftest import DOMAINS, events_of

LOGGED = {fact for plugin in PLUGINS for fact in plugin.log}


@pytest.mark.parametrize("domain", DOMAINS)
def test_each_fact_writes_an_event_or_is_listed_as_writing_none(domain: str) -> None:
    facts = set(events_of(domain))
    silent = set(import_module(f"bugrelay.domain.{domain}.events").WRITES_NO_EVENT)
    assert facts - LOGGED - silent == set(), "neither in event_log.py nor in WRITES_NO_EVENT"
    assert LOGGED & silent == set()
    assert silent <= facts


def test_tables_name_nothing_but_facts() -> None:
    assert {fact for domain in DOMAINS for fact in events_of(domain)} >= LOGGED
