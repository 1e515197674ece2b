"""Support reports and their screenshots."""

from __future__ import annotations

from alembic import op

revision = "0042"
down_revision = "0041"

REPORTS = """
CREATE TABLE support_reports (
    company_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    user_id uuid NOT NULL,
    steps_to_reproduce varchar,
    expected_behavior varchar,
    actual_behavior varchar,
    browser_info json,
    page_url varchar,
    page_title varchar,
    viewport_size varchar,
    screen_resolution varchar,
    screenshot_annotations json,
    capture json,
    truncated boolean DEFAULT false NOT NULL,
    redactions json,
    email_sent_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_support_reports PRIMARY KEY (company_id, ticket_id),
    CONSTRAINT fk_support_reports_company_id_tickets FOREIGN KEY (company_id, ticket_id)
        REFERENCES tickets (company_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_support_reports_user_id_users FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX ix_support_reports_user_id ON support_reports (user_id);
CREATE INDEX ix_support_reports_created_at ON support_reports (created_at)
    WHERE capture IS NOT NULL OR screenshot_annotations IS NOT NULL;
"""
SCREENSHOTS = """
CREATE TABLE support_screenshots (
    id uuid NOT NULL,
    company_id uuid NOT NULL,
    ticket_id uuid,
    user_id uuid NOT NULL,
    name varchar NOT NULL,
    storage_key varchar NOT NULL,
    mime_type varchar NOT NULL,
    file_size bigint NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_support_screenshots PRIMARY KEY (id),
    CONSTRAINT ck_support_screenshots_file_has_bytes CHECK (file_size > 0),
    CONSTRAINT fk_support_screenshots_company_id_companies FOREIGN KEY (company_id)
        REFERENCES companies (id) ON DELETE CASCADE,
    CONSTRAINT fk_support_screenshots_company_id_tickets FOREIGN KEY (company_id, ticket_id)
        REFERENCES tickets (company_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_support_screenshots_user_id_users FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE UNIQUE INDEX uq_support_screenshots_storage_key ON support_screenshots (storage_key);
CREATE UNIQUE INDEX uq_support_screenshots_name ON support_screenshots (company_id, user_id, name);
CREATE UNIQUE INDEX uq_support_screenshots_ticket_id ON support_screenshots (company_id, ticket_id);
CREATE INDEX ix_support_screenshots_user_id ON support_screenshots (user_id);
CREATE INDEX ix_support_screenshots_created_at ON support_screenshots (created_at);
"""


def upgrade() -> None:
    op.execute(REPORTS)
    op.execute(SCREENSHOTS)
