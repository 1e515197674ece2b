"""Every SELECT of accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Interval, and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.accounts.models import (
    Identity,
    OAuthCode,
    OneTimeLink,
    RefreshToken,
    Session,
    User,
    email_key,
)
from bugrelay.domain.accounts.visibility import EXISTING, sessions_visible_to
from bugrelay.infra.db.query import Query, Reader, Row

# An account that may be used: `policies.is_banned` in SQL.
ACTIVE = and_(EXISTING, or_(User.banned_at.is_(None), User.banned_until <= func.now()))


def holds(*, session_id: Any, user_id: Any) -> ColumnElement[bool]:
    """Condition that a session is the user's and has not ended; `ACTIVE` is the one that the account may be used."""
    return and_(Session.id == session_id, Session.user_id == user_id, Session.ended_at.is_(None))


class SessionState(Row):
    """What the rights of an access token depend on: its user, and whether its session has ended."""

    username: str
    email: str
    is_admin: bool
    is_email_verified: bool
    banned_at: datetime | None
    banned_until: datetime | None
    ended_at: datetime | None


_SESSION = Query(
    select(
        User.username,
        User.email,
        User.is_admin,
        User.is_email_verified,
        User.banned_at,
        User.banned_until,
        Session.ended_at,
    )
    .join(Session, Session.user_id == User.id)
    .where(Session.id == bindparam("session_id"), User.id == bindparam("user_id")),
    SessionState,
)


class StoredPassword(Row):
    """A stored password, its user, and their names, which a new password must not equal.

    `password_hash` is None for an account without a password.
    """

    user_id: UUID
    password_hash: str | None
    set_at: datetime
    email: str
    username: str
    display_name: str | None


_STORED = select(
    User.id.label("user_id"),
    User.password_hash,
    User.password_set_at.label("set_at"),
    User.email,
    User.username,
    User.display_name,
).where(EXISTING)
_STORED_AT_ADDRESS = Query(_STORED.where(User.email_key == bindparam("email_key")), StoredPassword)
_STORED_OF_USER = Query(_STORED.where(User.id == bindparam("user_id")), StoredPassword)


async def session_state(reader: Reader, *, session_id: UUID, user_id: UUID) -> SessionState | None:
    return await reader.row(_SESSION, {"session_id": session_id, "user_id": user_id})


async def password_at(reader: Reader, email: str) -> StoredPassword | None:
    """The password of the account at an address."""
    return await reader.row(_STORED_AT_ADDRESS, {"email_key": email_key(email)})


async def password_of(reader: Reader, user_id: UUID) -> StoredPassword | None:
    """The password of a user, or None if the account was erased."""
    return await reader.row(_STORED_OF_USER, {"user_id": user_id})


async def lock_user(session: AsyncSession, user_id: UUID) -> User | None:
    """The user, their row locked until the transaction ends; None if the account was erased."""
    locking = select(User).where(User.id == user_id, EXISTING).with_for_update(key_share=True)
    return await session.scalar(locking.execution_options(populate_existing=True))


async def user_of_session(session: AsyncSession, session_id: UUID) -> User:
    return (
        await session.scalars(
            select(User).join(Session, Session.user_id == User.id).where(Session.id == session_id)
        )
    ).one()


_SESSION_OF_TOKEN = Query(
    select(RefreshToken.session_id).where(RefreshToken.token_hash == bindparam("token_hash")), UUID
)


async def session_of_token(reader: Reader, token_hash: bytes) -> UUID | None:
    """The id of the session of a refresh token, used or not."""
    return await reader.row(_SESSION_OF_TOKEN, {"token_hash": token_hash})


class AccountAtAddress(Row):
    """The account at an address; `is_email_verified`: its owner has proven the address."""

    id: UUID
    is_email_verified: bool


_AT_ADDRESS = Query(
    select(User.id, User.is_email_verified).where(User.email_key == bindparam("email_key"), EXISTING),
    AccountAtAddress,
)


async def account_at(reader: Reader, email: str) -> AccountAtAddress | None:
    """The account at an address, compared by `email_key`."""
    return await reader.row(_AT_ADDRESS, {"email_key": email_key(email)})


_USED_ADDRESSES = Query(
    select(Session.ip_address)
    .join(User, User.id == Session.user_id)
    .where(User.email_key == bindparam("email_key"), EXISTING, Session.ip_address.is_not(None))
    .group_by(Session.ip_address)
    .order_by(func.max(Session.last_used_at).desc())
    .limit(100),
    str,
)


