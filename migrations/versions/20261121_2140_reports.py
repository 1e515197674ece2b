"""A report in one statement."""

from __future__ import annotations

from bugrelay.migrate import create_functions

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    create_functions("get_or_create_application")
