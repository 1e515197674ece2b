"""Run by Alembic: every migration in a transaction of its own, one process at a time."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection

from bugrelay.infra.db import sqlalchemy_url
from bugrelay.infra.models import Base
from bugrelay.migrations import tables  # noqa: F401 - imports the tables of every domain

MIGRATION_LOCK = (
    7203471  # any fixed number; it keeps two processes that start at once from migrating together
)


def migrate(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
    connection.commit()
    try:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_type=True,
            compare_server_default=False,
            transaction_per_migration=True,
            include_name=lambda name, kind, _: (
                not (kind == "table" and (name or "").startswith("procrastinate_"))
            ),
        )
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": MIGRATION_LOCK})
        connection.commit()


engine = create_engine(sqlalchemy_url(context.config.get_main_option("sqlalchemy.url") or ""))
with engine.connect() as connection:
    migrate(connection)
engine.dispose()
