"""log_events() writes one event as it writes many: the application writes single ones by a statement of its own."""

from __future__ import annotations

from bugrelay.migrate import create_functions

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    create_functions("log_events")
