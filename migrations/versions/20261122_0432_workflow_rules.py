"""Workflow rules, what they have done, and what webhooks are told of it. docs/adr/0044."""

from __future__ import annotations

from alembic import op

revision = "0046"
down_revision = "0045"

RULES = """
CREATE TABLE workflow_rules (
    id uuid NOT NULL,
    company_id uuid NOT NULL,
    name varchar NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    position integer NOT NULL,
    project_id uuid,
    trigger varchar NOT NULL,
    idle_hours integer,
    idle_seq bigint,
    conditions jsonb NOT NULL,
    actions jsonb NOT NULL,
    active_since timestamptz DEFAULT now() NOT NULL,
    disabled_reason varchar,
    disabled_at timestamptz,
    version integer DEFAULT 1 NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_workflow_rules PRIMARY KEY (id),
    CONSTRAINT uq_workflow_rules_company_id UNIQUE (company_id, id),
    CONSTRAINT fk_workflow_rules_company_id_companies FOREIGN KEY (company_id)
        REFERENCES companies (id) ON DELETE CASCADE,
    CONSTRAINT fk_workflow_rules_company_id_projects FOREIGN KEY (company_id, project_id)
        REFERENCES projects (company_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_workflow_rules_created_by_users FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT ck_workflow_rules_idle_has_a_bound CHECK ((trigger = 'ticket.idle') = (idle_hours IS NOT NULL)),
    CONSTRAINT ck_workflow_rules_disabled_reason_is_known CHECK (disabled_reason IN ('runs_wild')),
    CONSTRAINT ck_workflow_rules_enabled_has_no_reason CHECK (NOT (enabled AND disabled_reason IS NOT NULL))
)
"""
RUNS = """
CREATE TABLE workflow_runs (
    id uuid NOT NULL,
    company_id uuid NOT NULL,
    rule_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    seq bigint NOT NULL,
    state varchar NOT NULL,
    reason varchar,
    acts integer DEFAULT 0 NOT NULL,
    results jsonb NOT NULL,
    happened_at timestamptz NOT NULL,
    at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_workflow_runs PRIMARY KEY (id),
    CONSTRAINT uq_workflow_runs_company_id UNIQUE (company_id, rule_id, seq),
    CONSTRAINT fk_workflow_runs_company_id_tickets FOREIGN KEY (company_id, ticket_id)
        REFERENCES tickets (company_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_workflow_runs_state_is_known CHECK (state IN ('done', 'skipped', 'failed', 'disabled'))
)
"""


def upgrade() -> None:
    op.execute(RULES)
    op.create_index("ix_workflow_rules_position", "workflow_rules", ["company_id", "position", "id"])
    op.execute(RUNS)
    op.create_index("ix_workflow_runs_at", "workflow_runs", ["at"])
    op.create_index("ix_workflow_runs_rule_id", "workflow_runs", ["company_id", "rule_id", "id"])
    op.create_index("ix_workflow_runs_seq", "workflow_runs", ["company_id", "seq"])
    op.create_index(
        "ix_workflow_runs_ticket_id", "workflow_runs", ["company_id", "ticket_id", "rule_id", "happened_at"]
    )
    op.execute("ALTER TABLE webhook_deliveries ADD COLUMN data jsonb")
