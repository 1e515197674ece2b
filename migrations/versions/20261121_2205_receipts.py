"""Receipts of anonymous reports, and the addresses that wait to be confirmed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bugrelay.migrate import create_functions

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "report_contacts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bug_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "level IN ('all', 'official', 'resolved')", name=op.f("ck_report_contacts_level_is_known")
        ),
        sa.ForeignKeyConstraint(
            ["bug_id"], ["bugs.id"], name=op.f("fk_report_contacts_bug_id_bugs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_contacts")),
    )
    op.create_index(
        "uq_report_contacts_waiting",
        "report_contacts",
        ["bug_id"],
        unique=True,
        postgresql_where=sa.text("confirmed_at IS NULL"),
    )
    op.create_index(
        "uq_report_contacts_confirmed",
        "report_contacts",
        ["bug_id"],
        unique=True,
        postgresql_where=sa.text("confirmed_at IS NOT NULL"),
    )
    op.create_index("uq_report_contacts_token_hash", "report_contacts", ["token_hash"], unique=True)
    op.create_index(
        "ix_report_contacts_created_at",
        "report_contacts",
        ["created_at"],
        postgresql_where=sa.text("confirmed_at IS NULL"),
    )
    op.create_table(
        "contact_mails",
        sa.Column("address_hash", sa.LargeBinary(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("mailed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("address_hash", name=op.f("pk_contact_mails")),
    )
    op.add_column("bug_texts", sa.Column("receipt_hash", sa.LargeBinary(), nullable=True))
    create_functions("report_bug")
