"""`DATABASE_URL` as libpq reads it; a module of its own, for processes that load no SQLAlchemy."""

from __future__ import annotations


def libpq_url(url: str) -> str:
    """The URL as libpq and psycopg read it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1).replace("postgres://", "postgresql://", 1)
