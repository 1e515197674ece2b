"""What an address is told is found by it. Alone in its migration: an index that is made beside writers is in no
transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

_NAME = "ix_notices_contact_id"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_NAME}")  # one that a former try has left unfinished
        op.create_index(
            _NAME,
            "notices",
            ["contact_id"],
            postgresql_concurrently=True,
            postgresql_where=sa.text("contact_id IS NOT NULL"),
        )
