"""Notices and their mails name events, people and mails without foreign keys, as the event log does. docs/adr/0035.

Each notice asked four times whether what it named was there, and locked its owner's row: half of what telling somebody
cost. A release from before does not miss the constraints.
"""

from __future__ import annotations

from alembic import op

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    for named in ("fan_out_id_notice_fan_outs", "mail_id_notice_mails", "user_id_users"):
        op.drop_constraint(f"fk_notices_{named}", "notices", type_="foreignkey")
    op.drop_constraint("fk_notice_mails_user_id_users", "notice_mails", type_="foreignkey")
