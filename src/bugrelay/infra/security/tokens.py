"""Access tokens, which are signed and short-lived; and random secrets, of which only a hash is stored."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from bugrelay.errors import InvalidToken
from bugrelay.infra.imports import Deferred

if TYPE_CHECKING:
    import jwt
else:
    jwt = Deferred("jwt")

AUDIENCE = "bugrelay-api"
_ALGORITHM = "HS256"
_TYPE = "access"
_MAX_CHARACTERS = 4096
_MAX_VERIFIED = 4096  # tokens of a process, about 2 MB
_REQUIRED = ["exp", "iat", "iss", "aud", "sub", "sid", "jti", "typ"]


@dataclass(frozen=True)
class AccessClaims:
    """The user and the session of a token; it has no rights, which are read from the database."""

    user_id: UUID
    session_id: UUID
    expires_at: datetime


class AccessTokens:
    """Issues and verifies JWTs with one key of at least 32 bytes (RFC 7518, section 3.2)."""

    def __init__(self, key: str, issuer: str, *, minutes: int) -> None:
        self._key = key
        self._issuer = issuer
        self._life = timedelta(minutes=minutes)
        # Verified tokens by their hash: a valid signature stays valid, so it is checked once.
        self._verified: OrderedDict[bytes, AccessClaims] = OrderedDict()

    def issue(self, *, user_id: UUID, session_id: UUID) -> tuple[str, int]:
        """A new token, and its lifetime in seconds."""
        now = datetime.now(UTC)
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "typ": _TYPE,
            "sub": str(user_id),
            "sid": str(session_id),
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + self._life,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM), int(self._life.total_seconds())

    def read(self, token: str) -> AccessClaims:
        """The claims of a valid token.

        Raises:
            InvalidToken: It is malformed, forged, expired, or was issued for another purpose.
        """
        if not isinstance(token, str) or not token.isascii() or len(token) > _MAX_CHARACTERS:
            raise InvalidToken
        digest = hash_secret(token)
        known = self._verified.get(digest)
        if known is not None and known.expires_at > datetime.now(UTC):
            return known
        try:
            claims = self._decoded(token)
            read = AccessClaims(
                user_id=UUID(claims["sub"]),
                session_id=UUID(claims["sid"]),
                expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            )
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise InvalidToken from error
        self._verified[digest] = read
        if len(self._verified) > _MAX_VERIFIED:
            self._verified.popitem(last=False)
        return read

    def _decoded(self, token: str) -> dict[str, Any]:
        claims = jwt.decode(
            token,
            self._key,
            algorithms=[_ALGORITHM],
            issuer=self._issuer,
            audience=AUDIENCE,
            leeway=0,
            # A new token must be valid on a machine whose clock is a second slow, so only `exp` is checked.
            options={"require": _REQUIRED, "verify_iat": False},
        )
        if claims["typ"] != _TYPE:
            raise InvalidToken
        return claims


def new_secret() -> str:
    """256 random bits, as base64url."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """The hash of a secret to store, 32 bytes; plain SHA-256 suffices, since 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
