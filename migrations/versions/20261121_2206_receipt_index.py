"""A receipt is found by its hash. Alone in its migration: an index that is made beside writers is in no transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

_NAME = "uq_bug_texts_receipt_hash"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_NAME}")  # one that a former try has left unfinished
        op.create_index(
            _NAME,
            "bug_texts",
            ["receipt_hash"],
            unique=True,
            postgresql_concurrently=True,
            postgresql_where=sa.text("receipt_hash IS NOT NULL"),
        )
