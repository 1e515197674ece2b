"""Mails to the addresses of anonymous reports are counted by the address, whatever reports it was given for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    # Empty for addresses from before, and for those that the release before this one takes: each counts for itself.
    op.add_column("report_contacts", sa.Column("address_key", sa.Uuid(), nullable=True))
