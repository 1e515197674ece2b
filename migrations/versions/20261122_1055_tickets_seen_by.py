"""The rule of who sees a ticket as a function that is inlined, so that a list of notices calls no function for each."""

from __future__ import annotations

from bugrelay.migrate import create_functions

revision = "0053"
down_revision = "0052"


def upgrade() -> None:
    create_functions("tickets_seen_by", "sees_ticket")
