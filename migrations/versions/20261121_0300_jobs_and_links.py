"""Jobs, one-time links, throttled guessing, erasure and timed bans."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # The queue's own schema, of the pinned version; a later version's migrations are copied into one of ours.
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
    op.add_column(
        "users",
        sa.Column(
            "password_set_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
    )
    op.add_column("users", sa.Column("banned_until", sa.DateTime(timezone=True)))
    op.add_column("users", sa.Column("erased_at", sa.DateTime(timezone=True)))
    op.drop_index("uq_users_email_key", table_name="users")
    op.drop_index("uq_users_username", table_name="users")
    alive = sa.text("erased_at IS NULL")
    op.create_index("uq_users_email_key", "users", ["email_key"], unique=True, postgresql_where=alive)
    op.create_index(
        "uq_users_username", "users", [sa.text("lower(username)")], unique=True, postgresql_where=alive
    )
    op.create_table(
        "one_time_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_one_time_links"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_one_time_links_user_id_users", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "uq_one_time_links_user_id_purpose", "one_time_links", ["user_id", "purpose"], unique=True
    )
    op.create_index("uq_one_time_links_token_hash", "one_time_links", ["token_hash"], unique=True)
    op.create_table(
        "sign_in_failures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_hash", sa.LargeBinary(), nullable=False),
        sa.Column("ip_address", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_failures"),
    )
    op.create_index("ix_sign_in_failures_account_hash", "sign_in_failures", ["account_hash", "at"])
