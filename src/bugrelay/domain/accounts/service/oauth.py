"""The steps of a sign-in with a provider: to the provider, back from it, and the code that the client exchanges.

An attacker can send somebody else's browser through each of these steps. So a state is valid once, only in the browser
that it was issued to and for the provider that it was issued for; and a code is valid once, only for the client that
has the verifier of its challenge (RFC 7636), which is never in an address.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

from sqlalchemy import delete, func
from sqlalchemy.exc import IntegrityError

from bugrelay.domain.accounts import repository
from bugrelay.domain.accounts.errors import InvalidOAuthCode, InvalidOAuthState
from bugrelay.domain.accounts.models import OAuthCode, OAuthRequest
from bugrelay.domain.accounts.service.identities import add_identity, proven_email
from bugrelay.domain.accounts.service.sessions import lock_active_user
from bugrelay.errors import ValidationFailed
from bugrelay.infra.db.database import violated_constraint
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.security.identity_providers.openid_connect import s256
from bugrelay.infra.security.identity_providers.port import AuthorizationRequest, ProvenIdentity
from bugrelay.infra.security.signed_links import link_token
from bugrelay.infra.security.tokens import hash_secret, new_secret

REQUEST_LIFE = timedelta(minutes=10)
TICKET_LIFE = timedelta(seconds=60)
CODE_LIFE = timedelta(seconds=60)
CALLBACK = "/api/v1/auth/oauth/callback/"
_OF_SESSIONS = {"fk_oauth_codes_session_id_sessions", "fk_oauth_requests_session_id_sessions"}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ADDED_PARAMETERS = {"code", "error"}  # which BugRelay adds to a return address


@dataclass(frozen=True, kw_only=True)
class PendingSignIn:
    """The parameters of a sign-in: its return address, the client's challenge, and the session to link to, if any."""

    provider: str
    return_to: str
    code_challenge: str
    session_id: UUID | None = None


def trusted_return(return_to: str, *, origins: tuple[str, ...]) -> str:
    """Return the address if its origin is one of these, also as browsers parse it.

    Raises:
        ValidationFailed
    """
    wanted = _origin(return_to) if all("!" <= character <= "~" for character in return_to) else None
    if "\\" in return_to or wanted is None or wanted not in {_origin(origin) for origin in origins}:
        raise ValidationFailed.of("return_to", "must be an address of this site or of an allowed origin")
    if _ADDED_PARAMETERS & {name for name, _ in parse_qsl(urlsplit(return_to).query, keep_blank_values=True)}:
        raise ValidationFailed.of("return_to", "must have no code and no error in its query")
    return return_to


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None if one is missing, or the URL has a user name."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    names_a_user = "@" in parts.netloc
    return (
        None if names_a_user or not parts.hostname or port is None else (parts.scheme, parts.hostname, port)
    )


def return_address(return_to: str, **parameters: str) -> str:
    """The return address with these parameters added to its query."""
    parts = urlsplit(return_to)
    query = "&".join(filter(None, (parts.query, urlencode(parameters))))
    return urlunsplit(SplitResult(parts.scheme, parts.netloc, parts.path, query, parts.fragment))


def new_request(
    provider: str, *, key: str, public_url: str, state: str, request_id: UUID | None = None
) -> tuple[UUID, AuthorizationRequest]:
    """The id of a sign-in and its authorisation request: of a new one, or with `request_id` the same one again."""
    request_id = request_id or new_id()
    return request_id, AuthorizationRequest(
        state=state,
        nonce=link_token(key, purpose="oauth_nonce", link_id=request_id),
        code_verifier=link_token(key, purpose="oauth_verifier", link_id=request_id),
        redirect_uri=f"{public_url}{CALLBACK}{provider}",
    )


async def store_request(
    work: UnitOfWork, pending: PendingSignIn, *, request_id: UUID, state: str, browser: str
) -> None:
    """Store a sign-in whose browser is sent to the provider.

    Raises:
        InvalidOAuthState: The session to link to was deleted meanwhile.
    """
    _add(work, pending, request_id=request_id, state=state, browser=browser, life=REQUEST_LIFE)
    await _flush(work)


async def issue_ticket(work: UnitOfWork, pending: PendingSignIn) -> str:
    """A ticket with which a browser can be sent to the provider, once.

    A script's call has the access token but no cookie to bind the state to; a navigation has the cookie but no token.
    """
    ticket = new_secret()
    _add(work, pending, request_id=new_id(), state=ticket, browser=None, life=TICKET_LIFE)
    await _flush(work)
    return ticket


