"""Names of secret values, recognised by their words."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

_WORD_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z]++")
# Every name of a secret matches; so most other names need not be split into words.
_SUSPECT = re.compile(
    r"pass|pwd|secret|token|auth|cookie|sess|sid|jwt|key|c[sr]|otp|pin|cv|iban", re.IGNORECASE
)
_MAX_CACHED_LENGTH: Final = 100

_KINDS: Final = {
    "password": "pass passwd password passwords passphrase passcode pwd",
    "secret": "secret secrets",
    "token": "token tokens",
    "auth": "auth oauth authorization authorisation authentication",
    "cookie": "cookie cookies",
    "session": "session sessions sessionid sessid sid",
    "jwt": "jwt jwts",
    "api_key": "apikey apikeys",
    "access_key": "accesskey accesskeys",
    "private_key": "privatekey privatekeys",
    "csrf": "csrf xsrf",
    "credential": "credential credentials creds",
    "otp": "otp totp",
    "pin": "pin pins",
    "cvv": "cvv cvc",
    "iban": "iban ibans",
}
_KIND_OF_WORD: Final = {word: kind for kind, words in _KINDS.items() for word in words.split()}
# Endings of names whose words are not separated: `accesstoken`, `PHPSESSID`, `csrfmiddlewaretoken`.
_ENDINGS: Final = {
    **{word: word for word in ("password", "secret", "token", "cookie", "jwt")},
    **dict.fromkeys(("passwd", "passphrase"), "password"),
    **dict.fromkeys(("sessionid", "sessid"), "session"),
    "apikey": "api_key",
    "accesskey": "access_key",
    "privatekey": "private_key",
}


def secret_kind(name: str) -> str | None:
    """Return the kind of secret that a value with this name is (`password`, `token` …), or None.

    Words are recognised in `camelCase`, `snake_case`, `kebab-case` and headers: `X-Auth-Token` has the word auth,
    `author` does not. The time is linear in the length.
    """
    return _cached_kind(name) if len(name) <= _MAX_CACHED_LENGTH else _kind(name)


def _kind(name: str) -> str | None:
    if not _SUSPECT.search(name):
        return None
    words = [word.lower() for word in _WORD_BREAK.split(name) if word]
    pairs = (first + second for first, second in pairwise(words))
    for word in (*pairs, *words):
        if word in _KIND_OF_WORD:
            return _KIND_OF_WORD[word]
    return next((kind for word in words for ending, kind in _ENDINGS.items() if word.endswith(ending)), None)


_cached_kind = lru_cache(maxsize=4096)(_kind)
