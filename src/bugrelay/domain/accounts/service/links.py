"""One-time links: verify an address, set a new password.

The request only adds a job that names the user and a link id. The job makes the link's row and mails it, and can run
twice: the same id gives the same row, the same token, the same mail.
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
    """Ask for a link by mail. Nobody in particular (None) costs the same and gets nothing."""
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
    """The user and the token of this link; None when a newer link replaced it, it was used, or the user is gone."""
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
    # Ids are made in the order of time, so a job that was delayed cannot bring an older link back. One that is tried
    # again, because the mail server was down, begins the link's life anew: its mail has reached nobody yet.
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
    """Use the link up; gives its user, locked.

    Raises:
        InvalidLinkToken: Wrong, used, expired, replaced, or the address has changed since.
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
    """
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
    """Set the password, end every session, unlink identities. Whoever reads the mail also proves the address.

    An identity stays where its provider has proven the same address: any other may be of somebody who had the account
    before, or had it for a moment.

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
    """Whose link this is, without using it.

    Raises:
        InvalidLinkToken
    """
    owner = await repository.owner_of_link(reader, token_hash=hash_secret(token), purpose=purpose)
    if owner is None:
        raise InvalidLinkToken
    return owner