def _add(
    work: UnitOfWork,
    pending: PendingSignIn,
    *,
    request_id: UUID,
    state: str,
    browser: str | None,
    life: timedelta,
) -> None:
    work.session.add(
        OAuthRequest(
            id=request_id,
            state_hash=hash_secret(state),
            browser_hash=hash_secret(browser) if browser is not None else None,
            provider=pending.provider,
            return_to=pending.return_to,
            code_challenge=pending.code_challenge,
            session_id=pending.session_id,
            expires_at=datetime.now(UTC) + life,
        )
    )


async def consume_ticket(work: UnitOfWork, ticket: str, *, provider: str) -> PendingSignIn:
    """Consume a ticket, and return the sign-in that it was issued for.

    Raises:
        InvalidOAuthState: Wrong, used, expired, or for another provider.
    """
    _, pending = await consume_request(work, ticket, browser=None)
    if pending.provider != provider:
        raise InvalidOAuthState
    return pending


async def consume_request(work: UnitOfWork, state: str, *, browser: str | None) -> tuple[UUID, PendingSignIn]:
    """Consume a state, and return the id and the parameters of the sign-in that this browser began with it.

    Raises:
        InvalidOAuthState: Wrong, used, expired, or of another browser.
    """
    theirs = (
        OAuthRequest.browser_hash == hash_secret(browser)
        if browser is not None
        else OAuthRequest.browser_hash.is_(None)
    )
    consuming = (
        delete(OAuthRequest)
        .where(OAuthRequest.state_hash == hash_secret(state), theirs, OAuthRequest.expires_at > func.now())
        .returning(OAuthRequest)
        .execution_options(synchronize_session=False)
    )
    found = await work.session.scalar(consuming)
    if found is None:
        raise InvalidOAuthState
    return found.id, PendingSignIn(
        provider=found.provider,
        return_to=found.return_to,
        code_challenge=found.code_challenge,
        session_id=found.session_id,
    )


async def issue_code(
    work: UnitOfWork,
    pending: PendingSignIn,
    *,
    identity_id: UUID | None = None,
    to_link: ProvenIdentity | None = None,
) -> str:
    """Issue the code that the client exchanges: to sign in with an identity, or to link one.

    Raises:
        InvalidOAuthState: The session to link to was deleted meanwhile.
    """
    code = new_secret()
    work.session.add(
        OAuthCode(
            id=new_id(),
            code_hash=hash_secret(code),
            code_challenge=pending.code_challenge,
            identity_id=identity_id,
            session_id=pending.session_id,
            provider=pending.provider,
            issuer=to_link.issuer if to_link else None,
            subject=to_link.subject if to_link else None,
            email=proven_email(to_link) if to_link else None,
            expires_at=datetime.now(UTC) + CODE_LIFE,
        )
    )
    await _flush(work)
    return code


async def _flush(work: UnitOfWork) -> None:
    """
    Raises:
        InvalidOAuthState: The session to link to was deleted meanwhile, with its account.
    """
    try:
        await work.session.flush()
    except IntegrityError as error:
        if violated_constraint(error) not in _OF_SESSIONS:
            raise
        raise InvalidOAuthState from error


async def consume_code(work: UnitOfWork, code: str, *, verifier: str) -> UUID:
    """Consume a code, and return the id of the user that it signs in; a code for linking also links its identity.

    The owner's row is locked first. So a concurrent unlinking, or end of all sessions, is either committed before, or
    sees the session that is opened next.

    Raises:
        InvalidOAuthCode: Wrong, used, expired, or of another client; or the identity was unlinked meanwhile, or the
            session to link to has ended.
        IdentityAlreadyLinked, ProviderAlreadyLinked, AccountBanned
    """
    code_hash, challenge = hash_secret(code), s256(verifier)
    owner_id = await repository.owner_of_code(work, code_hash=code_hash, code_challenge=challenge)
    if owner_id is None:
        raise InvalidOAuthCode
    await lock_active_user(work, owner_id)
    consuming = delete(OAuthCode).where(OAuthCode.code_hash == code_hash).returning(OAuthCode)
    consumed = await work.session.scalar(consuming.execution_options(synchronize_session=False))
    if consumed is None:
        raise InvalidOAuthCode
    if consumed.session_id is not None:
        await _link(work, consumed, session_id=consumed.session_id)
    return owner_id


async def _link(work: UnitOfWork, code: OAuthCode, *, session_id: UUID) -> None:
    user_id = await repository.owner_of_session(work, session_id)
    if user_id is None or code.issuer is None or code.subject is None:
        raise InvalidOAuthCode
    known = await repository.identity(work, issuer=code.issuer, subject=code.subject)
    if known is not None and known.user_id == user_id:
        return
    proven = ProvenIdentity(
        issuer=code.issuer,
        subject=code.subject,
        email=code.email,
        is_email_proven=code.email is not None,
        username=None,
        display_name=None,
    )
    await add_identity(work, user_id, proven, provider=code.provider)
