"""How the tickets of a project stood at the end of each day. docs/adr/0039."""

from __future__ import annotations

from alembic import op

from bugrelay.migrate import create_functions

revision = "0040"
down_revision = "0039"

_TABLES = """
CREATE TABLE daily_stats (
    company_id uuid NOT NULL, project_id uuid NOT NULL, date date NOT NULL,
    total_issues integer NOT NULL, open_issues integer NOT NULL, triaged_issues integer NOT NULL,
    in_progress_issues integer NOT NULL, done_issues integer NOT NULL,
    low_count integer NOT NULL, medium_count integer NOT NULL, high_count integer NOT NULL, critical_count integer NOT NULL,
    created_count integer NOT NULL, resolved_count integer NOT NULL,
    CONSTRAINT pk_daily_stats PRIMARY KEY (company_id, project_id, date),
    CONSTRAINT fk_daily_stats_company_id_projects FOREIGN KEY (company_id, project_id)
        REFERENCES projects (company_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_daily_stats_date ON daily_stats (company_id, date);
CREATE TABLE daily_stats_days (
    company_id uuid NOT NULL, date date NOT NULL, last_seq bigint NOT NULL, counted_at timestamptz NOT NULL,
    CONSTRAINT pk_daily_stats_days PRIMARY KEY (company_id, date),
    CONSTRAINT fk_daily_stats_days_company_id_companies FOREIGN KEY (company_id) REFERENCES companies (id) ON DELETE CASCADE
);
"""


def upgrade() -> None:
    op.execute(_TABLES)
    create_functions("daily_stats_fill")
