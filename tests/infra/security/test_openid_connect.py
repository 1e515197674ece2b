"""An OpenID Connect issuer that lies, hangs and rotates its keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bugrelay.infra.security.identity_providers import provider_client
from bugrelay.infra.security.identity_providers.openid_connect import OpenIdConnect, is_usable_address
from bugrelay.infra.security.identity_providers.port import (
    AuthorizationRequest,
    AuthorizationResponse,
    OAuthFailed,
    OAuthUnavailable,
    ProvenIdentity,
)
from bugrelay.settings import OidcIssuer, SettingError, load_settings
from tests.infra.security.provider import CLIENT_ID, CLIENT_SECRET, Issuer, serving, somebody

REQUEST = AuthorizationRequest(
    state="a state", nonce="a nonce", code_verifier="v" * 43, redirect_uri="https://board.example/callback"
)
WELL_KNOWN = "/.well-known/openid-configuration"


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with serving() as server:
        yield Issuer(server)


def settings_of(issuer: Issuer, **changes: Any) -> OidcIssuer:
    facts = {"name": "sso", "issuer": issuer.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return OidcIssuer(**(facts | changes))


@pytest.fixture
async def provider(issuer: Issuer) -> AsyncIterator[OpenIdConnect]:
    provider = OpenIdConnect(settings_of(issuer))
    yield provider
    await provider.close()


async def sign_in(
    provider: OpenIdConnect, the_issuer: Issuer, person: dict[str, Any] | None = None, /, **changes: Any
) -> ProvenIdentity:
    back = the_issuer.authorize(await provider.authorization_url(REQUEST), person or somebody())
    query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    response = AuthorizationResponse(code=query["code"], issuer=query.get("iss"))
    return await provider.identify(REQUEST, replace(response, **changes))


async def test_a_proven_person_is_known_by_issuer_and_subject(
    issuer: Issuer, provider: OpenIdConnect
) -> None:
    assert await sign_in(provider, issuer, somebody("s-1", name="Ada")) == ProvenIdentity(
        issuer=issuer.url,
        subject="s-1",
        email="s-1@people.example",
        is_email_proven=True,
        username="name-s-1",
        display_name="Ada",
    )


async def test_the_browser_is_sent_with_state_nonce_and_challenge_but_no_secret(
    issuer: Issuer, provider: OpenIdConnect
) -> None:
    url = await provider.authorization_url(REQUEST)
    asked = parse_qs(urlsplit(url).query)
    assert asked["tenant"] == ["1"]  # the endpoint's own query stays
    assert (asked["state"], asked["nonce"]) == ([REQUEST.state], [REQUEST.nonce])
    assert REQUEST.code_verifier not in url
    assert "s3cret" not in url


A_MOMENT = 5  # seconds; less than the leeway
HOUR = timedelta(hours=1)  # in a claim: from the moment of the test


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another nonce"},
        {"nonce": None},
        {"nonce": 7},
        {"nonce": "\ud800"},
        {"iss": "http://127.0.0.1:1"},
        {"iss": None},
        {"aud": "another client"},
        {"aud": None},
        {"aud": []},
        {"aud": [CLIENT_ID, "another client"]},
        {"azp": "another client"},
        {"exp": -HOUR},
        {"exp": None},
        {"exp": "soon"},
        {"iat": HOUR},
        {"iat": -2 * HOUR},
        {"iat": None},
        {"iat": {}},
        {"nbf": HOUR},
        {"sub": ""},
        {"sub": None},
        {"sub": 7},
        {"sub": "s" * 256},
        {"sub": "a\0b"},
        {"sub": "\ud800"},
    ],
    ids=str,
)
async def test_a_token_with_a_wrong_claim_is_refused(
    issuer: Issuer, provider: OpenIdConnect, claims: dict[str, Any]
) -> None:
    now = int(time.time())
    issuer.claims = {
        name: now + int(value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in claims.items()
    }
    with pytest.raises(OAuthFailed):
        await sign_in(provider, issuer)


@pytest.mark.parametrize("claims", [{"aud": [CLIENT_ID]}, {"aud": [CLIENT_ID, "an API"], "azp": CLIENT_ID}])
async def test_a_token_for_us_holds(issuer: Issuer, provider: OpenIdConnect, claims: dict[str, Any]) -> None:
    issuer.claims = claims
    assert (await sign_in(provider, issuer)).subject == "s-1"


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
async def test_a_token_of_a_clock_that_differs_a_little_holds(
    issuer: Issuer, provider: OpenIdConnect, claim: str
) -> None:
    is_early = claim != "exp"
    issuer.claims = {claim: int(time.time()) + (A_MOMENT if is_early else -A_MOMENT)}
    assert (await sign_in(provider, issuer)).subject == "s-1"


async def test_an_unsigned_token_is_refused(issuer: Issuer, provider: OpenIdConnect) -> None:
    issuer.algorithm, issuer.signing_key = "none", None
    issuer.metadata = {"id_token_signing_alg_values_supported": ["RS256", "none"]}
    with pytest.raises(OAuthFailed):
        await sign_in(provider, issuer)


@pytest.mark.parametrize("key", ["the client secret", "the public key"])
async def test_a_token_signed_with_what_others_know_is_refused(
    issuer: Issuer, provider: OpenIdConnect, key: str
) -> None:
    """HS256 under our own secret, or under the issuer's public key: the confusion of algorithms (RFC 8725, 2.1)."""
    public = issuer.keys[issuer.key_id]["n"]
    issuer.algorithm, issuer.signing_key = "HS256", (CLIENT_SECRET * 4 if "secret" in key else public)
    issuer.keys[issuer.key_id] = {"kty": "oct", "kid": issuer.key_id, "k": "c2VjcmV0" * 8}
    issuer.metadata = {"id_token_signing_alg_values_supported": ["RS256", "HS256"]}
    with pytest.raises(OAuthFailed):
        await sign_in(provider, issuer)


