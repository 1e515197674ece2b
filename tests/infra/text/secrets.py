"""Secrets made up when the tests run, in the places where they are sent: none of them was ever one."""

from __future__ import annotations

import json
import random
import string
from base64 import b64encode
from collections.abc import Iterator
from itertools import cycle
from typing import Any
from urllib.parse import quote

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
URL_SAFE = LETTERS_AND_DIGITS + "-_"

KEYS = (
    "password",
    "userPassword",
    "user_password",
    "passwd",
    "pass",
    "db-pass",
    "secret",
    "clientSecret",
    "client_secret",
    "token",
    "accessToken",
    "access_token",
    "refresh-token",
    "X-Auth-Token",
    "auth",
    "authorization",
    "Proxy-Authorization",
    "oauthToken",
    "cookie",
    "Set-Cookie",
    "session",
    "sessionId",
    "session_id",
    "sid",
    "connect.sid",
    "PHPSESSID",
    "jwt",
    "idJwt",
    "apiKey",
    "api_key",
    "api-key",
    "X-Api-Key",
    "APIKey",
    "apikey",
    "accessKey",
    "aws_secret_access_key",
    "privateKey",
    "private_key",
    "csrf",
    "csrfToken",
    "X-CSRF-Token",
    "XSRF-TOKEN",
    "credential",
    "credentials",
    "otp",
    "otpCode",
    "pin",
    "cardPin",
    "cvv",
    "cvv2",
    "iban",
    "csrfmiddlewaretoken",
    "accesstoken",
)


def drawn(rng: random.Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(alphabet, k=length))


def card(rng: random.Random, *, first: str, length: int) -> str:
    """A number with the check digit of Luhn, of the range that `first` begins."""
    digits = first + drawn(rng, string.digits, length - len(first) - 1)
    factors = zip(reversed(digits), cycle((2, 1)), strict=False)
    total = sum(sum(divmod(int(digit) * factor, 10)) for digit, factor in factors)
    return digits + str(-total % 10)


def by_value(rng: random.Random) -> dict[str, str]:
    """One secret of each shape that is known, by its kind."""
    jwt = ".".join(
        ("eyJ" + drawn(rng, URL_SAFE, 33), "eyJ" + drawn(rng, URL_SAFE, 80), drawn(rng, URL_SAFE, 43))
    )
    body = "\n".join(drawn(rng, LETTERS_AND_DIGITS + "+/", 64) for _ in range(6))
    upper = string.ascii_uppercase + string.digits
    return {
        "jwt": jwt,
        "bearer": "Bearer " + drawn(rng, LETTERS_AND_DIGITS, 40),
        "basic": "Basic " + b64encode(f"user:{drawn(rng, LETTERS_AND_DIGITS, 12)}".encode()).decode(),
        "pem": f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----",
        "github_token": f"gh{rng.choice('pousr')}_{drawn(rng, LETTERS_AND_DIGITS, 36)}",
        "github_token fine-grained": f"github_pat_{drawn(rng, LETTERS_AND_DIGITS, 22)}_{drawn(rng, LETTERS_AND_DIGITS, 59)}",
        "aws_key": rng.choice(("AKIA", "ASIA")) + drawn(rng, upper, 16),
        "google_key": "AIza" + drawn(rng, URL_SAFE, 35),
        "google_key client": "GOCSPX-" + drawn(rng, URL_SAFE, 28),
        "stripe_key": f"{rng.choice(('sk', 'rk', 'pk'))}_{rng.choice(('live', 'test'))}_{drawn(rng, LETTERS_AND_DIGITS, 24)}",
        "slack_token": f"xox{rng.choice('bpars')}-{drawn(rng, string.digits, 12)}-{drawn(rng, LETTERS_AND_DIGITS, 24)}",
        "card visa": card(rng, first="4", length=16),
        "card mastercard": card(rng, first="54", length=16),
        "card amex": card(rng, first="37", length=15),
        "email": f"{drawn(rng, string.ascii_lowercase, 8)}.{drawn(rng, string.ascii_lowercase, 6)}@{drawn(rng, string.ascii_lowercase, 9)}.example",
    }


def texts(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Texts with a secret in each: what it is, the secret, the text."""
    for kind, secret in by_value(rng).items():
        yield kind, secret, f"it fails with {secret} since yesterday"
        yield (
            f"{kind} in JSON",
            secret.split()[-1],
            json.dumps({"message": f"sent {secret}", "level": "error"}),
        )
        yield f"{kind} in code", secret.split()[-1], f"call('{secret}');"
    number = card(rng, first="4", length=16)
    spaced = " ".join(number[start : start + 4] for start in range(0, 16, 4))
    yield "card spaced", spaced, f"the number {spaced}, as on the card"
    password = drawn(rng, LETTERS_AND_DIGITS, 12)
    yield "URL user info", password, f"connecting to postgres://app:{password}@db.internal:5432/app failed"
    for name in KEYS:
        secret = drawn(rng, LETTERS_AND_DIGITS, 24)
        yield f"{name} in a query", secret, f"GET https://shop.example/cb?a=1&{name}={secret}&page=2 → 500"
        yield f"{name} first in a form", secret, f"{name}={secret}&remember=1"
        yield (
            f"{name} in an encoded URL",
            secret,
            f"/go?to={quote(f'https://x.example/?{name}={secret}&b=2', safe='')}",
        )
        yield f"{name} in encoded JSON", secret, "state=" + quote(json.dumps({name: secret}), safe="")
        yield f"{name} in JSON", secret, json.dumps({"user": {name: secret}, "page": 2})
        yield (
            f"{name} in JSON behind words",
            secret,
            f"sent {json.dumps({name: secret, 'page': 2})} and got 500",
        )
        yield (
            f"{name} in JSON that was cut",
            secret,
            json.dumps({"a": {name: secret}, "text": "x" * 50})[:-30],
        )
        yield (
            f"{name} in a JSON object",
            secret,
            f'state {{"{name}": {{"inner": "{secret}", "n": [1]}}, "page": 2',
        )
        yield f"{name} in escaped JSON", secret, json.dumps(json.dumps({name: secret, "page": 2}))[1:-1]
        yield f"{name} in a header", secret, f"Accept: */*\r\n{name}: {secret}\r\nHost: shop.example"
        yield f"{name} in a command", secret, f"curl -H '{name}: {secret}' https://shop.example/"
        yield f"{name} in code", secret, f'const {name} = "{secret}";'


def values(rng: random.Random) -> Iterator[tuple[str, str, Any]]:
    """JSON values with a secret in each: what it is, the secret, the value."""
    for name in KEYS:
        secret = drawn(rng, LETTERS_AND_DIGITS, 24)
        yield f"{name}", secret, {"calls": [{"headers": {name: secret, "accept": "*/*"}}]}
        yield f"{name} of an object", secret, {name: {"inner": [secret]}}
        yield f"{name} in a pair", secret, {"headers": [["Accept", "*/*"], [name, secret]]}
        yield f"{name} as a label", secret, {"headers": [{"name": name, "value": secret}]}
        yield f"{name} of a form field", secret, {"type": "input", "id": name, "value": secret}
        yield f"{name} in a JSON string", secret, {"body": json.dumps({"a": json.dumps({name: secret})})}
        yield f"{name} far inside", secret, [[[[[{"a": {"b": [{name: secret}]}}]]]]]
    for kind, secret in by_value(rng).items():
        yield f"{kind} as a value", secret, {"state": [secret]}
        yield f"{kind} as a key", secret, {f"user:{secret}": 1}
