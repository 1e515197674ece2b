"""Identities of providers: sign in with them, link and unlink them.

An identity opens the account that it is linked to, and no other. It becomes linked when it makes the account, when its
provider and ours have both proven the same address, or when the account's owner asks for it (docs/adr/0031).
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
MAX_WISHED_LENGTH = 23  # with a hyphen and six digits, 30
RACES = (EmailAlreadyExists, UsernameTaken, IdentityAlreadyLinked)
"""Conflicts of `open_account` that another try may end otherwise: somebody else was faster."""


@dataclass(frozen=True)
class OpenedAccount:
    """`is_new_and_unproven`: the account was made just now, and its owner has still to prove the address."""

    user_id: UUID
    identity_id: UUID
    is_new_and_unproven: bool = False


async def open_account(
    work: UnitOfWork, proven: ProvenIdentity, *, provider: str, is_first_try: bool
) -> OpenedAccount:
    """The account that the identity opens, made or linked where it has opened none yet.

    Args:
        work: Its change.
        proven: Who signs in.
        provider: The provider's name.
        is_first_try: Whether the username may be as it is wished, with nothing added.

    Raises:
        AccountBanned, OAuthEmailMissing, ProviderAlreadyLinked
        EmailAlreadyExists: There is an account at the address, and not both sides have proven it.
        UsernameTaken, IdentityAlreadyLinked: Another sign-in was faster.
    """
    known = await repository.identity(work, issuer=proven.issuer, subject=proven.subject)
    if known is not None:
        if is_banned(known.banned_at, known.banned_until, now=datetime.now(UTC)):
            raise AccountBanned
        if await _use(work, known.id, proven):
            return OpenedAccount(known.user_id, known.id)
    return await _first_sign_in(work, proven, provider=provider, is_first_try=is_first_try)


async def _use(work: UnitOfWork, identity_id: UUID, proven: ProvenIdentity) -> bool:
    """Whether the identity is still linked; its row is then kept to this transaction."""
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
        username=wished_username(proven, is_first_try=is_first_try),
        display_name=profile.display_name,
    )
    identity = await add_identity(work, user.id, proven, provider=provider)
    return OpenedAccount(user.id, identity.id, is_new_and_unproven=not proven.is_email_proven)


async def _proven_by_both(
    work: UnitOfWork, proven: ProvenIdentity, account: repository.AccountAtAddress, *, email: str
) -> User:
    """The owner of the address, locked: a match of addresses alone opens nothing.

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
    """
    Raises:
        IdentityAlreadyLinked, ProviderAlreadyLinked: By the unique indexes, whatever races.
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
    """The user's identity of that provider opens the account no more.

    Args:
        work: Its change.
        user_id: Whose.
        provider: The provider's name.
        usable: The issuers that can be signed in with today, whatever their names: an identity of any other opens
            nothing.

    Raises:
        IdentityNotFound
        LastSignIn: Nobody could open the account any more.
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
    """Unlink what has not proven the account's own address; the caller holds the user's row."""
    for identity in await repository.identities_of(work.session, user.id):
        if identity.email is None or not is_same_address(identity.email, user.email):
            await _remove(work, identity)


async def _remove(work: UnitOfWork, identity: Identity) -> None:
    await work.session.delete(identity)
    work.record(IdentityUnlinked(user_id=identity.user_id, provider=identity.provider))


def is_same_address(one: str, other: str) -> bool:
    """Whether two addresses are one mailbox: without the case of ASCII letters alone.

    `email_key` folds all letters, and so takes some of other scripts ("ſ", "ß") for ASCII ones: enough to keep two
    accounts apart, but not to tell who owns one.
    """
    return one.encode().lower() == other.encode().lower()


def proven_email(proven: ProvenIdentity) -> str | None:
    """The address, where the provider has proven it and it can be one of ours."""
    return _profile(proven).email if proven.is_email_proven else None


def _profile(proven: ProvenIdentity) -> ProviderProfile:
    """What fits of what the provider tells; the rest is as if it had told nothing."""
    told = {"email": proven.email, "display_name": proven.display_name}
    try:
        return read_fields(told, ProviderProfile)
    except ValidationFailed as error:
        fitting = {
            name: told[name] for name in told.keys() - {problem.field for problem in error.fields or []}
        }
        return read_fields(fitting, ProviderProfile)


def wished_username(proven: ProvenIdentity, *, is_first_try: bool) -> str:
    """A username made of what the provider calls them, never of an address, which is not public."""
    wishes = [wish for wish in (proven.username, proven.display_name) if wish and "@" not in wish]
    ascii_only = (
        unicodedata.normalize("NFKD", wish[:100]).encode("ascii", "ignore").decode() for wish in wishes
    )
    fitting = (re.sub(r"[^A-Za-z0-9_.-]+", "-", wish).strip("-.")[:MAX_WISHED_LENGTH] for wish in ascii_only)
    wished = next((wish for wish in fitting if len(wish) >= MIN_USERNAME_LENGTH), None)
    if wished and is_first_try:
        return wished
    return f"{wished or 'user'}-{secrets.randbelow(1_000_000):06d}"