async def test_a_token_of_another_key_under_the_same_id_is_refused(
    issuer: Issuer, provider: OpenIdConnect
) -> None:
    issuer.signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(OAuthFailed):
        await sign_in(provider, issuer)


async def test_a_token_that_brings_its_own_key_is_refused(issuer: Issuer, provider: OpenIdConnect) -> None:
    issuer.signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    issuer.header = {"jwk": issuer.jwk(issuer.signing_key, kid="mine"), "jku": f"{issuer.url}/mine"}
    with pytest.raises(OAuthFailed):
        await sign_in(provider, issuer)
    assert issuer.server.calls["/mine"] == 0


@pytest.mark.parametrize(
    "change",
    [{"alg": "RS512"}, {"use": "enc"}, {"kty": "EC"}, {"n": 7}, {"n": "AQAB"}, {"kid": "another"}],
    ids=str,
)
async def test_a_key_that_is_not_for_this_verifies_nothing(
    issuer: Issuer, provider: OpenIdConnect, change: dict[str, Any]
) -> None:
    issuer.keys[issuer.key_id] |= change
    with pytest.raises(OAuthFailed):
        await sign_in(provider, issuer)


@pytest.mark.filterwarnings("ignore:The RSA key")  # PyJWT warns whoever signs with it
async def test_a_short_key_verifies_nothing(issuer: Issuer, provider: OpenIdConnect) -> None:
    issuer.signing_key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    issuer.keys = {issuer.key_id: issuer.jwk(issuer.signing_key, kid=issuer.key_id)}
    with pytest.raises(OAuthFailed):
        await sign_in(provider, issuer)


async def test_elliptic_curves_are_read(issuer: Issuer, provider: OpenIdConnect) -> None:
    issuer.algorithm, issuer.signing_key = "ES256", ec.generate_private_key(ec.SECP256R1())
    issuer.metadata = {"id_token_signing_alg_values_supported": ["ES256"]}
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(issuer.signing_key.public_key(), as_dict=True)
    issuer.keys = {"curve": {**jwk, "kid": "curve"}}
    issuer.header = {"kid": "curve"}
    assert (await sign_in(provider, issuer)).subject == "s-1"


async def test_a_token_without_a_key_id_holds_where_there_is_one_key(
    issuer: Issuer, provider: OpenIdConnect
) -> None:
    issuer.header = {"kid": None}
    assert (await sign_in(provider, issuer)).subject == "s-1"


