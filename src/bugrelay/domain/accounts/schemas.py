"""Structs of accounts: results of reads, and arguments of use cases."""

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
        username: The public name, of letters, digits and `_ . -`; unique regardless of case.
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
        refresh_token: The latest refresh token of the session; it cannot be used again.
        ticket_refresh_token: The same, under the name that the ticket API uses.
    """

    refresh_token: Secret | UnsetType = UNSET
    ticket_refresh_token: Secret | UnsetType = field(default=UNSET, name="refreshToken")


class ProfileChange(Struct, kw_only=True):
    """`PUT /auth/profile`: absent fields stay unchanged; null clears a field, except for the username.

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
        current_password: The current password.
        new_password: The password to set.
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
        return_to: The address to which the browser returns, with `code` or `error`: one of this site, or of an origin
            that may call the API.
        code_challenge: The S256 challenge of the verifier that will exchange the code (RFC 7636).
        code_challenge_method: The method of the challenge.
        ticket: The ticket from `POST /auth/oauth/link/{provider}`.
    """

    return_to: ReturnAddress | None = None
    code_challenge: CodeChallenge | None = None
    code_challenge_method: Literal["S256"] | None = None
    ticket: Secret | None = None


class OAuthCallback(Struct, kw_only=True):
    """The authorisation response of a provider, in the query (RFC 6749, section 4.1.2; RFC 9207).

    Attributes:
        state: The state of the authorisation request.
        code: The authorisation code.
        error: The reason if there is no code.
        iss: The issuer, if the provider names itself.
    """

    state: Secret | None = None
    code: Secret | None = None
    error: Secret | None = None
    iss: Secret | None = None


class LinkIdentity(Struct, kw_only=True):
    """`POST /auth/oauth/link/{provider}`.

    Attributes:
        return_to: The address to which the browser returns, with `code` or `error`.
        code_challenge: The S256 challenge of the verifier that will exchange the code (RFC 7636).
    """

    return_to: ReturnAddress
    code_challenge: CodeChallenge


class ExchangeCode(Struct, kw_only=True):
    """`POST /auth/oauth/exchange`.

    Attributes:
        code: The `code` with which the browser returned.
        verifier: The verifier of the `code_challenge` (RFC 7636).
    """

    code: Secret
    verifier: Annotated[str, Verbatim, Meta(min_length=43, max_length=128)]


class ProviderProfile(Struct, kw_only=True):
    """The address and the name from a provider, if they are valid here by the same rules as in a registration."""

    email: Email | None = None
    display_name: DisplayName | None = None


class LinkedIdentity(Struct):
    """An identity that is linked to one's account.

    Attributes:
        provider: The provider's name, as in addresses.
        email: The address that the provider has verified, if any.
        created_at: When it was linked.
        last_used_at: When it was last used to sign in.
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
        display_name: The name to show beside the username.
        avatar_url: The address of a picture.
        auth_provider: How the account was registered.
        is_email_verified: Whether the owner has proven the address.
        is_admin: Whether this is a system admin.
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
        current: Whether it is the session of this request.
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
