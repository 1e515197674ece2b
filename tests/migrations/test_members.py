"""Members of a released board: by what their place stands after the upgrade."""

from __future__ import annotations

import psycopg

from bugrelay.migrate import migrate
from bugrelay.settings import load_settings
from tests.migrations.conftest import NewDatabase
from tests.migrations.test_schema import RELEASED

BOARD = """
INSERT INTO companies (id, name, domain, verified)
VALUES ('00000000-0000-7000-8000-00000000000c', 'Paper', 'paper.example', true);
INSERT INTO users (id, email, email_key, username) SELECT
    ('00000000-0000-7000-8000-00000000000' || n)::uuid, name || '@paper.example', name || '@paper.example', name
FROM (VALUES (1, 'claimant'), (2, 'added'), (3, 'again')) AS people (n, name);
INSERT INTO company_members (id, company_id, user_id, role, added_at)
SELECT gen_random_uuid(), '00000000-0000-7000-8000-00000000000c', id, 'admin',
       CASE username WHEN 'again' THEN now() ELSE now() - interval '2 days' END
FROM users;
INSERT INTO audit_logs (id, action, resource, resource_id, user_id, created_at)
SELECT gen_random_uuid(), 'company_claim', 'company', '00000000-0000-7000-8000-00000000000c', id,
       now() - interval '1 day'
FROM users WHERE username <> 'added';
"""


def test_members_without_a_claim_depend_on_their_address(
    new_database: NewDatabase,
) -> None:
    """One who claimed the company, was removed and is added again stands by their address, too."""
    released = new_database()
    with psycopg.connect(released, autocommit=True) as connection:
        connection.execute(RELEASED)
        connection.execute(BOARD)
    migrate(load_settings({"DATABASE_URL": released}))
    with psycopg.connect(released) as connection:
        rows = connection.execute(
            "SELECT u.username, m.email_key FROM company_members m JOIN users u ON u.id = m.user_id ORDER BY 1"
        ).fetchall()
    assert rows == [("added", "added@paper.example"), ("again", "again@paper.example"), ("claimant", None)]
