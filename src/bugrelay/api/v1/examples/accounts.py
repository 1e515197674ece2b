"""Examples of registering and signing in, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from bugrelay.http.routes import Example

_PASSWORD = "correct horse battery staple"  # noqa: S105 - nobody's
_ACCOUNT: dict[str, Any] = {
    "id": "01a1fbf5-1a2b-7c3d-8e4f-5a6b7c8d9e0f",
    "email": "ada@people.example",
    "username": "ada",
    "display_name": "Ada",
    "avatar_url": None,
    "auth_provider": "password",
    "is_email_verified": False,
    "is_admin": False,
    "created_at": "2026-01-15T10:00:00Z",
    "updated_at": "2026-01-15T10:00:00Z",
    "last_active_at": "2026-01-15T10:00:00Z",
}
_TOKENS: dict[str, Any] = {
    "access_token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMWExZmJmNSJ9.4pcPyMD0",
    "refresh_token": "sYp0Xl3vJk2mQ8rT5uW7zA1bC4dE6fG9hI0jK2lM4nO",
    "token_type": "Bearer",
    "expires_in": 900,
}
_TOKENS |= {
    "accessToken": _TOKENS["access_token"],
    "refreshToken": _TOKENS["refresh_token"],
    "tokenType": _TOKENS["token_type"],
    "expiresIn": _TOKENS["expires_in"],
}

REGISTER = Example(
    request={
        "email": "ada@people.example",
        "username": "ada",
        "password": _PASSWORD,
        "display_name": "Ada",
    },
    response={"message": "Account created successfully", **_TOKENS, "user": _ACCOUNT},
)
LOGIN = Example(
    request={"email": "ada@people.example", "password": _PASSWORD},
    response={"message": "Signed in successfully", **_TOKENS, "user": _ACCOUNT},
)
REFRESH = Example(
    request={"refresh_token": _TOKENS["refresh_token"]}, response={"message": "Session renewed", **_TOKENS}
)
