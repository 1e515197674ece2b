"""The commands as an operator runs them: a process of their own on this test's empty board."""

from __future__ import annotations

from typing import Any

import psycopg

# What production asks for beyond the stores and the key.
PRODUCTION = {
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://bugs.example",
    "MAIL_URL": "smtp://127.0.0.1:1",
    "CAPTCHA": "off",
}


def stored(sql: psycopg.Connection[Any], columns: str) -> list[tuple[Any, ...]]:
    """Columns of all bugs with their texts and applications, in the order of their external ids."""
    return sql.execute(
        f"SELECT {columns} FROM bugs b JOIN bug_texts t ON t.bug_id = b.id"  # type: ignore[arg-type]
        " JOIN applications a ON a.id = b.application_id ORDER BY b.external_id"
    ).fetchall()
