"""Former keys of projects, which no other project of the company gets."""

from __future__ import annotations

from alembic import op

revision = "0054"
down_revision = "0053"

PROJECT_KEYS = """
CREATE TABLE project_keys (
    company_id uuid NOT NULL,
    key varchar NOT NULL,
    project_id uuid NOT NULL,
    CONSTRAINT pk_project_keys PRIMARY KEY (company_id, key),
    CONSTRAINT fk_project_keys_company_id_projects FOREIGN KEY (company_id, project_id)
        REFERENCES projects (company_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_project_keys_project_id ON project_keys (company_id, project_id);
INSERT INTO project_keys (company_id, key, project_id) SELECT company_id, key, id FROM projects;
"""


def upgrade() -> None:
    op.execute(PROJECT_KEYS)
