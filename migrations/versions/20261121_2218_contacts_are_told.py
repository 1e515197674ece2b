"""The confirmed addresses of anonymous reports are told of their bugs, too: the function is made by 0026 now."""

from __future__ import annotations

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    pass
