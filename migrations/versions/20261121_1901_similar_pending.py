"""The bugs that were there before the index of similar bugs are still to be folded into it; a job does that."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    # After the triggers were committed, so that no bug is missed; one that is named twice is folded once. This is a
    # note for the job, of one number and one id a bug, and locks nothing that anybody writes to. Merged bugs come first:
    # until they are folded, a long queue does not find them (similar/statements.py).
    op.execute(
        "INSERT INTO similar_pending (bug_id) SELECT id FROM bugs WHERE removed_at IS NULL"
        " ORDER BY merged_into_id IS NULL, created_at, id"
    )
