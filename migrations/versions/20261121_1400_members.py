"""Members count by a verified address or by a word for them, and former members are kept apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("company_members", sa.Column("email_key", sa.String()))
    op.execute(ADDED_BY_A_TEAM)
    op.create_table(
        "former_company_members",
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "role IN ('admin', 'member')", name=op.f("ck_former_company_members_role_is_known")
        ),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_former_company_members_company_id_companies"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_former_company_members_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("company_id", "user_id", name=op.f("pk_former_company_members")),
    )
    op.create_index("ix_former_company_members_user_id", "former_company_members", ["user_id"])


# Whoever has proven a claim since they are on the team stands by that. All others may have been added with an address
# that nobody had verified; those whom the operator vouched for cannot be told from them.
ADDED_BY_A_TEAM = """
UPDATE company_members m
SET email_key = u.email_key
FROM users u
WHERE u.id = m.user_id
  AND NOT EXISTS (
      SELECT FROM audit_logs a
      WHERE a.action = 'company_claim' AND a.resource_id = m.company_id AND a.user_id = m.user_id
        AND a.created_at >= m.added_at
  )
"""
