"""What tests of the API ask of every answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx

TOKENS = {
    *("access_token", "refresh_token", "token_type", "expires_in"),
    *("accessToken", "refreshToken", "tokenType", "expiresIn"),
}
"""The keys of a session, as we and as the ticket API call them."""


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Hold the answer against the one error body, and give what `error` holds."""
    assert response.status_code == status, (response.status_code, response.text[:500])
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert (
        {"code", "message", "timestamp"}
        <= set(error)
        <= {"code", "message", "details", "fields", "timestamp"}
    )
    assert error["code"] == code, error
    assert error["timestamp"].endswith("Z")
    datetime.fromisoformat(error["timestamp"])
    assert isinstance(error.get("details", ""), str)
    if code == "VALIDATION_ERROR":
        assert error["fields"]
        assert all(set(one) == {"field", "message"} for one in error["fields"])
    return error


def bad_fields(response: httpx.Response) -> list[str]:
    """The fields that a VALIDATION_ERROR names, sorted."""
    return sorted(one["field"] for one in refused(response, 400, "VALIDATION_ERROR")["fields"])


def ids_of(response: httpx.Response, plural: str = "bugs") -> list[str]:
    """The ids of a list, in its order."""
    assert response.status_code == 200, response.text[:500]
    return [one["id"] for one in response.json()[plural]]
