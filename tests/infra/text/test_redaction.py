"""Planted secrets are taken out wherever they stand, ordinary text is left alone, and time is linear in the size."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bugrelay.infra.text.redaction import Redaction, redact_text, redact_value
from bugrelay.infra.text.secret_keys import secret_kind
from tests.infra.text import secrets

ROOT = Path(__file__).parents[3]
MIN_RECALL = 0.98
MAX_FALSE_HITS = 0.02
ROUNDS = 5

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)

HOSTILE = (
    "a",
    "=",
    "a=",
    "ab=",
    "a=a&",
    "eyJ",
    "eyJ.",
    "a.",
    "-",
    "-----BEGIN",
    "-----BEGIN A-----",
    "a://",
    "://a@",
    "://abc@",
    "a@",
    "@a",
    "a@a.",
    "a@b.co ",
    "bearer ",
    "Bearer aaaaaaaa ",
    "basic ",
    "4",
    "4111 ",
    "4 ",
    "4111-1111-",
    "ghp_",
    "token=",
    "token=a(",
    "token:",
    "token: ",
    "token=[redacted:",
    "cookie: ",
    "cookie: a",
    "authorization: bearer ",
    '"auth":{',
    '"auth":[',
    "token='",
    'token="',
    'token=\\"',
    "\\",
    '\\"',
    '"',
    "[",
    "{",
    '["',
    '{"a":',
    "%",
    "%25",
    "%3D=",
    "%3D",
    "a%3D",
    "x%3Dtoken%3Da%26",
    "password: x\n",
    "password: (",
    "A",
    "Aa",
    " ",
    "\n",
    "_",
    "github_pat_",
    "AKIA",
    "xox",
    "xoxb-a",
    "AIza",
    "k_live_",
    "whsec_",
    "1//0",
    "ya29.",
    "'token':",
    "`token`:`",
    "tokenA",
    "😀",
    "é",
    "4111111111111111 ",
    '\\"token\\":\\"x\\",',
    "pin :",
    "**pin:**",
    "eyJ.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
    "eyJaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\n",
    "１",
    "١ ",
    "iban: AB12 ",
    "0" * 40 + "\n",
)


def test_planted_secrets_are_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(20261122)
    missed, planted = [], 0
    for _ in range(ROUNDS):
        for what, secret, text in secrets.texts(rng):
            planted += 1
            missed += [what] if secret in redact_text(text)[0] else []
        for what, secret, value in secrets.values(rng):
            planted += 1
            redacted, redactions = redact_value(value, path="capture")
            left = json.dumps(redacted) + repr(redactions)
            missed += [what] if secret in left or json.dumps(secret)[1:-1] in left else []
    with capsys.disabled():
        print(
            f"\nplanted secrets: {planted}, recall {1 - len(missed) / planted:.4f}, missed: {sorted(set(missed))}"
        )
    assert len(missed) <= (1 - MIN_RECALL) * planted


def ordinary_texts() -> list[str]:
    """What people write about programs, line by line: our documentation, the invented boards, the code of tests."""
    files = [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "src" / "bugrelay" / "demo").rglob("*.py"),
        *(ROOT / "tests" / "domain").rglob("*.py"),
    ]
    return [line for file in sorted(files) for line in file.read_text().splitlines() if len(line) > 40]


def test_ordinary_text_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    texts = ordinary_texts()
    hit = [text for text in texts if redact_text(text)[1]]
    with capsys.disabled():
        print(f"\nordinary texts: {len(texts)}, false hits {len(hit) / len(texts):.4f}")
    assert len(texts) > 5000
    assert len(hit) <= MAX_FALSE_HITS * len(texts)


HEADER, PAYLOAD = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IlJpdGEgRG9lIn0",
)
JWT = f"{HEADER}.{PAYLOAD}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"


def broken(text: str, *, width: int, between: str) -> str:
    return between.join(text[start : start + width] for start in range(0, len(text), width))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (broken(JWT, width=64, between="\n"), "[redacted:jwt]"),
        (
            f"sent:\n{broken(JWT, width=76, between=chr(13) + chr(10))}\nand more",
            "sent:\n[redacted:jwt]\nand more",
        ),
        (f'{{"a": "{broken(JWT, width=64, between=chr(92) + "n")}"', '{"a": "[redacted:jwt]"'),
        (
            f"Authorization: Bearer {broken(JWT, width=64, between=chr(10) + '    ')}",
            "Authorization: [redacted:auth]",
        ),
        (f"{JWT}\nError: refused", "[redacted:jwt]\nError: refused"),
        ("４１１１１１１１１１１１１１１１", "[redacted:card]"),
        ("٤١١١ ١١١١ ١١١١ ١١١١", "[redacted:card]"),
        ("4111\u00a01111\u00a01111\u00a01111", "[redacted:card]"),
        ("４１１１１１１１１１１１１１１２", "４１１１１１１１１１１１１１１２"),
        ("IBAN: DE89 3704 0044 0532 0130 00 of Rita", "IBAN: [redacted:iban] of Rita"),
        ("iban: GB29 NWBK 6016 1331 9268 19.", "iban: [redacted:iban]."),
    ],
)
def test_a_secret_is_recognised_in_every_spelling(text: str, left: str) -> None:
    assert redact_text(text)[0] == left


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ([["token=hunter2hunter2", "x"]], [["token=[redacted:token]", "[redacted:token]"]]),
        ([["pin", 483920], ["count", 483920]], [["pin", "[redacted:pin]"], ["count", 483920]]),
        ({"Name": "Cookie", "Values": ["a=b"]}, {"Name": "Cookie", "Values": "[redacted:cookie]"}),
        (
            {"inputType": "password", "newValue": "hunter2", "oldValue": "hunter"},
            {"inputType": "password", "newValue": "[redacted:password]", "oldValue": "[redacted:password]"},
        ),
        (
            [{"type": "input", "selector": "#password", "text": "hunter2"}],
            [{"type": "input", "selector": "#password", "text": "[redacted:password]"}],
        ),
        (
            [{"type": "click", "selector": "#reset-password", "text": "Send me a link"}],
            [{"type": "click", "selector": "#reset-password", "text": "Send me a link"}],
        ),
    ],
)
def test_a_value_is_recognised_by_its_label(value: Any, left: Any) -> None:
    redacted, redactions = redact_value(value)
    assert redacted == left
    assert "hunter2" not in repr(redactions)


@pytest.mark.parametrize(
    "name",
    ["author", "authority", "compass", "passenger", "bypass", "tokenizer", "secretary", "pinned", "inside"],
)
def test_names_that_only_contain_a_secret_word_are_not_redacted(name: str) -> None:
    assert secret_kind(name) is None
    assert redact_value({name: "x7"}) == ({name: "x7"}, [])


def test_redactions_have_path_kind_and_count() -> None:
    value = {
        "calls": [
            {"headers": {"Cookie": "a=1"}},
            {"headers": {"Cookie": "b=2"}, "body": '{"user":{"pin":1234}}'},
        ]
    }

    redacted, redactions = redact_value(value, path="api_history")

    assert redacted == {
        "calls": [
            {"headers": {"Cookie": "[redacted:cookie]"}},
            {"headers": {"Cookie": "[redacted:cookie]"}, "body": '{"user":{"pin":"[redacted:pin]"}}'},
        ]
    }
    assert redactions == [
        Redaction("api_history.calls[].headers.Cookie", "cookie", 2),
        Redaction("api_history.calls[].body.user.pin", "pin", 1),
    ]


def test_values_that_reveal_nothing_stay() -> None:
    value = {
        "token": None,
        "hasPassword": True,
        "session": "",
        "cookies": [],
        "at": 1447891234567,
        "ratio": 0.4111,
    }
    assert redact_value(value) == (value, [])


@pytest.mark.parametrize(
    "text",
    [
        "session: expired, so the token was refused (token: invalid)",
        "Password: must be longer than eight characters",
        "Basic functionality and bearer authentication work as before",
        "icon@2x.png and git@forge.example:team/app at auth.js:120:7",
        "var session = this.session.current; token = getToken(user);",
        "order 4111111111111112, 20151022123456 and 37.33182123456781",
        "https://shop.example/a?page=2&sort=-created#top",
        "50% of 100%25 is a=b&c=d",
    ],
)
def test_ordinary_lines_stay_as_they_are(text: str) -> None:
    assert redact_text(text) == (text, [])


@given(st.text())
def test_a_second_pass_changes_nothing(text: str) -> None:
    once, _ = redact_text(text)
    assert redact_text(once)[0] == once


@given(JSON_VALUES)
def test_any_value_keeps_its_shape(value: Any) -> None:
    redacted, redactions = redact_value(value)
    assert redactions or redacted == value
    assert redact_value(redacted) == (redacted, [])


def test_what_is_nested_too_deep_is_taken_out_whole() -> None:
    value: Any = "unseen"
    for _ in range(20_000):
        value = [value]
    redacted, (redaction,) = redact_value(value)
    assert "unseen" not in json.dumps(redacted)
    assert redaction.kind == "depth"
    assert redact_text("[" * 200_000) == ("[" * 200_000, [])


def test_a_text_of_many_secret_names_is_cut_after_ten_thousand() -> None:
    redacted, redactions = redact_text("token: " * 40_000)
    assert len(redacted) < 80_000
    assert redactions == [Redaction("", "rest", 1)]


def test_the_list_of_redactions_is_bounded() -> None:
    value = {f"name {number} " + "x" * 500: {"password": "x"} for number in range(3000)}
    _, redactions = redact_value(value)
    assert len(redactions) <= 1001
    assert sum(redaction.count for redaction in redactions) == 3000
    assert max(len(redaction.path) for redaction in redactions) <= 300


def processor_seconds(text: str) -> float:
    """The least of a few rounds: what others do on the machine only adds to it."""

    def one() -> float:
        began = time.thread_time()
        redact_text(text)
        return time.thread_time() - began

    return min(one() for _ in range(3))


def nested(text: str, *, times: int) -> str:
    for _ in range(times):
        text = json.dumps([text])
    return text


def test_time_is_linear_in_the_size() -> None:
    """At eight times the size a quadratic step takes 64 times as long."""
    encoded = (quote(word) for word in ("token=a&", '{"token":"a"}', "%", "a@b.co "))
    for word in (*HOSTILE, *encoded):
        small, large = (word * (size // len(word) + 1) for size in (8_192, 65_536))
        ratio = processor_seconds(large) / processor_seconds(small)
        assert ratio < 24, f"{word!r} takes {ratio:.1f} times as long at eight times the size"


def test_json_in_json_in_json_is_read_a_fixed_number_of_times() -> None:
    """Each level inside a string is read as JSON, down to the third: what is further inside is text."""
    flat, deep = processor_seconds("a " * 50_000), processor_seconds(nested("a " * 50_000, times=12))
    assert deep / flat < 24
