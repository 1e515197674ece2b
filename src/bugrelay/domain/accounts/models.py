"""Users, their sessions, the refresh tokens of a session, and the identities that they sign in with elsewhere."""

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
    """What addresses are compared by: the form they are registered in, without case. Any text will do."""
    with suppress(ValueError):
        email = email_address(email)
    return email.casefold()


def account_hash(email: str) -> bytes:
    """What wrong passwords are counted under, whether or not there is an account."""
    return hashlib.sha256(email_key(email).encode("utf-8", "replace")).digest()


class User(Base):
    """An account. `email_key` is the address without case: one account an address, whatever the database's locale.

    An erased account keeps its row, under the name "deleted user" and without an address, so that what was written
    and voted stays counted. A ban with `banned_until` ends by itself. `password_set_at` moves when the owner sets a
    password, not when the same one is hashed anew.
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
    """One sign-in: the family of its refresh tokens. It ends once, for good; access tokens name it."""

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
    """Good for one use; only its SHA-256 is kept. A used one that comes back ends its session."""

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
    """A mailed link: one a user and purpose, good once; a newer one (by its id) replaces the older.

    The token is derived from the signing key and this row's id when the mail is written
    (infra/security/signed_links.py), so that no copy of it lies in the database or in a job, and a mail that is sent
    again carries the same link.
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
    """A wrong password, or one that is being checked (`under_way`), which is counted before.

    The account is kept as a hash of the address, whether or not there is one.
    """

    __tablename__ = "sign_in_failures"
    __table_args__ = (Index("ix_sign_in_failures_account_hash", "account_hash", "at"),)

    id: Mapped[Id]
    account_hash: Mapped[bytes] = mapped_column(LargeBinary)
    ip_address: Mapped[str]
    under_way: Mapped[bool] = mapped_column(server_default="false")
    at: Mapped[CreatedAt]


class Identity(Base):
    """An account at a provider that opens an account of ours. Who it is: `issuer` and `subject`, never the address.

    `email` is what the provider has proven of it, when it was last used; null where it has proven nothing.
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
    """A sign-in that is under way at a provider: found by its state, in the browser that began it, once.

    With `session_id` it is to link an identity to the account of that session. Without `browser_hash` it has not
    gone to the provider yet: its state is the ticket that takes the browser there.
    The nonce and the verifier of PKCE are derived from the signing key and the id, as the tokens of mailed links are.
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
    """What the browser brings from the callback to the client, which exchanges it once, with its own verifier.

    Either for the account of `identity_id`, or to link the identity that is described here to the account of
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
