"""Bring a database to the newest schema, by the scripts in `migrations/`."""

from __future__ import annotations

from pathlib import Path

from alembic import command, op
from alembic.config import Config

from bugrelay.settings import Settings

_PACKAGE = Path(__file__).parent
_IN_A_WHEEL = _PACKAGE / "_migrations"  # pyproject.toml puts them there
_IN_A_CHECKOUT = _PACKAGE.parents[1] / "migrations"


def scripts_folder() -> Path:
    """Where `env.py`, `versions/` and `sql/` are: in the installed package, or at the top of a checkout."""
    return _IN_A_WHEEL if _IN_A_WHEEL.is_dir() else _IN_A_CHECKOUT


def alembic_config(settings: Settings) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", settings.database_url.replace("%", "%%"))
    return config


def migrate(settings: Settings) -> None:
    """Apply what is missing; safe to call from several processes at once, and when nothing is missing."""
    command.upgrade(alembic_config(settings), "head")


def create_functions(*names: str) -> None:
    """Create functions of the database, or replace their bodies, in this order; for migrations.

    Each has one file in `migrations/sql/`, its current body, which the last migration that changed it executes.
    """
    for name in names:
        body = (scripts_folder() / "sql" / f"{name}.sql").read_text()
        op.get_bind().exec_driver_sql(body.replace("%", "%%"))  # no parameters: a per cent sign is one