async def addresses_used_by(reader: Reader, email: str) -> Sequence[str]:
    """Network addresses of the account's latest sessions, at most 100, the latest first."""
    return await reader.rows(_USED_ADDRESSES, {"email_key": email_key(email)})


class LinkOwner(Row):
    """The user of a link, with their address and names, which a new password must not equal."""

    user_id: UUID
    email: str
    username: str
    display_name: str | None


_LINK_OWNER = Query(
    select(User.id.label("user_id"), User.email, User.username, User.display_name)
    .join(OneTimeLink, OneTimeLink.user_id == User.id)
    .where(
        OneTimeLink.token_hash == bindparam("token_hash"),
        OneTimeLink.purpose == bindparam("purpose"),
        OneTimeLink.used_at.is_(None),
        OneTimeLink.expires_at > func.now(),
    ),
    LinkOwner,
)


async def owner_of_link(reader: Reader, *, token_hash: bytes, purpose: str) -> LinkOwner | None:
    """The user of a link, or None if the link cannot be used any more."""
    return await reader.row(_LINK_OWNER, {"token_hash": token_hash, "purpose": purpose})


_NAMED_BY_LINK = Query(
    select(OneTimeLink.user_id).where(OneTimeLink.token_hash == bindparam("token_hash")), UUID
)


async def user_named_by_link(reader: Reader, token_hash: bytes) -> UUID | None:
    """The id of the user of a link, whatever its purpose and state: their row is locked before the link is checked."""
    return await reader.row(_NAMED_BY_LINK, {"token_hash": token_hash})


class LiveSession(Row):
    """A session that can be continued; address and agent are those of its last use."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    ip_address: str | None
    user_agent: str | None


_SESSIONS = Query(
    select(Session.id, Session.created_at, Session.last_used_at, Session.ip_address, Session.user_agent)
    .where(sessions_visible_to(bindparam("user_id"), life=bindparam("life", type_=Interval)))
    .order_by(Session.last_used_at.desc(), Session.id.desc()),
    LiveSession,
)


async def live_sessions(reader: Reader, user_id: UUID, *, life: timedelta) -> Sequence[LiveSession]:
    """The user's sessions that can be continued, last used first; `life` is the lifetime of a refresh token."""
    return await reader.rows(_SESSIONS, {"user_id": user_id, "life": life})


class IdentityState(Row):
    """An identity, and whether its account is banned."""

    id: UUID
    user_id: UUID
    banned_at: datetime | None
    banned_until: datetime | None


_IDENTITY = Query(
    select(Identity.id, Identity.user_id, User.banned_at, User.banned_until)
    .join(User, User.id == Identity.user_id)
    .where(Identity.issuer == bindparam("issuer"), Identity.subject == bindparam("subject"), EXISTING),
    IdentityState,
)


async def identity(reader: Reader, *, issuer: str, subject: str) -> IdentityState | None:
    """The identity, or None if it is linked to no account."""
    return await reader.row(_IDENTITY, {"issuer": issuer, "subject": subject})


async def identities_of(session: AsyncSession, user_id: UUID) -> Sequence[Identity]:
    """The identities that are linked to the account; callers that change them must have locked the user's row."""
    return (await session.scalars(select(Identity).where(Identity.user_id == user_id))).all()


_OWNER_OF_SESSION = Query(
    select(Session.user_id).where(Session.id == bindparam("session_id"), Session.ended_at.is_(None)), UUID
)


async def owner_of_session(reader: Reader, session_id: UUID) -> UUID | None:
    """The id of the session's user, or None if it has ended."""
    return await reader.row(_OWNER_OF_SESSION, {"session_id": session_id})


_OWNER_OF_CODE = Query(
    select(func.coalesce(Identity.user_id, Session.user_id).label("user_id"))
    .select_from(OAuthCode)
    .outerjoin(Identity, Identity.id == OAuthCode.identity_id)
    .outerjoin(Session, Session.id == OAuthCode.session_id)
    .where(
        OAuthCode.code_hash == bindparam("code_hash"),
        OAuthCode.code_challenge == bindparam("code_challenge"),
        OAuthCode.expires_at > func.now(),
    ),
    UUID,
)


async def owner_of_code(reader: Reader, *, code_hash: bytes, code_challenge: str) -> UUID | None:
    """The id of the user that a code signs in, or links an identity to: their row is locked before the code is used."""
    return await reader.row(_OWNER_OF_CODE, {"code_hash": code_hash, "code_challenge": code_challenge})
