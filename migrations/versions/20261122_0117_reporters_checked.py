"""The roles of the migration before are looked at, while everybody reads and writes."""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"

TABLES = ("company_members", "former_company_members")


def upgrade() -> None:
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_{table}_role_is_known")
