"""Files of tickets."""

from __future__ import annotations

from alembic import op

revision = "0038"
down_revision = "0037"

ATTACHMENTS = """
CREATE TABLE ticket_attachments (
    id uuid NOT NULL,
    company_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    user_id uuid NOT NULL,
    filename varchar NOT NULL,
    mime_type varchar NOT NULL,
    file_size bigint NOT NULL,
    storage_key varchar,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_ticket_attachments PRIMARY KEY (id),
    CONSTRAINT uq_ticket_attachments_company_id UNIQUE (company_id, id),
    CONSTRAINT ck_ticket_attachments_file_has_bytes CHECK (file_size > 0),
    CONSTRAINT fk_ticket_attachments_company_id_tickets FOREIGN KEY (company_id, ticket_id)
        REFERENCES tickets (company_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_ticket_attachments_user_id_users FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX ix_ticket_attachments_ticket_id ON ticket_attachments (company_id, ticket_id, created_at, id);
CREATE UNIQUE INDEX uq_ticket_attachments_storage_key ON ticket_attachments (storage_key);
CREATE INDEX ix_ticket_attachments_unfinished ON ticket_attachments (user_id, created_at) WHERE storage_key IS NULL;
"""


def upgrade() -> None:
    op.execute(ATTACHMENTS)
