"""Tickets are followed as bugs are, and who follows one is told what happens to it. docs/notices.md."""

from __future__ import annotations

from alembic import op

from bugrelay.migrate import create_functions

revision = "0050"
down_revision = "0049"

SUBSCRIPTIONS = """
CREATE TABLE ticket_subscriptions (
    company_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    user_id uuid NOT NULL,
    level varchar NOT NULL,
    chosen_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_ticket_subscriptions PRIMARY KEY (company_id, ticket_id, user_id),
    CONSTRAINT ck_ticket_subscriptions_level_is_known CHECK (level IN ('all', 'official', 'resolved', 'none')),
    CONSTRAINT fk_ticket_subscriptions_company_id_tickets FOREIGN KEY (company_id, ticket_id)
        REFERENCES tickets (company_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_ticket_subscriptions_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX ix_ticket_subscriptions_user_id ON ticket_subscriptions (user_id);
ALTER TABLE notice_fan_outs
    ALTER COLUMN bug_id DROP NOT NULL,
    ADD COLUMN ticket_id uuid,
    ADD COLUMN is_internal boolean DEFAULT false NOT NULL;
"""


def upgrade() -> None:
    op.execute(SUBSCRIPTIONS)
    create_functions("default_level", "ticket_subscription", "notice_fan_out")
