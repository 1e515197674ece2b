"""A vote in one statement."""

from __future__ import annotations

from bugrelay.migrate import create_functions

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    create_functions("vote")
