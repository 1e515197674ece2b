"""A receipt is found by its hash. Alone in its migration: an index that is made beside writers is in no transaction."""

from __future__ import annotations

from bugrelay.migrate import create_index_concurrently

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    create_index_concurrently(
        "uq_bug_texts_receipt_hash",
        "bug_texts",
        "receipt_hash",
        unique=True,
        where="receipt_hash IS NOT NULL",
    )
