"""One-time links: verify an address, set a new password.

The request only adds a job with the user's id and a link id. The job inserts the link's row and mails it. It is
idempotent: the same id gives the same row, the same token, the same mail.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, update
from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.events import EmailVerified, PasswordChanged
from bugrelay.domain.accounts.models import RESET_PASSWORD, VERIFY_EMAIL, OneTimeLink, User
from bugrelay.domain.accounts.service.identities import unlink_other_addresses
from bugrelay.domain.accounts.service.sessions import end_all_sessions
from bugrelay.errors import InvalidLinkToken
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import MAIL_QUEUE, JobQueue
from bugrelay.infra.security.signed_links import link_token
from bugrelay.infra.security.tokens import hash_secret

LIFE = {VERIFY_EMAIL: timedelta(hours=48), RESET_PASSWORD: timedelta(hours=1)}
MAIL_JOB = "accounts.mail_link"


async def request_link(work: UnitOfWork, *, user_id: UUID | None, purpose: str, jobs: JobQueue) -> None:
    """Queue the mail of a link. Without a user (None) it takes the same work, so that timing reveals no accounts."""
    await jobs.add(
        work.session,
        MAIL_JOB,
        queue=MAIL_QUEUE,
        user_id=str(user_id) if user_id else None,
        link_id=str(new_id()),
        purpose=purpose,
    )


async def make_link(
    work: UnitOfWork, *, key: str, user_id: UUID, link_id: UUID, purpose: str
) -> tuple[User, str] | None:
    """Insert the link, and return its user and token; None if a newer link replaced it, or it was used, or the account
    was erased."""
    user = await repository.lock_user(work.session, user_id)
    if user is None:
        return None
    token = link_token(key, purpose=purpose, link_id=link_id)
    values = {
        "id": link_id,
        "email": user.email,
        "token_hash": hash_secret(token),
        "created_at": func.now(),
        "expires_at": datetime.now(UTC) + LIFE[purpose],
        "used_at": None,
    }
    # Ids are ordered by time, so a delayed job cannot restore an older link. A job that is retried, because the mail
    # server was down, restarts the link's lifetime: its mail has reached nobody yet.
    row = insert(OneTimeLink).values(user_id=user_id, purpose=purpose, **values)
    row = row.on_conflict_do_update(
        index_elements=["user_id", "purpose"], set_=values, where=_may_become(link_id)
    )
    made = await work.session.scalar(
        row.returning(OneTimeLink.id).execution_options(synchronize_session=False)
    )
    return (user, token) if made else None


def _may_become(link_id: UUID) -> ColumnElement[bool]:
    return or_(OneTimeLink.id < link_id, and_(OneTimeLink.id == link_id, OneTimeLink.used_at.is_(None)))


async def use_link(work: UnitOfWork, token: str, *, purpose: str) -> User:
    """Mark the link as used, and return its user, locked.

    Raises:
        InvalidLinkToken: Wrong, used, expired, replaced, or the user's address has changed since.
    """
    token_hash = hash_secret(token)
    owner_id = await repository.user_named_by_link(work, token_hash)
    user = await repository.lock_user(work.session, owner_id) if owner_id else None
    if user is None:
        raise InvalidLinkToken
    using = (
        update(OneTimeLink)
        .where(
            OneTimeLink.token_hash == token_hash,
            OneTimeLink.purpose == purpose,
            OneTimeLink.email == user.email,
            OneTimeLink.used_at.is_(None),
            OneTimeLink.expires_at > func.now(),
        )
        .values(used_at=func.now())
        .returning(OneTimeLink.id)
        .execution_options(synchronize_session=False)
    )
    if await work.session.scalar(using) is None:
        raise InvalidLinkToken
    return user


async def verify_email(work: UnitOfWork, token: str) -> User:
    """Verify the address of the link's user.

    Raises:
        InvalidLinkToken
    """
    user = await use_link(work, token, purpose=VERIFY_EMAIL)
    _set_verified(work, user)
    user.updated_at = datetime.now(UTC)
    await work.session.flush()
    return user


def _set_verified(work: UnitOfWork, user: User) -> None:
    if not user.is_email_verified:
        user.is_email_verified = True
        work.record(EmailVerified(user_id=user.id))


async def reset_password(work: UnitOfWork, token: str, *, password_hash: str) -> None:
    """Set the password, verify the address, which the link proves, end all sessions, and unlink identities.

    Only identities stay whose provider has verified the same address: others may belong to somebody who had access to
    the account before.

    Raises:
        InvalidLinkToken
    """
    user = await use_link(work, token, purpose=RESET_PASSWORD)
    user.password_hash = password_hash
    user.password_set_at = user.updated_at = datetime.now(UTC)
    _set_verified(work, user)
    await work.session.flush()
    work.record(PasswordChanged(user_id=user.id, by_link=True))
    await unlink_other_addresses(work, user)
    await end_all_sessions(work, user.id)


async def user_of_link(reader: Reader, token: str, *, purpose: str) -> repository.LinkOwner:
    """The user of a link, without using it.

    Raises:
        InvalidLinkToken
    """
    owner = await repository.owner_of_link(reader, token_hash=hash_secret(token), purpose=purpose)
    if owner is None:
        raise InvalidLinkToken
    return owner
