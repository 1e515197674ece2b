"""What the log lacks of merges is looked for in the index without votes."""

from __future__ import annotations

from bugrelay.migrate import create_functions

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    create_functions("events_missing")
