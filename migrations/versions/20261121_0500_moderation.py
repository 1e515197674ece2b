"""Moderation: flags, merges with their history, removals with a reason, and the audit log that protects itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from bugrelay.migrate import create_functions

revision = "0004"
down_revision = "0003"

_MOVED = sa.text("origin_bug_id IS NOT NULL")

# A trigger for each statement and not for each row, so that one which would touch no row is refused as well.
_APPEND_ONLY = """
CREATE TRIGGER audit_logs_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_are_kept();
"""


def upgrade() -> None:
    _extend_the_board()
    op.create_table(
        "flags",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bug_id", sa.Uuid(), nullable=True),
        sa.Column("comment_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("by_admin", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("num_nonnulls(bug_id, comment_id) = 1", name=op.f("ck_flags_names_one_thing")),
        sa.CheckConstraint(
            "by_admin OR reason IN ('spam', 'abuse', 'private_data', 'duplicate', 'other')",
            name=op.f("ck_flags_reason_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["bug_id"], ["bugs.id"], name=op.f("fk_flags_bug_id_bugs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["comment_id"], ["comments.id"], name=op.f("fk_flags_comment_id_comments"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_flags_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flags")),
    )
    op.create_index("uq_flags_bug_id_user_id", "flags", ["bug_id", "user_id"], unique=True)
    op.create_index("uq_flags_comment_id_user_id", "flags", ["comment_id", "user_id"], unique=True)
    op.create_index("ix_flags_user_id", "flags", ["user_id"])
    op.create_table(
        "audit_logs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("details", sa.String(), nullable=True),
        sa.Column("before", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("after", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("ip_address", sa.String(), nullable=True),
        sa.Column("user_agent", sa.String(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_audit_logs_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_logs")),
    )
    op.create_index("ix_audit_logs_created_at", "audit_logs", ["created_at", "id"])
    op.create_index("ix_audit_logs_resource_id", "audit_logs", ["resource_id", "created_at"])
    op.create_index("ix_audit_logs_user_id", "audit_logs", ["user_id", "created_at"])
    create_functions("audit_logs_are_kept")
    op.execute(_APPEND_ONLY)


def _extend_the_board() -> None:
    op.add_column("bugs", sa.Column("removed_reason", sa.String()))
    op.add_column("bugs", sa.Column("merged_at", sa.DateTime(timezone=True)))
    op.add_column("comments", sa.Column("moderated_at", sa.DateTime(timezone=True)))
    op.create_index("ix_comments_origin_bug_id", "comments", ["origin_bug_id"], postgresql_where=_MOVED)
    op.create_index("ix_attachments_origin_bug_id", "attachments", ["origin_bug_id"], postgresql_where=_MOVED)
    op.create_table(
        "bug_merges",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source_bug_id", sa.Uuid(), nullable=False),
        sa.Column("target_bug_id", sa.Uuid(), nullable=False),
        sa.Column("note_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('merge', 'unmerge')", name=op.f("ck_bug_merges_kind_is_known")),
        sa.CheckConstraint("source_bug_id <> target_bug_id", name=op.f("ck_bug_merges_bugs_differ")),
        sa.ForeignKeyConstraint(
            ["source_bug_id"], ["bugs.id"], name=op.f("fk_bug_merges_source_bug_id_bugs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["target_bug_id"], ["bugs.id"], name=op.f("fk_bug_merges_target_bug_id_bugs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["note_id"], ["comments.id"], name=op.f("fk_bug_merges_note_id_comments"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bug_merges_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bug_merges")),
    )
    op.create_index("ix_bug_merges_source_bug_id", "bug_merges", ["source_bug_id", "at"])
    op.create_index("ix_bug_merges_target_bug_id", "bug_merges", ["target_bug_id", "at"])
