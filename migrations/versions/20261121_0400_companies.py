"""Claims of companies, descriptions rendered, and indexes for their lists and figures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "company_claims",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "method IN ('mail', 'dns', 'file')", name=op.f("ck_company_claims_method_is_known")
        ),
        sa.CheckConstraint(
            "(method = 'mail') = (email IS NOT NULL)", name=op.f("ck_company_claims_mail_has_an_address")
        ),
        sa.CheckConstraint("length(token_hash) = 32", name=op.f("ck_company_claims_token_hash_is_sha256")),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_company_claims_company_id_companies"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_company_claims_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_claims")),
    )
    op.create_index(
        "uq_company_claims_company_id_user_id", "company_claims", ["company_id", "user_id"], unique=True
    )
    op.create_index("ix_company_claims_user_id", "company_claims", ["user_id"])
    op.create_index("ix_company_claims_expires_at", "company_claims", ["expires_at"])
    op.add_column("companies", sa.Column("description_html", sa.String()))
    op.create_index(
        "ix_companies_domain_trgm", "companies", [sa.text("domain gin_trgm_ops")], postgresql_using="gin"
    )
    op.create_index("ix_companies_by_name", "companies", [sa.text("lower(name)"), "id"])
    op.create_index(
        "ix_comments_company_responses",
        "comments",
        ["bug_id", "created_at"],
        postgresql_where=sa.text("is_company_response AND removed_at IS NULL"),
    )
