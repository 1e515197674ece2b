"""Lists and searches at a million bugs: filter columns, ranking layers and the log of changes."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gin")
    # No bind parameters in the file: a colon in it is a colon.
    op.get_bind().exec_driver_sql((SQL / "0005_lists.sql").read_text().replace("%", "%%"))
