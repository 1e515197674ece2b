"""Which versions of PostgreSQL pass, at the boundary; the rest is tried on real databases by the commands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bugrelay.infra.db.preflight import DatabaseFacts, require_database, unfit
from bugrelay.settings import load_settings
from tests.conftest import Servers

FITTING = DatabaseFacts(
    version_number=150000,
    version="15.0",
    encoding="UTF8",
    ctype="C.UTF-8",
    max_connections=97,
    folds_case=True,
)


@pytest.mark.parametrize("number", [150000, 150001, 160010, 180006, 1000000])
def test_postgresql_15_and_newer_pass(number: int) -> None:
    assert unfit(replace(FITTING, version_number=number)) is None


@pytest.mark.parametrize(("number", "version"), [(149999, "14.99"), (140011, "14.11"), (90624, "9.6.24")])
def test_older_ones_do_not(number: int, version: str) -> None:
    old = replace(FITTING, version_number=number, version=version)
    assert unfit(old) == f"PostgreSQL 15 or newer is needed, this is {version}"


def test_the_facts_are_those_of_the_server(servers: Servers) -> None:
    facts = require_database(load_settings({"DATABASE_URL": servers.database_url}))
    assert facts.version.startswith(str(facts.version_number // 10_000))
    assert facts.encoding == "UTF8"
    assert facts.folds_case
    assert facts.max_connections > 0
