"""Access tokens: what is read back, and every kind of forgery refused."""

import asyncio
import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest

from bugrelay.errors import InvalidToken
from bugrelay.infra.security.tokens import AUDIENCE, AccessClaims, AccessTokens, hash_secret, new_secret
from tests.pace import undisturbed

KEY = "k" * 64
ISSUER = "https://bugs.example.org"
TOKENS = AccessTokens(KEY, ISSUER, minutes=15)


def claims(**changes: object) -> dict[str, object]:
    """Good claims with some replaced, or taken out where the change is None."""
    now = datetime.now(UTC)
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "typ": "access",
        "sub": str(uuid4()),
        "sid": str(uuid4()),
        "jti": "once",
        "iat": now,
        "exp": now + timedelta(minutes=5),
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(key: str = KEY, algorithm: str = "HS256", **changes: object) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def test_a_token_that_was_read_expires_nevertheless() -> None:
    async def read_in_time() -> tuple[str, AccessClaims]:
        token = signed(exp=datetime.now(UTC) + timedelta(seconds=2))
        return token, TOKENS.read(token)

    token, read = await undisturbed(read_in_time, seconds=0.9)
    await asyncio.sleep((read.expires_at - datetime.now(UTC)).total_seconds())
    with pytest.raises(InvalidToken):
        TOKENS.read(token)


def test_a_token_that_was_read_holds_for_its_own_key_alone() -> None:
    token = signed()
    TOKENS.read(token)
    with pytest.raises(InvalidToken):
        AccessTokens("n" * 64, ISSUER, minutes=15).read(token)
    with pytest.raises(InvalidToken):
        TOKENS.read(token[:-1] + ("A" if token[-1] != "A" else "Q"))


def test_a_token_says_whose_it_is_and_until_when() -> None:
    user_id, session_id = uuid4(), uuid4()
    token, expires_in = TOKENS.issue(user_id=user_id, session_id=session_id)
    read = TOKENS.read(token)
    assert (read.user_id, read.session_id, expires_in) == (user_id, session_id, 900)
    left = (read.expires_at - datetime.now(UTC)).total_seconds()
    assert 895 < left <= 900


def test_two_tokens_of_one_session_differ() -> None:
    user_id, session_id = uuid4(), uuid4()
    one, _ = TOKENS.issue(user_id=user_id, session_id=session_id)
    other, _ = TOKENS.issue(user_id=user_id, session_id=session_id)
    assert one != other


def test_a_token_from_a_machine_whose_clock_is_ahead_holds() -> None:
    TOKENS.read(signed(iat=datetime.now(UTC) + timedelta(seconds=3)))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "somebody-else"},
        {"aud": 5},
        {"iss": "https://other.example.org"},
        {"typ": "refresh"},
        {"typ": ["access"]},
        {"exp": timedelta(seconds=-1)},
        {"exp": timedelta(0)},
        {"exp": "soon"},
        {"exp": 10**30},
        {"exp": 10**400},
        {"sub": "not-a-uuid"},
        {"sid": "not-a-uuid"},
        {"sid": 12},
        {"sid": {"a": 1}},
        {"nbf": timedelta(minutes=1)},
    ],
    ids=str,
)
def test_a_signed_token_with_other_claims_is_refused(changes: dict[str, object]) -> None:
    """A claim given as a span of time is that far from now."""
    TOKENS.read(signed())
    now = datetime.now(UTC)
    claims = {name: now + value if isinstance(value, timedelta) else value for name, value in changes.items()}
    with pytest.raises(InvalidToken):
        TOKENS.read(signed(**claims))


@pytest.mark.parametrize("name", ["iss", "aud", "typ", "sub", "sid", "jti", "iat", "exp"])
def test_a_token_without_a_claim_is_refused(name: str) -> None:
    with pytest.raises(InvalidToken):
        TOKENS.read(signed(**{name: None}))


@pytest.mark.parametrize(
    "token",
    [
        signed(key="x" * 64),
        signed(algorithm="HS512"),
        jwt.encode(claims(), None, algorithm="none"),
        signed().rsplit(".", 1)[0] + ".",
        signed()[:-4] + "AAAA",
        signed() + "." + "A" * 10,
        signed() + "A" * 5000,
        "A" * 10_000_000,
        b64(b"[" * 2900) + ".e30.AA",
        b64(json.dumps({"alg": "HS256", "typ": "JWT", "crit": ["b64"], "b64": False}).encode()) + ".e30.AA",
        b64(b"\xff\xfe") + "." + b64(b"\xff") + ".AA",
        "",
        "..",
        "a.b.c",
        "\ud800.\udfff.x",
        "ünï.cödé.☃",
        "\0",
        None,
        7,
        b"bytes",
    ],
    ids=lambda token: repr(token)[:24],
)
def test_a_forged_or_malformed_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidToken) as caught:
        TOKENS.read(token)
    assert caught.value.status == 401


def test_payload_of_one_token_under_the_signature_of_another_is_refused() -> None:
    header, payload, _ = signed().split(".")
    _, _, signature = signed().split(".")
    with pytest.raises(InvalidToken):
        TOKENS.read(f"{header}.{payload}.{signature}")


def test_secrets_are_long_different_and_safe_in_a_url() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(len(secret) == 43 and secret.replace("-", "").replace("_", "").isalnum() for secret in made)


def test_a_secret_is_found_again_by_its_hash() -> None:
    assert hash_secret("abc") == hashlib.sha256(b"abc").digest()
    assert hash_secret("abc") != hash_secret("abd")
    assert len(hash_secret("\ud800")) == 32
