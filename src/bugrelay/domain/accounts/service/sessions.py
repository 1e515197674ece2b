"""Sessions: sign in, refresh, sign out; and authentication by access token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, update

from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.errors import InvalidCredentials, SessionNotFound
from bugrelay.domain.accounts.models import RefreshToken, Session, User
from bugrelay.domain.accounts.policies import is_banned
from bugrelay.domain.accounts.service.password_check import PasswordCheck
from bugrelay.domain.accounts.visibility import EXISTING, sessions_visible_to
from bugrelay.errors import AccountBanned, InvalidToken
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.security.tokens import AccessTokens, hash_secret, new_secret
from bugrelay.infra.viewer import SignedInViewer


@dataclass(frozen=True)
class Device:
    """The device that a session was opened from, as shown in its owner's list of sessions."""

    ip_address: str
    user_agent: str | None


@dataclass(frozen=True)
class OpenedSession:
    user_id: UUID
    session_id: UUID
    refresh_token: str


async def authenticate(token: str, *, reader: Reader, tokens: AccessTokens) -> SignedInViewer:
    """The user of an access token, with their current rights.

    Raises:
        InvalidToken: Forged, expired, or its session has ended.
        AccountBanned: The account is banned; also for sessions that the ban has ended.
    """
    claims = tokens.read(token)
    state = await repository.session_state(reader, session_id=claims.session_id, user_id=claims.user_id)
    if state is None:
        raise InvalidToken
    if is_banned(state.banned_at, state.banned_until, now=datetime.now(UTC)):
        raise AccountBanned
    if state.ended_at is not None:
        raise InvalidToken
    return SignedInViewer(
        claims.user_id,
        claims.session_id,
        state.username,
        state.email,
        state.is_admin,
        state.is_email_verified,
    )


async def signed_in_user(work: UnitOfWork, proof: PasswordCheck) -> User:
    """The user whose password was checked.

    It locks the user's row, for which all sign-ins of the account wait, so it comes last in the transaction. A
    concurrent change of the password either makes this fail, or sees the session that was opened.

    Raises:
        InvalidCredentials: The password was replaced, or the account erased, since the check.
        AccountBanned
    """
    values: dict[str, Any] = {"last_active_at": func.now()}
    if proof.fresh_hash is not None:
        values["password_hash"] = proof.fresh_hash
    confirming = (
        update(User)
        .where(User.id == proof.user_id, User.password_set_at == proof.set_at, EXISTING)
        .values(**values)
        .returning(User)
        .execution_options(synchronize_session=False)
    )
    user = await work.session.scalar(confirming)
    if user is None:
        raise InvalidCredentials
    if is_banned(user.banned_at, user.banned_until, now=datetime.now(UTC)):
        raise AccountBanned
    return user


async def open_session(
    work: UnitOfWork, user_id: UUID, device: Device, *, refresh_days: int
) -> OpenedSession:
    """Open a session, with its first refresh token."""
    session_id = new_id()
    work.session.add(
        Session(id=session_id, user_id=user_id, ip_address=device.ip_address, user_agent=device.user_agent)
    )
    # Without a relationship between the two, one flush would insert them in any order.
    await work.session.flush()
    refresh_token = await _issue_refresh_token(work, session_id, refresh_days=refresh_days)
    return OpenedSession(user_id, session_id, refresh_token)


async def _issue_refresh_token(work: UnitOfWork, session_id: UUID, *, refresh_days: int) -> str:
    secret = new_secret()
    expires_at = datetime.now(UTC) + timedelta(days=refresh_days)
    work.session.add(
        RefreshToken(
            id=new_id(), session_id=session_id, token_hash=hash_secret(secret), expires_at=expires_at
        )
    )
    await work.session.flush()
    return secret


async def rotate_refresh_token(
    work: UnitOfWork, refresh_token: str, device: Device, *, refresh_days: int
) -> OpenedSession | None:
    """Exchange a refresh token for a new one; returns None if it is not valid.

    A token that was used before ends its session, since a thief may have the other copy. None is returned rather than
    an error raised, so that this is committed.

    Raises:
        AccountBanned
    """
    token_hash = hash_secret(refresh_token)
    session_id = await _use_refresh_token(work, token_hash)
    if session_id is None:
        reused = await repository.session_of_token(work, token_hash)
        if reused is not None:
            await end_session(work, reused)
        return None
    user = await repository.user_of_session(work.session, session_id)
    if is_banned(user.banned_at, user.banned_until, now=datetime.now(UTC)):
        raise AccountBanned
    await work.session.execute(
        update(Session)
        .where(Session.id == session_id)
        .values(last_used_at=func.now(), ip_address=device.ip_address, user_agent=device.user_agent)
    )
    return OpenedSession(
        user.id, session_id, await _issue_refresh_token(work, session_id, refresh_days=refresh_days)
    )


async def _use_refresh_token(work: UnitOfWork, token_hash: bytes) -> UUID | None:
    """Mark a valid refresh token as used; returns the id of its session, or None if it is not valid."""
    using = (
        update(RefreshToken)
        .where(
            RefreshToken.token_hash == token_hash,
            RefreshToken.used_at.is_(None),
            RefreshToken.expires_at > func.now(),
            RefreshToken.session_id == Session.id,
            Session.ended_at.is_(None),
        )
        .values(used_at=func.now())
        .returning(RefreshToken.session_id)
        .execution_options(synchronize_session=False)
    )
    session_id: UUID | None = await work.session.scalar(using)
    return session_id


async def end_session(work: UnitOfWork, session_id: UUID) -> None:
    """End a session, which all processes see from the next request on."""
    await work.session.execute(
        update(Session)
        .where(Session.id == session_id, Session.ended_at.is_(None))
        .values(ended_at=func.now())
    )


async def end_all_sessions(work: UnitOfWork, user_id: UUID, *, but: UUID | None = None) -> None:
    """End all sessions of the user, except `but`."""
    ending = update(Session).where(Session.user_id == user_id, Session.ended_at.is_(None))
    if but is not None:
        ending = ending.where(Session.id != but)
    await work.session.execute(ending.values(ended_at=func.now()))


async def end_my_session(work: UnitOfWork, session_id: UUID, *, user_id: UUID, life: timedelta) -> None:
    """End one of the user's visible sessions; `life` is the lifetime of a refresh token.

    Raises:
        SessionNotFound: It is not one of them.
    """
    ending = (
        update(Session)
        .where(Session.id == session_id, sessions_visible_to(user_id, life=life))
        .values(ended_at=func.now())
        .returning(Session.id)
        .execution_options(synchronize_session=False)
    )
    if await work.session.scalar(ending) is None:
        raise SessionNotFound


async def lock_active_user(work: UnitOfWork, user_id: UUID) -> None:
    """Lock the acting user's row and update `last_active_at`.

    Every change by a user begins here: the lock serialises the changes of one user, and orders them against a ban.

    Raises:
        AccountBanned
        InvalidToken: The account was erased meanwhile.
    """
    active = (
        update(User)
        .where(User.id == user_id, repository.ACTIVE)
        .values(last_active_at=func.now())
        .execution_options(synchronize_session=False)
    )
    if not (await work.session.execute(active.returning(User.id))).first():
        known = await repository.lock_user(work.session, user_id)
        raise AccountBanned if known else InvalidToken