async def test_a_rotated_key_is_asked_for_at_once_and_unknown_ones_seldom(
    issuer: Issuer, provider: OpenIdConnect
) -> None:
    await sign_in(provider, issuer)
    issuer.rotate()
    await sign_in(provider, issuer)
    assert issuer.server.calls["/jwks"] == 2
    issuer.header = {"kid": "nobody's"}
    for _ in range(10):
        with pytest.raises(OAuthFailed):
            await sign_in(provider, issuer)
    assert issuer.server.calls["/jwks"] == 2
    issuer.header = {}
    await sign_in(provider, issuer)  # the known one goes on
    assert issuer.server.calls[WELL_KNOWN] == 1


async def test_many_at_once_ask_for_document_and_keys_once(issuer: Issuer, provider: OpenIdConnect) -> None:
    await asyncio.gather(*(sign_in(provider, issuer) for _ in range(20)))
    assert issuer.server.calls[WELL_KNOWN] == 1
    assert issuer.server.calls["/jwks"] == 1


async def test_a_response_of_another_issuer_is_refused(issuer: Issuer, provider: OpenIdConnect) -> None:
    with pytest.raises(OAuthFailed):
        await sign_in(provider, issuer, issuer="http://127.0.0.1:1")
    assert issuer.server.calls["/token"] == 0  # the code of one issuer is not told another


async def test_an_issuer_that_names_itself_must_always_do(issuer: Issuer, provider: OpenIdConnect) -> None:
    issuer.names_itself = True
    assert (await sign_in(provider, issuer)).subject == "s-1"
    with pytest.raises(OAuthFailed):
        await sign_in(provider, issuer, issuer=None)


async def test_a_code_that_was_used_or_made_up_is_refused(issuer: Issuer, provider: OpenIdConnect) -> None:
    with pytest.raises(OAuthFailed):
        await sign_in(provider, issuer, code="made up")


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://another.example"},
        {"issuer": None},
        {"token_endpoint": "http://"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"jwks_uri": "https://somebody@127.0.0.1/jwks"},
        {"userinfo_endpoint": "http://127.0.0.1:99999999/"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://127.0.0.1/authorize\r\nSet-Cookie: a=b"},
        {"authorization_endpoint": "http://127.0.0.1/authorize#tenant"},
    ],
    ids=str,
)
async def test_a_discovery_document_that_does_not_fit_is_not_used(
    issuer: Issuer, provider: OpenIdConnect, metadata: dict[str, Any]
) -> None:
    issuer.metadata = metadata
    with pytest.raises(OAuthUnavailable):
        await provider.authorization_url(REQUEST)


@pytest.mark.parametrize(
    ("url", "scheme", "usable"),
    [
        ("https://a.example/token", "https", True),
        ("http://a.example/token", "https", False),
        ("http://127.0.0.1/token", "http", True),
    ],
)
def test_an_issuer_by_https_may_name_no_address_without(url: str, scheme: str, usable: bool) -> None:
    assert is_usable_address(url, scheme) is usable


@pytest.mark.parametrize("path", [WELL_KNOWN, "/token", "/jwks", "/userinfo"])
async def test_an_endpoint_that_hangs_is_waited_for_no_longer_than_allowed(
    issuer: Issuer, provider: OpenIdConnect, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_client, "PROVIDER_SECONDS", 0.5)
    issuer.metadata = {"userinfo_endpoint": f"{issuer.url}/userinfo"}
    issuer.server.hanging = {path}
    with pytest.raises(OAuthUnavailable):
        await sign_in(provider, issuer, somebody(email=None))
    issuer.server.hanging = set()
    monkeypatch.undo()
    assert (await sign_in(provider, issuer)).subject == "s-1"  # and nothing is left behind


