"""Connections to GitHub, the issues and comments there, what is to be sent, and what has come in. docs/adr/0046."""

from __future__ import annotations

from alembic import op

revision = "0045"
down_revision = "0044"

CONNECTIONS = """
CREATE TABLE github_connections (
    id uuid NOT NULL,
    company_id uuid NOT NULL,
    uses_default boolean NOT NULL,
    repo varchar,
    token bytea,
    token_key bytea,
    secret bytea NOT NULL,
    labels text[] NOT NULL,
    enabled boolean NOT NULL,
    schemes text[] NOT NULL,
    comments_out boolean NOT NULL,
    comments_in varchar NOT NULL,
    status_in boolean NOT NULL,
    status_out boolean NOT NULL,
    allow_public boolean NOT NULL,
    switched_off_reason varchar,
    repository_id bigint,
    login varchar,
    is_private boolean,
    checked_at timestamptz,
    catch_up_at timestamptz NOT NULL,
    issues_since timestamptz NOT NULL,
    comments_since timestamptz NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_github_connections PRIMARY KEY (id),
    CONSTRAINT fk_github_connections_company_id_companies FOREIGN KEY (company_id)
        REFERENCES companies (id) ON DELETE CASCADE,
    CONSTRAINT ck_github_connections_repo_is_own CHECK (uses_default = (repo IS NULL)),
    CONSTRAINT ck_github_connections_token_is_own CHECK ((repo IS NULL) = (token IS NULL)),
    CONSTRAINT ck_github_connections_token_has_a_key CHECK ((token IS NULL) = (token_key IS NULL)),
    CONSTRAINT ck_github_connections_comments_in_is_known CHECK (comments_in IN ('internal', 'public', 'off')),
    CONSTRAINT ck_github_connections_enabled_has_no_reason CHECK (NOT (enabled AND switched_off_reason IS NOT NULL))
);
CREATE UNIQUE INDEX uq_github_connections_company_id ON github_connections (company_id);
"""
TOKENS = """
CREATE TABLE github_tokens (
    key bytea NOT NULL,
    lease_id uuid NOT NULL,
    leased_until timestamptz NOT NULL,
    ready_at timestamptz DEFAULT now() NOT NULL,
    pauses integer DEFAULT 0 NOT NULL,
    writes timestamptz[] DEFAULT '{}' NOT NULL,
    CONSTRAINT pk_github_tokens PRIMARY KEY (key)
);
"""
PUSHES = """
CREATE TABLE github_pushes (
    company_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    state varchar DEFAULT 'pending' NOT NULL,
    may_create boolean NOT NULL,
    revision integer DEFAULT 1 NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    failing_since timestamptz,
    next_at timestamptz DEFAULT now() NOT NULL,
    error varchar,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_github_pushes PRIMARY KEY (company_id, ticket_id),
    CONSTRAINT fk_github_pushes_company_id_tickets FOREIGN KEY (company_id, ticket_id)
        REFERENCES tickets (company_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_github_pushes_connection_id_github_connections FOREIGN KEY (connection_id)
        REFERENCES github_connections (id) ON DELETE CASCADE,
    CONSTRAINT ck_github_pushes_state_is_known CHECK (state IN ('pending', 'failed')),
    CONSTRAINT ck_github_pushes_failed_has_an_error CHECK ((state = 'failed') = (error IS NOT NULL))
);
CREATE INDEX ix_github_pushes_due ON github_pushes (connection_id, next_at) WHERE state = 'pending';
"""
ISSUES = """
CREATE TABLE github_issues (
    company_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    repository_id bigint NOT NULL,
    state varchar NOT NULL,
    creator varchar NOT NULL,
    first_tried_at timestamptz NOT NULL,
    tried_at timestamptz NOT NULL,
    issue_id bigint,
    number bigint,
    url varchar,
    issue_state varchar DEFAULT 'open' NOT NULL,
    pushed_state varchar DEFAULT 'open' NOT NULL,
    asked_state varchar,
    issue_updated_at timestamptz,
    synced_at timestamptz,
    CONSTRAINT pk_github_issues PRIMARY KEY (company_id, ticket_id, repository_id),
    CONSTRAINT fk_github_issues_company_id_tickets FOREIGN KEY (company_id, ticket_id)
        REFERENCES tickets (company_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_github_issues_state_is_known CHECK (state IN ('creating', 'synced', 'ended')),
    CONSTRAINT ck_github_issues_created_is_named
        CHECK (state = 'creating' OR (issue_id IS NOT NULL AND number IS NOT NULL AND url IS NOT NULL))
);
CREATE UNIQUE INDEX uq_github_issues_issue_id ON github_issues (company_id, repository_id, issue_id);
"""
COMMENTS = """
CREATE TABLE github_comments (
    company_id uuid NOT NULL,
    comment_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    direction varchar NOT NULL,
    state varchar NOT NULL,
    repository_id bigint,
    first_tried_at timestamptz,
    tried_at timestamptz,
    github_id bigint,
    CONSTRAINT pk_github_comments PRIMARY KEY (company_id, comment_id),
    CONSTRAINT fk_github_comments_company_id_ticket_comments FOREIGN KEY (company_id, comment_id)
        REFERENCES ticket_comments (company_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_github_comments_direction_is_known CHECK (direction IN ('out', 'in')),
    CONSTRAINT ck_github_comments_state_is_known CHECK (state IN ('pending', 'creating', 'synced')),
    CONSTRAINT ck_github_comments_synced_is_named CHECK ((state = 'synced') = (github_id IS NOT NULL)),
    CONSTRAINT ck_github_comments_sent_is_somewhere CHECK (state = 'pending' OR repository_id IS NOT NULL)
);
CREATE UNIQUE INDEX uq_github_comments_github_id ON github_comments (company_id, repository_id, github_id);
CREATE INDEX ix_github_comments_ticket_id ON github_comments (company_id, ticket_id, comment_id);
"""
DELIVERIES = """
CREATE TABLE github_deliveries (
    connection_id uuid NOT NULL,
    delivery_id varchar NOT NULL,
    facts jsonb,
    received_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_github_deliveries PRIMARY KEY (connection_id, delivery_id),
    CONSTRAINT fk_github_deliveries_connection_id_github_connections FOREIGN KEY (connection_id)
        REFERENCES github_connections (id) ON DELETE CASCADE
);
CREATE INDEX ix_github_deliveries_received_at ON github_deliveries (received_at);
"""


def upgrade() -> None:
    op.execute("ALTER TABLE ticket_comments ADD COLUMN author_name varchar")
    for statements in (CONNECTIONS, TOKENS, PUSHES, ISSUES, COMMENTS, DELIVERIES):
        op.execute(statements)
