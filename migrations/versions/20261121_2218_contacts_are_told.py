"""The confirmed addresses of anonymous reports are told of their bugs, too."""

from __future__ import annotations

from bugrelay.migrate import create_functions

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    create_functions("notice_fan_out")
