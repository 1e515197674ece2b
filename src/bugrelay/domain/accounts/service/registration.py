"""Create accounts, change their profiles and passwords, erase them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import delete, func, update
from sqlalchemy.exc import IntegrityError

from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.errors import (
    EmailAlreadyExists,
    InvalidCurrentPassword,
    UsernameTaken,
    WeakPassword,
)
from bugrelay.domain.accounts.events import (
    AccountErased,
    AccountRegistered,
    EmailVerified,
    PasswordChanged,
    ProfileChanged,
)
from bugrelay.domain.accounts.models import (
    RESET_PASSWORD,
    Identity,
    OneTimeLink,
    Session,
    SignInFailure,
    User,
    account_hash,
    email_key,
)
from bugrelay.domain.accounts.schemas import ProfileChange, Register
from bugrelay.errors import InvalidToken
from bugrelay.infra.db.database import violated_constraint
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.idempotency import delete_responses_of
from bugrelay.infra.ids import new_id
from bugrelay.infra.security.passwords import Passwords, weakness

DELETED_USER = "deleted user"


async def hash_password(
    passwords: Passwords, password: str, *, email: str, username: str, display_name: str | None = None
) -> str:
    """Hash a new password.

    Raises:
        WeakPassword: The message says why.
    """
    reason = weakness(password, email=email, names=[username, display_name or ""])
    if reason is not None:
        raise WeakPassword(reason)
    return await passwords.hash(password)


async def create_user(
    work: UnitOfWork, wanted: Register, *, password_hash: str, is_admin: bool = False
) -> User:
    """Create an account with a password.

    Raises:
        EmailAlreadyExists, UsernameTaken: Decided by the unique indexes, so also in a race.
    """
    user = _new_user(wanted.email, wanted.username, display_name=wanted.display_name)
    user.password_hash, user.is_admin = password_hash, is_admin
    await _add_user(work, user)
    return user


async def create_user_of_provider(
    work: UnitOfWork,
    provider: str,
    *,
    email: str,
    is_email_proven: bool,
    username: str,
    display_name: str | None,
) -> User:
    """Create an account without a password; the caller adds its identity.

    Raises:
        EmailAlreadyExists, UsernameTaken: Decided by the unique indexes, so also in a race.
    """
    user = _new_user(email, username, display_name=display_name)
    user.auth_provider, user.is_email_verified = provider, is_email_proven
    await _add_user(work, user)
    if is_email_proven:
        work.record(EmailVerified(user_id=user.id))
    return user


def _new_user(email: str, username: str, *, display_name: str | None) -> User:
    now = datetime.now(UTC)
    return User(
        id=new_id(),
        email=email,
        email_key=email_key(email),
        username=username,
        display_name=display_name,
        avatar_url=None,
        password_hash=None,
        password_set_at=now,
        auth_provider="password",
        is_email_verified=False,
        is_admin=False,
        created_at=now,
        updated_at=now,
        last_active_at=now,
    )


async def _add_user(work: UnitOfWork, user: User) -> None:
    work.session.add(user)
    await _flush_user(work)
    work.record(AccountRegistered(user_id=user.id, is_admin=user.is_admin))


async def _flush_user(work: UnitOfWork) -> None:
    try:
        await work.session.flush()
    except IntegrityError as error:
        taken = {"uq_users_email_key": EmailAlreadyExists, "uq_users_username": UsernameTaken}
        known = taken.get(violated_constraint(error) or "")
        if known is None:
            raise
        raise known from error


async def change_profile(work: UnitOfWork, user_id: UUID, change: ProfileChange) -> None:
    """Change the profile; absent fields stay unchanged.

    Raises:
        UsernameTaken
        InvalidToken: The account was erased meanwhile.
    """
    user = await repository.lock_user(work.session, user_id)
    if user is None:
        raise InvalidToken
    if change.display_name is not UNSET:
        user.display_name = change.display_name
    if change.avatar_url is not UNSET:
        user.avatar_url = change.avatar_url
    if change.username is not UNSET and change.username is not None:
        user.username = change.username
    user.updated_at = datetime.now(UTC)
    await _flush_user(work)
    changed = (name for name in ProfileChange.__struct_fields__ if getattr(change, name) is not UNSET)
    work.record(ProfileChanged(user_id=user_id, fields=tuple(changed)))


async def set_password(
    work: UnitOfWork, user_id: UUID, *, proven_set_at: datetime, password_hash: str
) -> None:
    """Replace the password, and invalidate a mailed link to reset it.

    Raises:
        InvalidCurrentPassword: The password was replaced since it was checked.
    """
    user = await _still_proven(work, user_id, proven_set_at)
    user.password_hash = password_hash
    user.password_set_at = user.updated_at = datetime.now(UTC)
    resetting = update(OneTimeLink).where(
        OneTimeLink.user_id == user_id, OneTimeLink.purpose == RESET_PASSWORD, OneTimeLink.used_at.is_(None)
    )
    await work.session.execute(resetting.values(used_at=func.now()))
    work.record(PasswordChanged(user_id=user_id, by_link=False))


async def erase_account(work: UnitOfWork, user_id: UUID, *, proven_set_at: datetime) -> None:
    """Delete name, address, avatar, sessions and identities; texts stay, by "deleted user", and votes stay counted.

    Raises:
        InvalidCurrentPassword: The password was replaced since it was checked.
    """
    user = await _still_proven(work, user_id, proven_set_at)
    guesses = delete(SignInFailure).where(SignInFailure.account_hash == account_hash(user.email))
    user.erased_at = user.updated_at = datetime.now(UTC)
    user.email = user.email_key = ""
    user.username = DELETED_USER
    user.display_name = user.avatar_url = user.password_hash = None
    user.is_email_verified = user.is_admin = False
    await work.session.flush()
    for theirs in (
        guesses,
        delete(Session).where(Session.user_id == user_id),
        delete(Identity).where(Identity.user_id == user_id),
        delete(OneTimeLink).where(OneTimeLink.user_id == user_id),
    ):
        await work.session.execute(theirs)
    await delete_responses_of(work.session, user_id)
    work.record(AccountErased(user_id=user_id))


async def _still_proven(work: UnitOfWork, user_id: UUID, proven_set_at: datetime) -> User:
    user = await repository.lock_user(work.session, user_id)
    if user is None or user.password_set_at != proven_set_at:
        raise InvalidCurrentPassword
    return user
