"""What is read of accounts, and what their use cases take."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from bugrelay.infra.validation import Check, OneLine, Verbatim, email_address, web_address

Email = Annotated[str, OneLine, Meta(max_length=254), Check(email_address)]
Username = Annotated[str, OneLine, Meta(min_length=3, max_length=30, pattern=r"^[A-Za-z0-9_.-]+$")]
DisplayName = Annotated[str, OneLine, Meta(min_length=1, max_length=100)]
WebAddress = Annotated[str, OneLine, Meta(max_length=500), Check(web_address)]
Secret = Annotated[str, Verbatim]


class Register(Struct, kw_only=True):
    """`POST /auth/register`."""

    email: Email
    username: Username
    password: Secret
    display_name: DisplayName | None = None


class Login(Struct, kw_only=True):
    """`POST /auth/login`."""

    email: Annotated[str, OneLine, Meta(max_length=254)]
    password: Secret


class Refresh(Struct, kw_only=True):
    """`POST /auth/refresh`."""

    refresh_token: Secret


class ProfileChange(Struct, kw_only=True):
    """`PUT /auth/profile`: what is absent stays as it is; null empties a field, but nobody is without a username."""

    display_name: DisplayName | UnsetType | None = UNSET
    avatar_url: WebAddress | UnsetType | None = UNSET
    username: Username | UnsetType | None = UNSET


class ChangePassword(Struct, kw_only=True):
    """`PUT /auth/password`."""

    current_password: Secret
    new_password: Secret


class RequestReset(Struct, kw_only=True):
    """`POST /auth/password-reset`."""

    email: Email


class ConfirmReset(Struct, kw_only=True):
    """`POST /auth/password-reset/confirm`."""

    token: Secret
    new_password: Secret


class LinkQuery(Struct, kw_only=True):
    """The token that a mailed link carries."""

    token: Secret


class Account(Struct):
    """An account as its owner sees it."""

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
    """`current`: the session that asks."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    ip_address: str | None
    user_agent: str | None
    current: bool


def account_of(user: Any) -> dict[str, Any]:
    """The fields of `Account` from a row or an ORM object."""
    return {name: getattr(user, name) for name in Account.__struct_fields__}
