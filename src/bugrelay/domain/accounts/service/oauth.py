"""The steps of a sign-in with a provider: to the provider, back from it, and the code that the client exchanges.

Each step is one that a browser can be sent through by somebody else. So the state is good once, in the browser that
it was given to, and at the provider that it was made for; and the code is good once, for the client that has the
verifier of its challenge (RFC 7636), which never stands in an address.
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
_OURS = {"code", "error"}  # what we add to a return address


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """How a sign-in begins: where it ends, for whom the code will be, and the session that it links to, if any."""

    provider: str
    return_to: str
    code_challenge: str
    session_id: UUID | None = None


def trusted_return(return_to: str, *, origins: tuple[str, ...]) -> str:
    """The address, if it is of one of the origins; a browser must read it as we do.

    Raises:
        ValidationFailed
    """
    wanted = _origin(return_to) if all("!" <= character <= "~" for character in return_to) else None
    if "\\" in return_to or wanted is None or wanted not in {_origin(origin) for origin in origins}:
        raise ValidationFailed.of("return_to", "must be an address of this site or of an allowed origin")
    if _OURS & {name for name, _ in parse_qsl(urlsplit(return_to).query, keep_blank_values=True)}:
        raise ValidationFailed.of("return_to", "must have no code and no error in its query")
    return return_to


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None of what has none, or names a user."""
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
    """The return address with these parameters in its query."""
    parts = urlsplit(return_to)
    query = "&".join(filter(None, (parts.query, urlencode(parameters))))
    return urlunsplit(SplitResult(parts.scheme, parts.netloc, parts.path, query, parts.fragment))


def new_request(
    provider: str, *, key: str, public_url: str, state: str, request_id: UUID | None = None
) -> tuple[UUID, AuthorizationRequest]:
    """What a sign-in sends to its provider, by its id; a new one, or the one of that id once more."""
    request_id = request_id or new_id()
    return request_id, AuthorizationRequest(
        state=state,
        nonce=link_token(key, purpose="oauth_nonce", link_id=request_id),
        code_verifier=link_token(key, purpose="oauth_verifier", link_id=request_id),
        redirect_uri=f"{public_url}{CALLBACK}{provider}",
    )


async def keep_request(
    work: UnitOfWork, beginning: Beginning, *, request_id: UUID, state: str, browser: str
) -> None:
    """Remember a sign-in that goes to its provider.

    Raises:
        InvalidOAuthState: The session that is to link was deleted meanwhile.
    """
    _add(work, beginning, request_id=request_id, state=state, browser=browser, life=REQUEST_LIFE)
    await _flush(work)


async def issue_ticket(work: UnitOfWork, beginning: Beginning) -> str:
    """A ticket that takes a browser to the provider, once: a page's script can send no cookie along with its call."""
    ticket = new_secret()
    _add(work, beginning, request_id=new_id(), state=ticket, browser=None, life=TICKET_LIFE)
    await _flush(work)
    return ticket


def _add(
    work: UnitOfWork,
    beginning: Beginning,
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
            provider=beginning.provider,
            return_to=beginning.return_to,
            code_challenge=beginning.code_challenge,
            session_id=beginning.session_id,
            expires_at=datetime.now(UTC) + life,
        )
    )


async def use_ticket(work: UnitOfWork, ticket: str, *, provider: str) -> Beginning:
    """
    Raises:
        InvalidOAuthState
    """
    _, beginning = await take_request(work, ticket, browser=None)
    if beginning.provider != provider:
        raise InvalidOAuthState
    return beginning


async def take_request(work: UnitOfWork, state: str, *, browser: str | None) -> tuple[UUID, Beginning]:
    """Use up the state: the id of the sign-in that this browser began with it, and how it began.

    Raises:
        InvalidOAuthState: Wrong, used, expired, or of another browser.
    """
    theirs = (
        OAuthRequest.browser_hash == hash_secret(browser)
        if browser is not None
        else OAuthRequest.browser_hash.is_(None)
    )
    taking = (
        delete(OAuthRequest)
        .where(OAuthRequest.state_hash == hash_secret(state), theirs, OAuthRequest.expires_at > func.now())
        .returning(OAuthRequest)
        .execution_options(synchronize_session=False)
    )
    found = await work.session.scalar(taking)
    if found is None:
        raise InvalidOAuthState
    return found.id, Beginning(
        provider=found.provider,
        return_to=found.return_to,
        code_challenge=found.code_challenge,
        session_id=found.session_id,
    )


async def issue_code(
    work: UnitOfWork,
    beginning: Beginning,
    *,
    identity_id: UUID | None = None,
    to_link: ProvenIdentity | None = None,
) -> str:
    """The code that the client exchanges: for the account of an identity, or to link one.

    Raises:
        InvalidOAuthState: The session that is to link was deleted meanwhile.
    """
    code = new_secret()
    work.session.add(
        OAuthCode(
            id=new_id(),
            code_hash=hash_secret(code),
            code_challenge=beginning.code_challenge,
            identity_id=identity_id,
            session_id=beginning.session_id,
            provider=beginning.provider,
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
        InvalidOAuthState: The session that is to link was deleted meanwhile, with its account.
    """
    try:
        await work.session.flush()
    except IntegrityError as error:
        if violated_constraint(error) not in _OF_SESSIONS:
            raise
        raise InvalidOAuthState from error


async def use_code(work: UnitOfWork, code: str, *, verifier: str) -> UUID:
    """Use up the code: whose account it opens. One that was to link an identity has linked it then.

    The owner's row is locked first: whoever unlinks the identity, or ends sessions for good, has either done so before
    or finds the session that is opened next.

    Raises:
        InvalidOAuthCode: Wrong, used, expired, or asked for by another client; or the identity was unlinked meanwhile,
            or the session ended that was to link it.
        IdentityAlreadyLinked, ProviderAlreadyLinked, AccountBanned
    """
    code_hash, challenge = hash_secret(code), s256(verifier)
    owner_id = await repository.owner_of_code(work, code_hash=code_hash, code_challenge=challenge)
    if owner_id is None:
        raise InvalidOAuthCode
    await lock_active_user(work, owner_id)
    taking = delete(OAuthCode).where(OAuthCode.code_hash == code_hash).returning(OAuthCode)
    taken = await work.session.scalar(taking.execution_options(synchronize_session=False))
    if taken is None:
        raise InvalidOAuthCode
    if taken.session_id is not None:
        await _link(work, taken, session_id=taken.session_id)
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
