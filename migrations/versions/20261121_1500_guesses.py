"""A guess is counted before it is checked; the end of a ban can be read again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bugrelay.migrate import create_functions

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    # A constant default rewrites no row, and is what the previous release means by a row.
    op.add_column(
        "sign_in_failures",
        sa.Column("under_way", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    create_functions("count_guess")
    # The previous release took ends after the year 9999, which Python cannot read: the same ban, until it is lifted.
    op.execute("UPDATE users SET banned_until = NULL WHERE banned_until >= '10000-01-01 00:00:00+00'")