@pytest.mark.parametrize("path", [WELL_KNOWN, "/token", "/jwks", "/userinfo"])
@pytest.mark.parametrize(
    "content",
    [b" " * (provider_client.MAX_ANSWER_BYTES + 1), b"[" * 200_000, b"{}x", b"\xff", b"[]", b""],
    ids=["huge", "nested", "no JSON", "no text", "no object", "empty"],
)
async def test_a_useless_response_is_an_error_of_the_provider(
    issuer: Issuer, provider: OpenIdConnect, path: str, content: bytes
) -> None:
    issuer.metadata = {"userinfo_endpoint": f"{issuer.url}/userinfo"}
    issuer.server.raw = {path: content}
    with pytest.raises(OAuthUnavailable):
        await sign_in(provider, issuer, somebody(email=None))


async def test_an_issuer_that_is_away_is_unavailable() -> None:
    async with serving() as server:
        gone = Issuer(server)
    provider = OpenIdConnect(settings_of(gone))
    with pytest.raises(OAuthUnavailable):
        await provider.authorization_url(REQUEST)


async def test_an_address_that_the_token_lacks_is_read_from_userinfo(
    issuer: Issuer, provider: OpenIdConnect
) -> None:
    issuer.metadata = {"userinfo_endpoint": f"{issuer.url}/userinfo"}
    issuer.claims = {"email": None, "email_verified": None}
    assert (await sign_in(provider, issuer)).email == "s-1@people.example"
    issuer.claims["sub"] = "s-2"
    with pytest.raises(OAuthFailed):  # of somebody else
        await sign_in(provider, issuer)


async def test_the_tokens_word_on_an_address_is_not_held_for_another_from_userinfo(
    issuer: Issuer, provider: OpenIdConnect
) -> None:
    issuer.metadata = {"userinfo_endpoint": f"{issuer.url}/userinfo"}
    issuer.claims = {"email": None, "email_verified": True}
    for told in ({"email_verified": False}, {"email_verified": None}):
        assert not (await sign_in(provider, issuer, somebody(**told))).is_email_proven


@pytest.mark.parametrize(
    ("said", "proven"), [(True, True), ("true", True), (False, False), (1, False), (None, False)]
)
async def test_an_address_is_proven_only_if_the_issuer_says_so(
    issuer: Issuer, provider: OpenIdConnect, said: object, proven: bool
) -> None:
    identity = await sign_in(provider, issuer, somebody(email_verified=said))
    assert identity.is_email_proven is proven


async def test_an_issuer_that_is_not_trusted_for_addresses_proves_none(issuer: Issuer) -> None:
    provider = OpenIdConnect(settings_of(issuer, trust_email=False))
    assert not (await sign_in(provider, issuer)).is_email_proven


async def test_the_secret_goes_in_the_form_where_the_issuer_wants_it_there(
    issuer: Issuer, provider: OpenIdConnect
) -> None:
    issuer.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert (await sign_in(provider, issuer)).subject == "s-1"


def test_issuers_are_read_from_one_setting() -> None:
    text = "sso=https://the%20board:s3cret%2F%2B@login.example/realms/main/, local=http://id@127.0.0.1:8080?trust_email=false"
    assert load_settings({"OAUTH_ISSUERS": text}).oauth_issuers == (
        OidcIssuer(
            name="sso",
            issuer="https://login.example/realms/main/",
            client_id="the board",
            client_secret="s3cret/+",
        ),
        OidcIssuer(
            name="local", issuer="http://127.0.0.1:8080", client_id="id", client_secret="", trust_email=False
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "https://id:secret@login.example",
        "GitHub=https://id:secret@login.example",
        "google=https://id:secret@login.example",
        "exchange=https://id:secret@login.example",
        "sso=http://id:secret@login.example",
        "sso=https://login.example",
        "sso=https://id:sec/ret@login.example",
        "sso=https://id:secret@login.example?trust=no",
        "sso=https://id:secret@a.example,sso=https://id:secret@b.example",
    ],
)
def test_a_bad_list_of_issuers_ends_the_start_and_reveals_no_secret(text: str) -> None:
    with pytest.raises(SettingError, match="OAUTH_ISSUERS") as told:
        load_settings({"OAUTH_ISSUERS": text})
    assert "sec" not in str(told.value).replace("client_secret", "")


def test_a_client_without_its_secret_ends_the_start() -> None:
    with pytest.raises(SettingError, match="OAUTH_GITHUB_CLIENT_SECRET"):
        load_settings({"OAUTH_GITHUB_CLIENT_ID": "id"})
