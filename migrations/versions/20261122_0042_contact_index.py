"""What an address is told is found by it. Alone in its migration: an index that is made beside writers is in no
transaction."""

from __future__ import annotations

from bugrelay.migrate import create_index_concurrently

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    create_index_concurrently(
        "ix_notices_contact_id", "notices", "contact_id", where="contact_id IS NOT NULL"
    )
