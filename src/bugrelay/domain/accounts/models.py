"""Tables of users, sessions, refresh tokens, mailed links, failed sign-ins, and identities of providers."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base, CreatedAt, Id, Moment
from bugrelay.infra.validation import email_address

ALIVE = text("erased_at IS NULL")


def email_key(email: str) -> str:
    """The key by which addresses are compared: normalised as in registration, case-folded. Accepts any text."""
    with suppress(ValueError):
        email = email_address(email)
    return email.casefold()


def account_hash(email: str) -> bytes:
    """SHA-256 of the address's key, under which failed sign-ins are counted, whether or not there is an account."""
    return hashlib.sha256(email_key(email).encode("utf-8", "replace")).digest()


class User(Base):
    """An account. `email_key` is the case-folded address: one account for each address, whatever the database's locale.

    An erased account keeps its row, with the name "deleted user" and without an address, so that its texts and votes
    stay. A ban with `banned_until` ends at that time. `password_set_at` changes when the owner sets a password, not
    when the same password is rehashed.
    """

    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_email_key", "email_key", unique=True, postgresql_where=ALIVE),
        Index("uq_users_username", text("lower(username)"), unique=True, postgresql_where=ALIVE),
    )

    id: Mapped[Id]
    email: Mapped[str]
    email_key: Mapped[str]
    username: Mapped[str]
    display_name: Mapped[str | None]
    avatar_url: Mapped[str | None]
    password_hash: Mapped[str | None]
    password_set_at: Mapped[CreatedAt]
    auth_provider: Mapped[str] = mapped_column(server_default="password")
    is_email_verified: Mapped[bool] = mapped_column(server_default="false")
    is_admin: Mapped[bool] = mapped_column(server_default="false")
    banned_at: Mapped[Moment | None]
    banned_until: Mapped[Moment | None]
    erased_at: Mapped[Moment | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    last_active_at: Mapped[CreatedAt]


class Session(Base):
    """A session: one sign-in, with its family of refresh tokens. Access tokens name it; once ended, it stays ended."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_user_id", "user_id"),)

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    ip_address: Mapped[str | None]
    user_agent: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[CreatedAt]
    ended_at: Mapped[Moment | None]


class RefreshToken(Base):
    """A refresh token, valid for one use; only its SHA-256 is stored. If a used one is sent again, its session ends."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("uq_refresh_tokens_token_hash", "token_hash", unique=True),
        Index("ix_refresh_tokens_session_id", "session_id"),
        CheckConstraint("length(token_hash) = 32", name="token_hash_is_sha256"),
    )

    id: Mapped[Id]
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]


VERIFY_EMAIL = "verify_email"
RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose, not a password


class OneTimeLink(Base):
    """A mailed link, valid once: one for each user and purpose, a newer one (by its id) replaces the older.

    The token is derived from the signing key and this row's id when the mail is written
    (infra/security/signed_links.py), so neither the database nor a job has a copy, and a mail that is sent again has
    the same link.
    """

    __tablename__ = "one_time_links"
    __table_args__ = (
        Index("uq_one_time_links_user_id_purpose", "user_id", "purpose", unique=True),
        Index("uq_one_time_links_token_hash", "token_hash", unique=True),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    purpose: Mapped[str]
    email: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]


class SignInFailure(Base):
    """A failed sign-in, or one whose password is still being checked (`under_way`), which is counted in advance.

    The account is stored as a hash of the address, whether or not it exists.
    """

    __tablename__ = "sign_in_failures"
    __table_args__ = (Index("ix_sign_in_failures_account_hash", "account_hash", "at"),)

    id: Mapped[Id]
    account_hash: Mapped[bytes] = mapped_column(LargeBinary)
    ip_address: Mapped[str]
    under_way: Mapped[bool] = mapped_column(server_default="false")
    at: Mapped[CreatedAt]


class Identity(Base):
    """An account at a provider that can sign in to an account here, identified by `issuer` and `subject`.

    `email` is the address that the provider had verified at the last sign-in, or null; it never identifies anybody.
    """

    __tablename__ = "user_identities"
    __table_args__ = (
        Index("uq_user_identities_issuer_subject", "issuer", "subject", unique=True),
        Index("uq_user_identities_user_id_provider", "user_id", "provider", unique=True),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    provider: Mapped[str]
    issuer: Mapped[str]
    subject: Mapped[str]
    email: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[CreatedAt]


class OAuthRequest(Base):
    """A sign-in in progress at a provider, found by its state, only once and only in the browser that began it.

    With `session_id`, its purpose is to link an identity to the account of that session. Without `browser_hash`, the
    browser has not been sent to the provider yet: the state is the ticket with which it will be.
    The nonce and the PKCE verifier are derived from the signing key and the id, as the tokens of mailed links are.
    """

    __tablename__ = "oauth_requests"
    __table_args__ = (
        Index("uq_oauth_requests_state_hash", "state_hash", unique=True),
        Index("ix_oauth_requests_session_id", "session_id"),
    )

    id: Mapped[Id]
    state_hash: Mapped[bytes] = mapped_column(LargeBinary)
    browser_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    provider: Mapped[str]
    return_to: Mapped[str]
    code_challenge: Mapped[str]
    session_id: Mapped[UUID | None] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]


class OAuthCode(Base):
    """A code that the browser takes from the callback to the client, which exchanges it once, with its own verifier.

    It either signs in to the account of `identity_id`, or links the identity described here to the account of
    `session_id`.
    """

    __tablename__ = "oauth_codes"
    __table_args__ = (
        Index("uq_oauth_codes_code_hash", "code_hash", unique=True),
        Index("ix_oauth_codes_identity_id", "identity_id"),
        Index("ix_oauth_codes_session_id", "session_id"),
        CheckConstraint("(identity_id IS NULL) <> (session_id IS NULL)", name="one_purpose"),
    )

    id: Mapped[Id]
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    code_challenge: Mapped[str]
    identity_id: Mapped[UUID | None] = mapped_column(ForeignKey("user_identities.id", ondelete="CASCADE"))
    session_id: Mapped[UUID | None] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    provider: Mapped[str]
    issuer: Mapped[str | None]
    subject: Mapped[str | None]
    email: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
