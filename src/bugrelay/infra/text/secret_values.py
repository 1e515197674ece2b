"""Redaction of secrets that are recognised by their shape, anywhere in a text.

No pattern backtracks, and none reads a character more than a fixed number of times: repetitions are possessive, and
unbounded ones start only at the start of a run of their characters. So the time is linear in the length of any text.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from unicodedata import decimal


@dataclass(frozen=True, slots=True)
class _Shape:
    """The shape of a kind of secret.

    Attributes:
        kind: The kind of secret.
        pattern: Its group `secret` is the secret; without such a group, the whole match.
        needles: Every text that has such a secret contains one of these.
        is_secret: A further check of what matched.
    """

    kind: str
    pattern: re.Pattern[str]
    needles: tuple[str, ...]
    is_secret: Callable[[str], bool] = bool


def may_have_shapes(text: str) -> bool:
    """Whether the text may have a secret of any shape; for most texts, this one search rules it out."""
    return _NEEDLE.search(text) is not None


def redact_shapes(text: str, placeholder: Callable[[str], str]) -> str:
    """Return the text with each secret replaced by `placeholder(kind)`, which is called once for each."""
    for shape in _SHAPES:
        if any(needle in text for needle in shape.needles):
            text = _replaced(text, shape, placeholder)
    return text


def _replaced(text: str, shape: _Shape, placeholder: Callable[[str], str]) -> str:
    group: str | int = "secret" if "secret" in shape.pattern.groupindex else 0
    pieces: list[str] = []
    done = 0
    for match in shape.pattern.finditer(text):
        if shape.is_secret(match[group]):
            pieces += text[done : match.start(group)], placeholder(shape.kind)
            done = match.end(group)
    return "".join((*pieces, text[done:])) if pieces else text


def unbroken(text: str) -> str:
    """Return the text with JWTs joined that terminals or mails have broken into several lines.

    A line counts as broken if it ends in forty characters of a token, and the next line has nothing else.
    """
    if "eyJ" not in text or not ("\n" in text or "\\n" in text):
        return text
    return _BROKEN_JWT.sub(lambda found: _BREAK.sub("", found[0]) if _is_jwt(found[0]) else found[0], text)


def _is_random(text: str) -> bool:
    """Whether this is a token rather than a word after Bearer, as in "bearer authentication"."""
    return bool(_RANDOM.search(text))


def _is_credentials(text: str) -> bool:
    """Whether this is a name and a password of Basic authentication, unlike "basic functionality"."""
    data = text.rstrip("=")
    try:
        decoded = b64decode(data + "=" * (-len(data) % 4), validate=True).decode()
    except (Base64Error, UnicodeDecodeError):
        return False
    return ":" in decoded and decoded.isprintable()


def _is_jwt(text: str) -> bool:
    return text.count(".") > 1


def _is_address(text: str) -> bool:
    """Whether this is an e-mail address: not `icon@2x.png`, `git@` before a repository, or a version."""
    name, _, domain = text.replace("%40", "@").rpartition("@")
    ending = domain.rpartition(".")[2].lower()
    return name != "git" and len(ending) > 1 and ending.isalpha() and ending not in _FILE_ENDINGS


def _is_card(text: str) -> bool:
    """Whether the digits are a number that card schemes issue, with its check digit (ISO/IEC 7812)."""
    digits = text.translate(_SEPARATORS)
    if not digits.isascii():  # digits of another script, or fullwidth ones
        digits = "".join(str(decimal(digit)) for digit in digits)
    return bool(_ISSUED.fullmatch(digits)) and _has_luhn_digit(digits)


def is_card_number(number: float) -> bool:
    """Whether a number in JSON is a card number."""
    return 10**12 <= number < 10**19 and number == int(number) and _is_card(str(int(number)))


def _has_luhn_digit(digits: str) -> bool:
    """Luhn's algorithm: every second digit from the right is doubled, and the digits of the products are added."""
    return (sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))) % 10 == 0


