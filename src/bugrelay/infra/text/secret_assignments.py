"""Redaction of secrets after their names in a text: query strings, headers, truncated JSON, settings, code.

Quoted values and those of a query string are redacted by the name alone; a word after a name in prose only if it looks
like a secret, which "session: expired" does not. What is redacted is read once, and of the rest at most 64 characters
for each name, so the time is linear in the length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bugrelay.infra.text.secret_keys import secret_kind

# A name starts only where a run of its characters starts. Two asterisks: Markdown in bold type.
_ASSIGNMENT: Final = re.compile(
    r"(?<![\w$%.\[\]~-])(?P<name>[\w$%.\[\]~-]{3,}+)(?P<quote>\\*+[\"'`])?+"
    r"(?P<sign>[ \t]*+(?::=|=>|=|:)(?![=:])(?:\*\*)?+[ \t]*+)(?!//)"
)
# In `'token: ' + token` the quotation ends after the name.
_QUOTED: Final = re.compile(
    r"([\"'`])(?![ \t]*+[+,.)][ \t])(?P<secret>[^\"'`\\\n]*+(?:(?:\\.|(?!\1)[\"'`])[^\"'`\\\n]*+)*+)"
)
_ESCAPED: Final = re.compile(r"\\++[\"'](?P<secret>[^\"'\\\n]*+)")
_QUERY_VALUE: Final = re.compile(r"(?P<secret>(?:(?i:bearer|basic|digest|token)[ +])?+[^\s&;,\"'<>`]++)")
_JSON_WORD: Final = re.compile(r"(?P<secret>[^\s,;\"'<>`{}\[\]]++)")
_WORD: Final = re.compile(r"(?P<secret>[^\s,;\"'<>`]++)")
# A number in groups of four, as banks print it (ISO 13616).
_IBAN: Final = re.compile(r"(?P<secret>[A-Za-z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}+(?: ?[A-Z0-9]{1,3}\b)?+)")
_LINE: Final = re.compile(r"(?P<secret>[^\r\n]++)")
_QUOTED_LINE: Final = re.compile(r"(?P<secret>[^\r\n\"'`]++)")
_LINE_END: Final = re.compile(r"[ \t]*+(?:\r?\n|\Z)")
_BRACKET: Final = re.compile(r"[\[{}\]]")
_HEADERS: Final = {
    **dict.fromkeys(
        ("authorization", "proxy-authorization"),
        re.compile(r"(?i:bearer|basic|digest|token|apikey|negotiate|hawk|aws4-hmac-sha256)[ \t]"),
    ),
    **dict.fromkeys(("cookie", "set-cookie"), re.compile(r"[^\r\n=]{1,64}+=")),
}
_QUOTES: Final = frozenset("\"'`\\")
_PLACEHOLDER: Final = "[redacted:"

# What programs print instead of a secret, and what people write about one.
_NO_SECRET: Final = re.compile(
    r"(?i:true|false|null|none|nil|undefined|nan|required|missing|invalid|expired|wrong|incorrect|empty|unknown|error"
    r"|failed|valid|string|str|text|int|number|bool|boolean|object|ok|yes|no|on|off|optional)?[\])}.!?:]*+\Z"
)
_CODE: Final = re.compile(
    r"[A-Za-z_$]++(?:(?:\.[A-Za-z_$]++)++(?:[(\[{].*+)?+|[(\[{].*+)[;)\]}]*+", re.DOTALL
)
_LINE_NUMBER: Final = re.compile(r"\d++(?::\d++)?+\b")
_TOKEN_SIGN: Final = re.compile(r"[\d!@#$%^&*+=]")
_MAX_NAMES: Final = 10_000
_MAX_JUDGED: Final = 64
_MIN_TOKEN_LENGTH: Final = 20
_MIN_NUMBER_LENGTH: Final = 6
_TYPED_BY_HAND: Final = frozenset({"password", "pin", "otp", "cvv", "secret", "credential"})


def redact_assignments(text: str, placeholder: Callable[[str], str]) -> str:
    """Return the text without secrets after their names; `placeholder` is called once for each, with its kind.

    From the 10,001st such name on, the rest of the text is redacted as one.
    """
    pieces: list[str] = []
    done = names = 0
    for assignment in _ASSIGNMENT.finditer(text):
        if assignment.start() < done or not (kind := secret_kind(assignment["name"])):
            continue
        names += 1
        if names > _MAX_NAMES:
            return "".join((*pieces, text[done : assignment.start()], placeholder("rest")))
        start, end = _secret_after(text, assignment, kind)
        if start < end:
            pieces += text[done:start], placeholder(kind)
            done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _secret_after(text: str, assignment: re.Match[str], kind: str) -> tuple[int, int]:
    """Return the start and end of the secret; both are the same if there is none, or it was redacted already."""
    start = assignment.end()
    if text.startswith(_PLACEHOLDER, start):
        return start, start
    found = (
        _QUOTED.match(text, start) or _ESCAPED.match(text, start)
        if text[start : start + 1] in _QUOTES
        else None
    )
    if found:
        return (start, start) if found["secret"].startswith(_PLACEHOLDER) else found.span("secret")
    if assignment["quote"] and text.startswith(("{", "["), start):
        return start, _closing(text, start)
    header = _HEADERS.get(assignment["name"].lower())
    if header and header.match(text, start):
        return _header(text, assignment)
    return _unquoted(text, assignment, kind)


def _unquoted(text: str, assignment: re.Match[str], kind: str) -> tuple[int, int]:
    start = assignment.end()
    if kind == "iban" and _IBAN.match(text, start):
        return _span(_IBAN, text, start)
    word = _WORD.match(text, start, start + _MAX_JUDGED)
    if not word or _NO_SECRET.match(word[0]):
        return start, start
    if assignment["quote"]:
        return _span(_JSON_WORD, text, start)
    if assignment["sign"] == "=":
        return _query_value(text, assignment, word[0])
    in_file = "." in assignment["name"] and _LINE_NUMBER.match(word[0])
    is_secret = not in_file and not _CODE.fullmatch(word[0]) and _looks_secret(text, word, kind)
    return _span(_WORD, text, start) if is_secret else (start, start)


def _closing(text: str, start: int) -> int:
    """Return the end of the bracket that opens at `start`; the end of the text if the JSON was truncated."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "[{" else -1
        if depth == 0:
            return bracket.end()
    return len(text)


def _header(text: str, assignment: re.Match[str]) -> tuple[int, int]:
    """Return the span of the rest of the line, or of the quotation that contains the header."""
    quoted = text[assignment.start() - 1 : assignment.start()] in _QUOTES
    return _span(_QUOTED_LINE if quoted else _LINE, text, assignment.end())


def _query_value(text: str, assignment: re.Match[str], word: str) -> tuple[int, int]:
    """Return the span of the value in a query string; or of `name=value` elsewhere, unless it is code."""
    in_query = text[assignment.start() - 1 : assignment.start()] in {"?", "&", "#"}
    if not in_query and _CODE.fullmatch(word):
        return assignment.end(), assignment.end()
    return _span(_QUERY_VALUE, text, assignment.end())


def _looks_secret(text: str, word: re.Match[str], kind: str) -> bool:
    """Whether a word after a name is a secret rather than prose."""
    bare = word[0].rstrip(".,;:!?)]}")
    by_hand = kind in _TYPED_BY_HAND
    if bare.isdigit():
        return by_hand or len(bare) >= _MIN_NUMBER_LENGTH
    if _TOKEN_SIGN.search(bare) or len(bare) >= _MIN_TOKEN_LENGTH:
        return True
    return bool(bare) and by_hand and _LINE_END.match(text, word.end()) is not None


def _span(pattern: re.Pattern[str], text: str, start: int) -> tuple[int, int]:
    found = pattern.match(text, start)
    return found.span("secret") if found else (start, start)
