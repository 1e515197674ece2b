"""The private half: projects, tickets and what hangs on them."""

from __future__ import annotations

from alembic import op

revision = "0035"
down_revision = "0034"

# Every table has the company, and every foreign key between them is (company_id, id): no row can refer to another
# company's (docs/adr/0037-tickets.md).
PROJECTS = """
CREATE TABLE projects (
    id uuid NOT NULL,
    company_id uuid NOT NULL,
    key varchar NOT NULL,
    name varchar NOT NULL,
    description varchar,
    scheme varchar NOT NULL,
    visibility varchar DEFAULT 'team' NOT NULL,
    version integer DEFAULT '1' NOT NULL,
    archived_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_projects PRIMARY KEY (id),
    CONSTRAINT uq_projects_company_id UNIQUE (company_id, id),
    CONSTRAINT ck_projects_visibility_is_known CHECK (visibility IN ('team', 'company')),
    CONSTRAINT fk_projects_company_id_companies FOREIGN KEY (company_id) REFERENCES companies (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_projects_company_id_key ON projects (company_id, key);

CREATE TABLE ticket_numbers (
    company_id uuid NOT NULL,
    project_id uuid NOT NULL,
    year integer NOT NULL,
    last_number integer DEFAULT '0' NOT NULL,
    CONSTRAINT pk_ticket_numbers PRIMARY KEY (company_id, project_id, year),
    CONSTRAINT fk_ticket_numbers_company_id_projects FOREIGN KEY (company_id, project_id)
        REFERENCES projects (company_id, id) ON DELETE CASCADE
);
"""

TICKETS = """
CREATE TABLE tickets (
    id uuid NOT NULL,
    company_id uuid NOT NULL,
    project_id uuid NOT NULL,
    number integer NOT NULL,
    key varchar NOT NULL,
    kind varchar NOT NULL,
    title varchar NOT NULL,
    description varchar DEFAULT '' NOT NULL,
    description_html varchar DEFAULT '' NOT NULL,
    status varchar NOT NULL,
    category varchar NOT NULL,
    priority varchar NOT NULL,
    department varchar,
    tags text[] DEFAULT '{}' NOT NULL,
    reporter_id uuid NOT NULL,
    internal_notes varchar,
    resolution_notes varchar,
    version integer DEFAULT '1' NOT NULL,
    comment_count integer DEFAULT '0' NOT NULL,
    internal_comment_count integer DEFAULT '0' NOT NULL,
    attachment_count integer DEFAULT '0' NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    resolved_at timestamptz,
    removed_at timestamptz,
    CONSTRAINT pk_tickets PRIMARY KEY (id),
    CONSTRAINT uq_tickets_company_id UNIQUE (company_id, id),
    CONSTRAINT fk_tickets_company_id_projects FOREIGN KEY (company_id, project_id)
        REFERENCES projects (company_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_tickets_category_is_known CHECK (category IN ('todo', 'doing', 'done')),
    CONSTRAINT ck_tickets_priority_is_known CHECK (priority IN ('low', 'medium', 'high', 'critical')),
    CONSTRAINT ck_tickets_done_is_resolved CHECK ((category = 'done') = (resolved_at IS NOT NULL)),
    CONSTRAINT fk_tickets_reporter_id_users FOREIGN KEY (reporter_id) REFERENCES users (id)
);
CREATE INDEX ix_tickets_recent ON tickets (company_id, created_at, id) WHERE removed_at IS NULL;
CREATE INDEX ix_tickets_updated ON tickets (company_id, updated_at, id) WHERE removed_at IS NULL;
CREATE INDEX ix_tickets_urgent ON tickets (
    company_id,
    (CASE priority WHEN 'critical' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END),
    created_at,
    id
) WHERE removed_at IS NULL;
CREATE INDEX ix_tickets_project ON tickets (company_id, project_id, created_at, id) WHERE removed_at IS NULL;
CREATE INDEX ix_tickets_reporter ON tickets (company_id, reporter_id, created_at, id) WHERE removed_at IS NULL;
"""

OF_TICKET = "FOREIGN KEY (company_id, ticket_id) REFERENCES tickets (company_id, id) ON DELETE CASCADE"
OF_TICKETS = f"""
CREATE TABLE ticket_keys (
    company_id uuid NOT NULL,
    key varchar NOT NULL,
    ticket_id uuid NOT NULL,
    CONSTRAINT pk_ticket_keys PRIMARY KEY (company_id, key),
    CONSTRAINT fk_ticket_keys_company_id_tickets {OF_TICKET}
);
CREATE INDEX ix_ticket_keys_ticket_id ON ticket_keys (company_id, ticket_id);

CREATE TABLE ticket_assignees (
    company_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    user_id uuid NOT NULL,
    position integer NOT NULL,
    CONSTRAINT pk_ticket_assignees PRIMARY KEY (company_id, ticket_id, user_id),
    CONSTRAINT fk_ticket_assignees_company_id_tickets {OF_TICKET},
    CONSTRAINT fk_ticket_assignees_user_id_users FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX ix_ticket_assignees_user_id ON ticket_assignees (company_id, user_id, ticket_id);

CREATE TABLE ticket_edits (
    company_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    version integer NOT NULL,
    field varchar NOT NULL,
    old_value varchar,
    new_value varchar,
    CONSTRAINT pk_ticket_edits PRIMARY KEY (company_id, ticket_id, version, field),
    CONSTRAINT fk_ticket_edits_company_id_tickets {OF_TICKET}
);

CREATE TABLE ticket_comments (
    id uuid NOT NULL,
    company_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    author_id uuid NOT NULL,
    content varchar NOT NULL,
    content_html varchar NOT NULL,
    is_internal boolean DEFAULT 'false' NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    removed_at timestamptz,
    CONSTRAINT pk_ticket_comments PRIMARY KEY (id),
    CONSTRAINT uq_ticket_comments_company_id UNIQUE (company_id, id),
    CONSTRAINT fk_ticket_comments_company_id_tickets {OF_TICKET},
    CONSTRAINT fk_ticket_comments_author_id_users FOREIGN KEY (author_id) REFERENCES users (id)
);
CREATE INDEX ix_ticket_comments_ticket_id ON ticket_comments (company_id, ticket_id, created_at, id);
"""


def upgrade() -> None:
    # Foreign keys wait for whoever writes to companies and users; env.py bounds that, and `migrate` tries again.
    for statements in (PROJECTS, TICKETS, OF_TICKETS):
        op.execute(statements)
