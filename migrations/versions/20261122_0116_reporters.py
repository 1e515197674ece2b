"""Who only reports to a company has a place in it, and a place can be set aside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"

TABLES = ("company_members", "former_company_members")


def upgrade() -> None:
    op.add_column(
        "company_members",
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    for table in TABLES:
        name = f"ck_{table}_role_is_known"
        op.drop_constraint(op.f(name), table, type_="check")
        # Every row fits, since it fitted the former one: the next migration looks, under a lock that stops nobody.
        op.create_check_constraint(
            op.f(name), table, "role IN ('admin', 'member', 'reporter')", postgresql_not_valid=True
        )
