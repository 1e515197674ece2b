"""Every way to the newest schema leads to the same one, and the models are that schema."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import psycopg
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import bugrelay.bootstrap  # noqa: F401 - imports every domain, and so every table
from bugrelay.infra.db.database import sqlalchemy_url
from bugrelay.infra.db.models import Base
from bugrelay.infra.db.revisions import outdated_revisions, scripts_folder
from bugrelay.migrate import migrate
from bugrelay.settings import load_settings
from tests.migrations import catalog
from tests.migrations.conftest import NewDatabase

RELEASED = (Path(__file__).parent / "released.sql").read_text()

# Tables without a model, and why.
NOT_OURS = {
    "alembic_version": "Alembic's",
    "procrastinate_events": "the job library's",
    "procrastinate_jobs": "the job library's",
    "procrastinate_periodic_defers": "the job library's",
    "procrastinate_workers": "the job library's",
}
OF_A_TABLE = re.compile(r"(?:table|column|constraint|index .* ON public\.) ?(\w+)")


def test_a_released_database_becomes_what_a_new_one_is(database_url: str, new_database: NewDatabase) -> None:
    released = new_database()
    with psycopg.connect(released, autocommit=True) as connection:
        connection.execute(RELEASED)
    migrate(load_settings({"DATABASE_URL": released}))
    with psycopg.connect(released) as upgraded, psycopg.connect(database_url) as fresh:
        assert catalog.of_everything(upgraded) == catalog.of_everything(fresh)


def test_the_models_are_the_schema(database_url: str, new_database: NewDatabase) -> None:
    modelled = new_database()
    with psycopg.connect(modelled, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gin")
        engine = create_engine(sqlalchemy_url(modelled))
        Base.metadata.create_all(engine)
        engine.dispose()
        from_models = catalog.of_tables(connection)
    with psycopg.connect(database_url) as connection:
        migrated = {line for line in catalog.of_tables(connection) if _table(line) not in NOT_OURS}
    assert migrated == from_models


def _table(line: str) -> str:
    """The table of a line; a sequence belongs to the table whose name it begins with."""
    found = OF_A_TABLE.match(line)
    assert found, line
    return re.sub(r"_id_seq$", "", found[1])


def test_each_function_is_created_by_the_last_migration_that_changed_it() -> None:
    """One file a function; a migration that replaces a body takes the name out of the one before."""
    calls = "".join(path.read_text() for path in (scripts_folder() / "versions").glob("*.py"))
    names = re.findall(r'"(\w+)"', "".join(re.findall(r"create_functions\((.*?)\)", calls, re.DOTALL)))
    assert Counter(names) == Counter(path.stem for path in (scripts_folder() / "sql").glob("*.sql"))


def test_all_revisions_but_the_newest_are_outdated() -> None:
    scripts = ScriptDirectory(str(scripts_folder()))
    every = {script.revision for script in scripts.walk_revisions()}
    assert outdated_revisions() == every - set(scripts.get_heads())
    assert len(scripts.get_heads()) == 1
