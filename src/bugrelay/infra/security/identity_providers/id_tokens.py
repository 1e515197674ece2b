"""Validation of ID tokens (OpenID Connect Core 1.0, section 3.1.3.7)."""

from __future__ import annotations

import hmac
import re
import time
from typing import TYPE_CHECKING, Any

from bugrelay.infra.imports import Deferred

if TYPE_CHECKING:
    import jwt
else:
    jwt = Deferred("jwt")

# Signatures by a key that only the issuer has: neither "none" nor the HS family, which our own client secret, or the
# issuer's public key used as a secret, could sign (RFC 8725, section 3.1).
ALGORITHMS = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
LEEWAY_SECONDS = 60  # between the issuer's clock and ours
MAX_AGE_SECONDS = 600  # a token is issued on request, and a sign-in takes ten minutes at most
# Core, section 2: at most 255 ASCII characters; no control characters, which PostgreSQL does not store either.
_SUBJECT = re.compile(r"[ -~]{1,255}")
_REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nonce"]


class InvalidIdToken(Exception):
    """The token is not valid; the text says why, without any part of the token."""


def read_header(token: str, *, supported: list[str]) -> tuple[str, str | None]:
    """The algorithm and the key's id.

    Args:
        token: The token as received.
        supported: The signing algorithms that the issuer announces.

    Raises:
        InvalidIdToken
    """
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise InvalidIdToken("the ID token is malformed") from error
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS.intersection(supported):
        raise InvalidIdToken("the algorithm is not allowed")
    return algorithm, key_id


def verify(
    token: str, key: dict[str, Any] | None, *, algorithm: str, issuer: str, client_id: str, nonce: str
) -> dict[str, Any]:
    """The claims of a valid token; without a key no token is valid.

    Raises:
        InvalidIdToken
    """
    if key is None:
        raise InvalidIdToken("the key is not known")
    if key.get("alg", algorithm) != algorithm:
        raise InvalidIdToken("the key is for another algorithm")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            jwt.PyJWK(key, algorithm=algorithm),
            algorithms=[algorithm],
            issuer=issuer,
            audience=client_id,
            leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )
    except (jwt.PyJWTError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InvalidIdToken(type(error).__name__) from error
    _check_claims(claims, client_id=client_id, nonce=nonce)
    return claims


def _check_claims(claims: dict[str, Any], *, client_id: str, nonce: str) -> None:
    audience, authorized = claims["aud"], claims.get("azp")
    is_for_several = isinstance(audience, list) and len(audience) > 1
    if (is_for_several or authorized is not None) and authorized != client_id:
        raise InvalidIdToken("the token was issued to another client")
    if not hmac.compare_digest(str(claims["nonce"]).encode("utf-8", "replace"), nonce.encode()):
        raise InvalidIdToken("the nonce is another one")
    if int(claims["iat"]) < time.time() - MAX_AGE_SECONDS:
        raise InvalidIdToken("the token is too old")
    if not _SUBJECT.fullmatch(claims["sub"]):
        raise InvalidIdToken("the subject is empty, too long or no ASCII")