_SPACES: Final = " \u00a0\u2009\u202f"  # no break, thin, narrow
_SEPARATORS: Final = str.maketrans("", "", f"{_SPACES}.-")
_DOUBLED: Final = str.maketrans("0123456789", "0246813579")
_RANDOM: Final = re.compile(r"\d|[a-z][A-Z]")
_FILE_ENDINGS: Final = frozenset(
    (
        "bmp",
        "css",
        "gif",
        "htm",
        "html",
        "ico",
        "jar",
        "jpeg",
        "jpg",
        "js",
        "json",
        "php",
        "png",
        "svg",
        "txt",
        "xml",
    )
)
# Visa; Mastercard and Mir; American Express; Diners; JCB; Discover, UnionPay, Maestro.
_ISSUED: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720|220[0-4])\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|(?:5[0678]|6\d)\d{14,17}"
)
_DIGITS: Final = "23456"  # with which card numbers begin
_BREAK: Final = re.compile(r"\r?\n[ \t]*+|(?:\\r)?\\n")
_BROKEN_JWT: Final = re.compile(
    r"(?<![\w-])(?:(?!eyJ)[\w-])*+eyJ[\w-]*+(?:(?:\."
    r"|(?<=[\w.-]{40})\r?\n[ \t]*+(?=[\w.-]++[\"'`,;]?+(?:[\r\n]|\Z))"
    r"|(?<=[\w.-]{40})(?:\\r)?\\n(?=[\w.-]++(?:[\\\"'`]|\Z)))[\w-]*+)++",
    re.ASCII,
)
_SHAPES: Final = (
    _Shape(
        "pem",
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{1,40}+-----(?:[^-]|-(?!----))*+(?:-----END [A-Z0-9 ]{1,40}+-----)?+"
        ),
        ("-----BEGIN ",),
    ),
    _Shape(
        "url_credentials",
        re.compile(r"://(?P<secret>(?!\[redacted:)[^\s/?#\"'<>@]{3,}+(?:@[^\s/?#\"'<>@]*+(?=@))*+)@"),
        ("://",),
    ),
    _Shape(
        "bearer",
        re.compile(r"[Bb](?i:earer)[ \t]++(?P<secret>[\w.~+/=-]{8,}+)", re.ASCII),
        ("earer", "EARER"),
        _is_random,
    ),
    _Shape(
        "basic",
        re.compile(r"[Bb](?i:asic)[ \t]++(?P<secret>[\w+/]{4,}+=*+)", re.ASCII),
        ("asic", "ASIC"),
        _is_credentials,
    ),
    _Shape(
        "jwt",
        re.compile(r"(?<![\w-])(?:(?!eyJ)[\w-])*+(?P<secret>eyJ[\w-]*+(?:\.[\w-]*+)++)", re.ASCII),
        ("eyJ",),
        _is_jwt,
    ),
    _Shape(
        "github_token",
        re.compile(r"(?:gh[pousr]_[A-Za-z0-9]{36,}+|github_pat_\w{22,}+)", re.ASCII),
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    _Shape(
        "aws_key",
        re.compile(
            r"(?<![A-Za-z0-9])A(?:KIA|SIA|BIA|CCA|GPA|IDA|IPA|NPA|NVA|ROA)[A-Z0-9]{16}(?![A-Za-z0-9])"
        ),
        ("AKIA", "ASIA", "ABIA", "ACCA", "AGPA", "AIDA", "AIPA", "ANPA", "ANVA", "AROA"),
    ),
    _Shape(
        "google_key",
        re.compile(r"(?:AIza[\w-]{35}|GOCSPX-[\w-]{20,}+|ya29\.[\w-]{20,}+|1//0[\w-]{20,}+)", re.ASCII),
        ("AIza", "GOCSPX-", "ya29.", "1//0"),
    ),
    _Shape(
        "stripe_key",
        re.compile(r"(?:[spr]k_(?:live|test)_[A-Za-z0-9]{10,}+|whsec_[\w+/=-]{16,}+)", re.ASCII),
        ("k_live_", "k_test_", "whsec_"),
    ),
    _Shape(
        "slack_token",
        re.compile(
            r"(?:xox[a-z](?:\.xox[a-z])?-[\w-]{10,}+|xapp-[\w-]{10,}+|hooks\.slack\.com/[\w/]{20,}+)",
            re.ASCII,
        ),
        ("xox", "xapp-", "hooks.slack.com/"),
    ),
    _Shape(
        "email",
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}+(?:@|%40)[\w-]++(?:\.[\w-]++)++"),
        ("@", "%40"),
        _is_address,
    ),
    _Shape(
        "card",
        re.compile(
            r"(?<![\w.])(?<!\w-)"
            rf"(?:\d{{13,19}}+|\d{{4}}([{_SPACES}.-])\d{{4,6}}+\1\d{{4,5}}+(?:\1\d{{1,4}}+)?+(?:\1\d{{1,3}}+)?+)"
            r"(?!\w|[.-]\w)"
        ),
        ("",),
        _is_card,
    ),
)
# A card number begins with a group of four digits, or is not grouped.
_NEEDLE: Final = re.compile(
    "|".join(
        rf"(?:[{_DIGITS}]|[^\x00-\x7f](?<=\d))\d{{3}}[{_SPACES}.-]?\d{{4}}"
        if shape.kind == "card"
        else "|".join(map(re.escape, shape.needles))
        for shape in _SHAPES
    )
)
