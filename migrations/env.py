"""Run by Alembic: every migration in a separate transaction, one process at a time.

A transaction gives up a lock that it does not get at once, since all later readers of a table queue behind a waiting
lock. `bugrelay.migrate` tries again.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import MetaData, NullPool, create_engine, event, text
from sqlalchemy.engine import Connection

from bugrelay.infra.db.database import sqlalchemy_url
from bugrelay.settings import load_settings

MIGRATION_LOCK = (
    7203471  # any fixed number; it keeps two processes that start at once from migrating together
)

LOCK_TIMEOUT = "200ms"  # the maximum time that readers wait behind a migration


def migrate(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
    connection.commit()
    event.listen(connection, "begin", set_lock_timeout)
    try:
        context.configure(
            connection=connection,
            target_metadata=models(),
            compare_type=True,
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


def set_lock_timeout(connection: Connection) -> None:
    """For this transaction. A migration may set another timeout; statements outside of one (CONCURRENTLY) have none."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")


def models() -> MetaData | None:
    """The tables of every domain, for `alembic revision --autogenerate`; importing them would slow each start."""
    if context.config.cmd_opts is None:
        return None
    import bugrelay.bootstrap  # noqa: F401 - imports every domain
    from bugrelay.infra.db.models import Base

    return Base.metadata


url = context.config.get_main_option("sqlalchemy.url") or load_settings().database_url
with create_engine(sqlalchemy_url(url), poolclass=NullPool).connect() as connection:
    migrate(connection)
