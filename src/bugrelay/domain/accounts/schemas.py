"""What is read of accounts, and what their use cases take."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from bugrelay.infra.validation import Check, OneLine, Verbatim, email_address, web_address

Email = Annotated[str, OneLine, Meta(max_length=254), Check(email_address)]
Username = Annotated[str, OneLine, Meta(min_length=3, max_length=30, pattern=r"^[A-Za-z0-9_.-]+$")]
DisplayName = Annotated[str, OneLine, Meta(min_length=1, max_length=100)]
WebAddress = Annotated[str, OneLine, Meta(max_length=500), Check(web_address)]
Secret = Annotated[str, Verbatim]


class Register(Struct, kw_only=True):
    """`POST /auth/register`.

    Attributes:
        email: The address that the account signs in with.
        username: The public name, of letters, digits and `_ . -`; nobody else has it in any case.
        password: The password, exactly as typed.
        display_name: The name to show beside the username.
    """

    email: Email
    username: Username
    password: Secret
    display_name: DisplayName | None = None


class Login(Struct, kw_only=True):
    """`POST /auth/login`.

    Attributes:
        email: The address of the account.
        password: The password, exactly as typed.
    """

    email: Annotated[str, OneLine, Meta(max_length=254)]
    password: Secret


class Refresh(Struct, kw_only=True):
    """`POST /auth/refresh`.

    Attributes:
        refresh_token: The latest refresh token of the session; it is used up.
        ticket_refresh_token: The same in the ticket API's key.
    """

    refresh_token: Secret | UnsetType = UNSET
    ticket_refresh_token: Secret | UnsetType = field(default=UNSET, name="refreshToken")


class ProfileChange(Struct, kw_only=True):
    """`PUT /auth/profile`: what is absent stays as it is; null empties a field, but nobody is without a username.

    Attributes:
        display_name: The name to show beside the username.
        avatar_url: The address of a picture.
        username: The public name.
    """

    display_name: DisplayName | UnsetType | None = UNSET
    avatar_url: WebAddress | UnsetType | None = UNSET
    username: Username | UnsetType | None = UNSET


class ChangePassword(Struct, kw_only=True):
    """`PUT /auth/password`.

    Attributes:
        current_password: The password of today.
        new_password: The one to set.
    """

    current_password: Secret
    new_password: Secret


class RequestReset(Struct, kw_only=True):
    """`POST /auth/password-reset`.

    Attributes:
        email: The address of the account.
    """

    email: Email


class ConfirmReset(Struct, kw_only=True):
    """`POST /auth/password-reset/confirm`.

    Attributes:
        token: The token of the mailed link.
        new_password: The password to set.
    """

    token: Secret
    new_password: Secret


class LinkQuery(Struct, kw_only=True):
    """The token that a mailed link carries.

    Attributes:
        token: The token of the mailed link.
    """

    token: Secret


CodeChallenge = Annotated[str, Verbatim, Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]
ReturnAddress = Annotated[str, Verbatim, Meta(max_length=2000)]


class StartOAuth(Struct, kw_only=True):
    """`GET /auth/oauth/{provider}`: `return_to` and `code_challenge`, or `ticket` alone.

    Attributes:
        return_to: Where the browser comes back to, with `code` or `error`: an address of this site, or of an origin
            that may call the API.
        code_challenge: The S256 challenge of the verifier that will exchange the code (RFC 7636).
        code_challenge_method: How the challenge was made.
        ticket: From `POST /auth/oauth/link/{provider}`.
    """

    return_to: ReturnAddress | None = None
    code_challenge: CodeChallenge | None = None
    code_challenge_method: Literal["S256"] | None = None
    ticket: Secret | None = None


class OAuthCallback(Struct, kw_only=True):
    """What a provider sends the browser back with (RFC 6749, section 4.1.2; RFC 9207).

    Attributes:
        state: As it was given to the provider.
        code: Of the provider.
        error: Why there is none.
        iss: The provider, where it names itself.
    """

    state: Secret | None = None
    code: Secret | None = None
    error: Secret | None = None
    iss: Secret | None = None


class LinkIdentity(Struct, kw_only=True):
    """`POST /auth/oauth/link/{provider}`.

    Attributes:
        return_to: Where the browser comes back to, with `code` or `error`.
        code_challenge: The S256 challenge of the verifier that will exchange the code (RFC 7636).
    """

    return_to: ReturnAddress
    code_challenge: CodeChallenge


class ExchangeCode(Struct, kw_only=True):
    """`POST /auth/oauth/exchange`.

    Attributes:
        code: The `code` that the browser came back with.
        verifier: What the `code_challenge` was made of; long enough that nobody guesses it from there (RFC 7636).
    """

    code: Secret
    verifier: Annotated[str, Verbatim, Meta(min_length=43, max_length=128)]


class ProviderProfile(Struct, kw_only=True):
    """What a provider tells of somebody, where it fits: an address and a name as registration takes them."""

    email: Email | None = None
    display_name: DisplayName | None = None


class LinkedIdentity(Struct):
    """An identity that opens one's account.

    Attributes:
        provider: The provider, by its name in addresses.
        email: The address that the provider has proven, if any.
        created_at: When it was linked.
        last_used_at: When it was last signed in with.
    """

    provider: str
    email: str | None
    created_at: datetime
    last_used_at: datetime


class Account(Struct):
    """An account as its owner sees it.

    Attributes:
        id: The user's id.
        email: The address that it signs in with.
        username: The public name.
        display_name: The name to show beside it.
        avatar_url: The address of a picture.
        auth_provider: How it signs in.
        is_email_verified: Whether the address is proven.
        is_admin: Whether it is a system admin.
        created_at: When it was registered.
        updated_at: When it was last changed.
        last_active_at: When it last signed in or refreshed a session.
    """

    id: UUID
    email: str
    username: str
    display_name: str | None
    avatar_url: str | None
    auth_provider: str
    is_email_verified: bool
    is_admin: bool
    created_at: datetime
    updated_at: datetime
    last_active_at: datetime


class SessionOut(Struct, kw_only=True):
    """A session of one's own.

    Attributes:
        id: The session's id.
        created_at: When it was opened.
        last_used_at: When it was last refreshed, or opened.
        ip_address: The network address of the last use.
        user_agent: The `User-Agent` of the last use.
        current: Whether it is the session that asks.
    """

    id: UUID
    created_at: datetime
    last_used_at: datetime
    ip_address: str | None
    user_agent: str | None
    current: bool


def account_of(user: Any) -> dict[str, Any]:
    """The fields of `Account` from a row or an ORM object."""
    return {name: getattr(user, name) for name in Account.__struct_fields__}
