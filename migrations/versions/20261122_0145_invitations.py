"""Invitations to belong to a company, by mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    op.create_table(
        "company_invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("inviter_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "role IN ('admin', 'member', 'reporter')", name=op.f("ck_company_invitations_role_is_known")
        ),
        sa.CheckConstraint(
            "length(token_hash) = 32", name=op.f("ck_company_invitations_token_hash_is_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_company_invitations_company_id_companies"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["inviter_id"],
            ["users.id"],
            name=op.f("fk_company_invitations_inviter_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_invitations")),
    )
    for column in ("email_key", "inviter_id", "expires_at"):
        op.create_index(f"ix_company_invitations_{column}", "company_invitations", [column])
    op.create_index(
        "uq_company_invitations_company_id_email_key",
        "company_invitations",
        ["company_id", "email_key"],
        unique=True,
    )
    op.create_index("uq_company_invitations_token_hash", "company_invitations", ["token_hash"], unique=True)
