"""What has happened before there was a log is listed, in order of time; a job writes it into the log."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    # Of its own transaction, which holds no lock that anybody else wants: it reads, and writes to a table of its own.
    op.execute("SELECT list_missing_events('00000000-0000-0000-0000-000000000000')")
