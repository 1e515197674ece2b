"""What is written into the log later than it happened says when it was."""

from __future__ import annotations

from bugrelay.migrate import create_functions

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    create_functions("record_missing_events")
