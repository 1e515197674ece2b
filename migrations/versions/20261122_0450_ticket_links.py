"""Tickets are tied to public bugs. docs/adr/0042."""

from __future__ import annotations

from alembic import op

from bugrelay.migrate import create_functions

revision = "0048"
down_revision = "0047"

LINKS = """
CREATE TABLE ticket_links (
    company_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    bug_id uuid NOT NULL,
    kind varchar NOT NULL,
    carry_status boolean DEFAULT false NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_ticket_links PRIMARY KEY (company_id, ticket_id, bug_id),
    CONSTRAINT ck_ticket_links_kind_is_known CHECK (kind IN ('published', 'linked', 'tracked')),
    CONSTRAINT fk_ticket_links_company_id_tickets FOREIGN KEY (company_id, ticket_id)
        REFERENCES tickets (company_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_ticket_links_bug_id_bugs FOREIGN KEY (bug_id) REFERENCES bugs (id) ON DELETE CASCADE
);
CREATE INDEX ix_ticket_links_bug_id ON ticket_links (bug_id);
"""


def upgrade() -> None:
    op.execute(LINKS)
    create_functions("links_of_ticket")
