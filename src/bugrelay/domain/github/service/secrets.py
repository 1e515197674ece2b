"""Tokens and signing secrets, encrypted for their row and company, so that a copied row cannot be decrypted."""

from __future__ import annotations

from uuid import UUID

from bugrelay.domain.github.schemas import ConnectionRow, DefaultRepository
from bugrelay.infra.security.encryption import Encryption, SecretUnreadable
from bugrelay.infra.security.tokens import hash_secret
from bugrelay.settings import Settings

SHOWN_CHARACTERS = 4


def default_repository(settings: Settings) -> DefaultRepository | None:
    """The operator's repository, if one is configured."""
    if not settings.github_enabled:
        return None
    return DefaultRepository(settings.github_repo, settings.github_token, settings.github_labels)


def token_purpose(company_id: UUID) -> str:
    return f"github token of {company_id}"


def secret_purpose(company_id: UUID) -> str:
    return f"github webhook of {company_id}"


def token_key(token: str) -> bytes:
    """The key of the token's lease: a hash."""
    return hash_secret(f"github {token}")


def token_of(
    connection: ConnectionRow, *, encryption: Encryption, default: DefaultRepository | None
) -> str | None:
    """The token of a connection; None where it uses the default and the operator has none any more.

    Raises:
        SecretUnreadable
    """
    if connection.token is None:
        return default.token if default else None
    purpose = token_purpose(connection.company_id)
    return encryption.decrypt(connection.token, purpose=purpose, row_id=connection.id).decode()


def repo_of(connection: ConnectionRow, *, default: DefaultRepository | None) -> str | None:
    """The repository's name; None where it uses the default and the operator has none any more."""
    return connection.repo if not connection.uses_default else default.repo if default else None


def token_shown(connection: ConnectionRow, encryption: Encryption) -> str | None:
    """The end of the company's own token, for display; None where there is none, or it cannot be decrypted."""
    if connection.token is None:
        return None
    try:
        token = token_of(connection, encryption=encryption, default=None)
    except SecretUnreadable:
        return None
    return f"…{token[-SHOWN_CHARACTERS:]}" if token else None
