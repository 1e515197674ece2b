"""Notices to the address of an anonymous report go with it: nobody could read them any more."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"

_OF_NOBODY = """
DELETE FROM notices n
WHERE n.contact_id IS NOT NULL AND NOT EXISTS (SELECT FROM report_contacts k WHERE k.id = n.contact_id)
"""


def upgrade() -> None:
    op.create_foreign_key(
        "fk_notices_contact_id_report_contacts",
        "notices",
        "report_contacts",
        ["contact_id"],
        ["id"],
        ondelete="CASCADE",
        postgresql_not_valid=True,  # the next migration looks at the rows, beside writers
    )
    op.execute(_OF_NOBODY)
