"""Every SELECT of accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Interval, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.accounts.models import (
    OneTimeLink,
    RefreshToken,
    Session,
    User,
    email_key,
)
from bugrelay.infra.db.database import Query, Reader

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
    .where(Session.id == bindparam("session_id"), User.id == bindparam("user_id"))
)

# An erased account is nobody's; without this condition the unique indexes could not be used, either.
_ALIVE = User.erased_at.is_(None)


@dataclass(frozen=True)
class StoredPassword:
    """Whose password it is, and what a new one must not equal. `password_hash` is null where none was ever set."""

    user_id: UUID
    password_hash: str | None
    set_at: datetime
    email: str
    username: str
    display_name: str | None


_STORED = select(
    User.id, User.password_hash, User.password_set_at, User.email, User.username, User.display_name
).where(_ALIVE)
_STORED_AT_ADDRESS = Query(_STORED.where(User.email_key == bindparam("email_key")))
_STORED_OF_USER = Query(_STORED.where(User.id == bindparam("user_id")))


async def user_and_session(
    reader: Reader, *, session_id: UUID, user_id: UUID
) -> tuple[str, str, bool, bool, datetime | None, datetime | None, datetime | None] | None:
    """Username, address, admin, verified, banned_at and banned_until of the user, and ended_at of the session."""
    row = await reader.row(_SESSION, {"session_id": session_id, "user_id": user_id})
    return (row[0], row[1], row[2], row[3], row[4], row[5], row[6]) if row else None


async def password_at(reader: Reader, email: str) -> StoredPassword | None:
    """The password of the account at an address."""
    row = await reader.row(_STORED_AT_ADDRESS, {"email_key": email_key(email)})
    return StoredPassword(*row) if row else None


async def password_of(reader: Reader, user_id: UUID) -> StoredPassword | None:
    """The password of a user; None for one who has erased the account."""
    row = await reader.row(_STORED_OF_USER, {"user_id": user_id})
    return StoredPassword(*row) if row else None


async def lock_user(session: AsyncSession, user_id: UUID) -> User | None:
    """The user, whose row is kept to this transaction; None for one who has erased the account."""
    locking = select(User).where(User.id == user_id, _ALIVE).with_for_update(key_share=True)
    return await session.scalar(locking.execution_options(populate_existing=True))


async def user_of_session(session: AsyncSession, session_id: UUID) -> User:
    return (
        await session.scalars(
            select(User).join(Session, Session.user_id == User.id).where(Session.id == session_id)
        )
    ).one()


async def session_of_token(session: AsyncSession, token_hash: bytes) -> UUID | None:
    """The session that a refresh token, used or not, belongs to."""
    return await session.scalar(select(RefreshToken.session_id).where(RefreshToken.token_hash == token_hash))


async def user_id_of(session: AsyncSession, email: str) -> UUID | None:
    """The account at an address, compared without case."""
    return await session.scalar(select(User.id).where(User.email_key == email_key(email), _ALIVE))


_USED_ADDRESSES = Query(
    select(Session.ip_address)
    .join(User, User.id == Session.user_id)
    .where(User.email_key == bindparam("email_key"), _ALIVE, Session.ip_address.is_not(None))
    .group_by(Session.ip_address)
    .order_by(func.max(Session.last_used_at).desc())
    .limit(100)
)


async def addresses_used_by(reader: Reader, email: str) -> list[str]:
    """Where the account's owner has had sessions, latest first."""
    return [row[0] for row in await reader.rows(_USED_ADDRESSES, {"email_key": email_key(email)})]


@dataclass(frozen=True)
class LinkOwner:
    """Whose link it is; a new password must not equal the address or the name."""

    user_id: UUID
    email: str
    username: str
    display_name: str | None


_LINK_OWNER = Query(
    select(User.id, User.email, User.username, User.display_name)
    .join(OneTimeLink, OneTimeLink.user_id == User.id)
    .where(
        OneTimeLink.token_hash == bindparam("token_hash"),
        OneTimeLink.purpose == bindparam("purpose"),
        OneTimeLink.used_at.is_(None),
        OneTimeLink.expires_at > func.now(),
    )
)


async def owner_of_link(reader: Reader, *, token_hash: bytes, purpose: str) -> LinkOwner | None:
    row = await reader.row(_LINK_OWNER, {"token_hash": token_hash, "purpose": purpose})
    return LinkOwner(*row) if row else None


_SESSIONS = Query(
    select(Session.id, Session.created_at, Session.last_used_at, Session.ip_address, Session.user_agent)
    .where(
        Session.user_id == bindparam("user_id"),
        Session.ended_at.is_(None),
        Session.last_used_at > func.now() - bindparam("life", type_=Interval),
    )
    .order_by(Session.last_used_at.desc(), Session.id.desc())
)


async def live_sessions(
    reader: Reader, user_id: UUID, *, life: timedelta
) -> list[tuple[UUID, datetime, datetime, str | None, str | None]]:
    """Id, created, last used, address and agent of the sessions that can go on, last used first.

    Args:
        reader: Where to read.
        user_id: Whose sessions.
        life: Of a refresh token: a session that was not used for as long cannot be renewed.
    """
    rows = await reader.rows(_SESSIONS, {"user_id": user_id, "life": life})
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


_ID_AT = Query(select(User.id).where(User.email_key == bindparam("email_key"), _ALIVE))


async def id_at_address(reader: Reader, email: str) -> UUID | None:
    row = await reader.row(_ID_AT, {"email_key": email_key(email)})
    return row[0] if row else None
