"""The rows of an address are found by it. Alone in its migration: an index that is made beside writers is in no
transaction."""

from __future__ import annotations

from bugrelay.migrate import create_index_concurrently

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    create_index_concurrently(
        "ix_report_contacts_address_key", "report_contacts", "address_key", where="confirmed_at IS NOT NULL"
    )
