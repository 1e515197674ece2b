"""The name under which the board makes the ids of its feeds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "feed_identity",
        sa.Column("is_only", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("authority", sa.String(), nullable=False),
        sa.Column("since", sa.Date(), server_default=sa.text("CURRENT_DATE"), nullable=False),
        sa.CheckConstraint("is_only", name=op.f("ck_feed_identity_there_is_one_row")),
        sa.PrimaryKeyConstraint("is_only", name=op.f("pk_feed_identity")),
    )
