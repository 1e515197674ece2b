"""Identities of providers: sign in with them, link and unlink them.

An identity signs in to the account that it is linked to, and to no other. It is linked when it creates the account,
when both its provider and BugRelay have verified the same address, or at the request of the account's owner
(docs/adr/0031).
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.exc import IntegrityError

from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.errors import (
    EmailAlreadyExists,
    IdentityAlreadyLinked,
    IdentityNotFound,
    LastSignIn,
    OAuthEmailMissing,
    ProviderAlreadyLinked,
    UsernameTaken,
)
from bugrelay.domain.accounts.events import IdentityLinked, IdentityUnlinked
from bugrelay.domain.accounts.models import Identity, User
from bugrelay.domain.accounts.policies import is_banned
from bugrelay.domain.accounts.schemas import ProviderProfile
from bugrelay.domain.accounts.service.registration import create_user_of_provider
from bugrelay.errors import AccountBanned, InvalidToken, ValidationFailed
from bugrelay.infra.db.database import violated_constraint
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.security.identity_providers.port import ProvenIdentity
from bugrelay.infra.validation import read_fields

MIN_USERNAME_LENGTH = 3
MAX_PREFERRED_LENGTH = 23  # 30 with a hyphen and six digits
RACES = (EmailAlreadyExists, UsernameTaken, IdentityAlreadyLinked)
"""Conflicts of `open_account` with a concurrent sign-in, after which a retry may succeed."""


@dataclass(frozen=True)
class OpenedAccount:
    """An account to sign in to; `is_new_and_unproven`: it was created just now, and its address is not verified."""

    user_id: UUID
    identity_id: UUID
    is_new_and_unproven: bool = False


async def open_account(
    work: UnitOfWork, proven: ProvenIdentity, *, provider: str, is_first_try: bool
) -> OpenedAccount:
    """The account of the identity; created or linked at its first sign-in.

    Args:
        work: The unit of work.
        proven: The identity that signs in.
        provider: The provider's name.
        is_first_try: Whether to try the preferred username without a random suffix.

    Raises:
        AccountBanned, OAuthEmailMissing, ProviderAlreadyLinked
        EmailAlreadyExists: There is an account at the address, which is not verified on both sides.
        UsernameTaken, IdentityAlreadyLinked: A concurrent sign-in was faster.
    """
    known = await repository.identity(work, issuer=proven.issuer, subject=proven.subject)
    if known is not None:
        if is_banned(known.banned_at, known.banned_until, now=datetime.now(UTC)):
            raise AccountBanned
        if await _use(work, known.id, proven):
            return OpenedAccount(known.user_id, known.id)
    return await _first_sign_in(work, proven, provider=provider, is_first_try=is_first_try)


async def _use(work: UnitOfWork, identity_id: UUID, proven: ProvenIdentity) -> bool:
    """Record the use of an identity, which locks its row; returns False if it was unlinked meanwhile."""
    using = (
        update(Identity)
        .where(Identity.id == identity_id)
        .values(last_used_at=func.now(), email=proven_email(proven))
        .returning(Identity.id)
        .execution_options(synchronize_session=False)
    )
    return await work.session.scalar(using) is not None


async def _first_sign_in(
    work: UnitOfWork, proven: ProvenIdentity, *, provider: str, is_first_try: bool
) -> OpenedAccount:
    profile = _profile(proven)
    if profile.email is None:
        raise OAuthEmailMissing
    account = await repository.account_at(work, profile.email)
    if account is not None:
        owner = await _proven_by_both(work, proven, account, email=profile.email)
        identity = await add_identity(work, owner.id, proven, provider=provider)
        return OpenedAccount(owner.id, identity.id)
    user = await create_user_of_provider(
        work,
        provider,
        email=profile.email,
        is_email_proven=proven.is_email_proven,
        username=preferred_username(proven, is_first_try=is_first_try),
        display_name=profile.display_name,
    )
    identity = await add_identity(work, user.id, proven, provider=provider)
    return OpenedAccount(user.id, identity.id, is_new_and_unproven=not proven.is_email_proven)


async def _proven_by_both(
    work: UnitOfWork, proven: ProvenIdentity, account: repository.AccountAtAddress, *, email: str
) -> User:
    """The owner of the address, locked, if both sides have verified it: equal addresses alone prove nothing.

    Raises:
        EmailAlreadyExists, AccountBanned
    """
    if not (proven.is_email_proven and account.is_email_verified):
        raise EmailAlreadyExists
    user = await repository.lock_user(work.session, account.id)
    if user is None or not user.is_email_verified or not is_same_address(user.email, email):
        raise EmailAlreadyExists
    if is_banned(user.banned_at, user.banned_until, now=datetime.now(UTC)):
        raise AccountBanned
    return user


async def add_identity(work: UnitOfWork, user_id: UUID, proven: ProvenIdentity, *, provider: str) -> Identity:
    """Link an identity to the account.

    Raises:
        IdentityAlreadyLinked, ProviderAlreadyLinked: Decided by the unique indexes, so also in a race.
    """
    identity = Identity(
        id=new_id(),
        user_id=user_id,
        provider=provider,
        issuer=proven.issuer,
        subject=proven.subject,
        email=proven_email(proven),
    )
    work.session.add(identity)
    try:
        await work.session.flush()
    except IntegrityError as error:
        conflicts = {
            "uq_user_identities_issuer_subject": IdentityAlreadyLinked,
            "uq_user_identities_user_id_provider": ProviderAlreadyLinked,
        }
        known = conflicts.get(violated_constraint(error) or "")
        if known is None:
            raise
        raise known from error
    work.record(IdentityLinked(user_id=user_id, provider=provider))
    return identity


async def unlink(work: UnitOfWork, user_id: UUID, *, provider: str, usable: Container[str]) -> None:
    """Unlink the user's identity of that provider.

    Args:
        work: The unit of work.
        user_id: The account's owner.
        provider: The provider's name.
        usable: The issuers that are configured now, whatever their names: identities of others cannot sign in.

    Raises:
        IdentityNotFound
        InvalidToken: The account was erased meanwhile.
        LastSignIn: There would be no way left to sign in to the account.
    """
    user = await repository.lock_user(work.session, user_id)
    if user is None:
        raise InvalidToken
    linked = {
        identity.provider: identity for identity in await repository.identities_of(work.session, user_id)
    }
    identity = linked.pop(provider, None)
    if identity is None:
        raise IdentityNotFound
    if user.password_hash is None and not any(other.issuer in usable for other in linked.values()):
        raise LastSignIn
    await _remove(work, identity)


async def unlink_other_addresses(work: UnitOfWork, user: User) -> None:
    """Unlink identities without the account's own verified address; the caller must have locked the user's row."""
    for identity in await repository.identities_of(work.session, user.id):
        if identity.email is None or not is_same_address(identity.email, user.email):
            await _remove(work, identity)


async def _remove(work: UnitOfWork, identity: Identity) -> None:
    await work.session.delete(identity)
    work.record(IdentityUnlinked(user_id=identity.user_id, provider=identity.provider))


def is_same_address(one: str, other: str) -> bool:
    """Whether two addresses are the same mailbox: equal except for the case of ASCII letters.

    `email_key` also folds other letters, some of them ("ſ", "ß") to ASCII ones. That is safe where it prevents a second
    account, but not where it decides who owns one.
    """
    return one.encode().lower() == other.encode().lower()


def proven_email(proven: ProvenIdentity) -> str | None:
    """The address, if the provider has verified it and it is valid here."""
    return _profile(proven).email if proven.is_email_proven else None


def _profile(proven: ProvenIdentity) -> ProviderProfile:
    """The valid fields of what the provider sent; invalid ones are ignored."""
    sent = {"email": proven.email, "display_name": proven.display_name}
    try:
        return read_fields(sent, ProviderProfile)
    except ValidationFailed as error:
        invalid = {problem.field for problem in error.fields or []}
        return read_fields({name: sent[name] for name in sent.keys() - invalid}, ProviderProfile)


def preferred_username(proven: ProvenIdentity, *, is_first_try: bool) -> str:
    """A username from the provider's names for the user, never from an address, which is not public."""
    names = [name for name in (proven.username, proven.display_name) if name and "@" not in name]
    ascii_names = (
        unicodedata.normalize("NFKD", name[:100]).encode("ascii", "ignore").decode() for name in names
    )
    allowed = (
        re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:MAX_PREFERRED_LENGTH] for name in ascii_names
    )
    preferred = next((name for name in allowed if len(name) >= MIN_USERNAME_LENGTH), None)
    if preferred and is_first_try:
        return preferred
    return f"{preferred or 'user'}-{secrets.randbelow(1_000_000):06d}"
