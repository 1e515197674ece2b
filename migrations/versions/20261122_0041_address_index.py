"""The rows of an address are found by it. Alone in its migration: an index that is made beside writers is in no
transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

_NAME = "ix_report_contacts_address_key"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_NAME}")  # one that a former try has left unfinished
        op.create_index(
            _NAME,
            "report_contacts",
            ["address_key"],
            postgresql_concurrently=True,
            postgresql_where=sa.text("confirmed_at IS NOT NULL"),
        )
