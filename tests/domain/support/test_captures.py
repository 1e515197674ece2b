"""What is kept of what a browser has recorded: bounds, order, secrets."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from bugrelay.domain.support.schemas import BrowserRecord, RedactedRecord
from bugrelay.domain.support.service.captures import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_REDACTIONS,
    MAX_STRING_LENGTH,
    redacted_record,
)

TOKEN = "ghp_" + "a1B2" * 9


def kept(**sent: Any) -> tuple[dict[str, Any], RedactedRecord]:
    record = redacted_record(BrowserRecord(**sent))
    assert record.capture is not None
    return json.loads(record.capture), record


def test_a_record_without_a_capture_keeps_what_is_short() -> None:
    record = redacted_record(
        BrowserRecord(page_title="Reports", page_url=f"https://a.example/?q=1&token={TOKEN}")
    )
    assert (record.capture, record.truncated) == (None, False)
    assert (record.page_title, record.page_url) == (
        "Reports",
        "https://a.example/?q=1&token=[redacted:token]",
    )
    assert json.loads(record.redactions) == [{"path": "page_url", "kind": "token", "count": 1}]


@pytest.mark.parametrize(
    ("field", "most"),
    [("page_url", 500), ("page_title", 255), ("viewport_size", 50), ("screen_resolution", 50)],
)
def test_what_is_short_is_cut_and_not_refused(field: str, most: int) -> None:
    record = redacted_record(BrowserRecord(**{field: "x" * 600}))
    assert getattr(record, field) == "x" * most


@pytest.mark.parametrize(
    ("part", "most"), [("console_errors", 200), ("api_history", 200), ("user_actions", 500)]
)
def test_the_newest_entries_stay_in_their_order(part: str, most: int) -> None:
    capture, record = kept(**{part: [{"n": n} for n in range(most + 7)]})
    assert [entry["n"] for entry in capture[part]] == list(range(7, most + 7))
    assert record.truncated
    assert not kept(**{part: [{"n": n} for n in range(most)]})[1].truncated


@pytest.mark.parametrize("part", ["local_storage_data", "session_storage_data"])
def test_a_storage_keeps_two_hundred_names(part: str) -> None:
    capture, record = kept(**{part: {f"name {n}": str(n) for n in range(201)}})
    assert capture[part] == {f"name {n}": str(n) for n in range(200)}
    assert record.truncated


def test_strings_and_depth_are_bounded() -> None:
    deep: Any = "the bottom"
    for _ in range(MAX_DEPTH):
        deep = {"in": deep}
    sent = [{"text": "x" * (MAX_STRING_LENGTH + 1)}, {"n" * 5000: 1}, deep, {"control": "a\0\x1b[31mb"}]
    capture, record = kept(console_errors=sent)
    long, name, bottom, control = capture["console_errors"]
    assert long == {"text": "x" * MAX_STRING_LENGTH}
    assert name == {"n" * MAX_STRING_LENGTH: 1}
    assert json.dumps(bottom).count("in") == MAX_DEPTH
    assert control == {"control": "a[31mb"}
    assert record.truncated
    assert kept(console_errors=[{"in": deep}])[0] != {"console_errors": [{"in": deep}]}


def test_all_parts_together_have_room_and_none_takes_that_of_others() -> None:
    loud = [{"n": n, "text": "x" * 3900} for n in range(200)]
    capture, record = kept(
        console_errors=loud, api_history=loud, user_actions=[{"type": "click"}], local_storage_data={"a": "b"}
    )
    assert record.capture is not None
    assert MAX_BYTES * 0.9 < len(record.capture) <= MAX_BYTES
    assert record.truncated
    assert capture["user_actions"] == [{"type": "click"}]
    assert capture["local_storage_data"] == {"a": "b"}
    for part in ("console_errors", "api_history"):
        numbers = [entry["n"] for entry in capture[part]]
        assert numbers == list(range(200 - len(numbers), 200))
        assert len(numbers) > 50


def test_redacted_text_that_became_longer_still_fits() -> None:
    _, record = kept(user_actions=[{"text": "a@b.co " * 140} for _ in range(500)])
    assert record.capture is not None
    assert len(record.capture) <= MAX_BYTES
    assert "a@b.co" not in record.capture


def test_a_secret_at_the_limit_is_redacted_whole() -> None:
    """One that was cut first would not be known: its beginning would stay."""
    for before in range(MAX_STRING_LENGTH - 60, MAX_STRING_LENGTH):
        capture, _ = kept(console_errors=[{"text": "x" * before + f" Bearer {TOKEN} "}])
        assert TOKEN[:8] not in json.dumps(capture)


def test_a_token_that_exceeds_the_limit_is_cut_off_whole() -> None:
    payload = "c2VjcmV0" * 2000
    capture, record = kept(console_errors=[{"text": f"sent eyJhbGciOiJub25lIn0.{payload}.c2ln"}])
    assert capture["console_errors"] == [{"text": "sent "}]
    assert record.truncated
    capture, _ = kept(console_errors=[{"text": "x" * 100_000}])
    assert capture["console_errors"] == [{"text": "x" * MAX_STRING_LENGTH}]


def test_a_secret_with_a_dropped_character_inside_is_still_recognised() -> None:
    capture, _ = kept(console_errors=[{"text": f"gh\0p_{TOKEN[4:]}"}])
    assert capture["console_errors"] == [{"text": "[redacted:github_token]"}]


def test_redactions_name_their_paths_and_are_bounded() -> None:
    entry = {"headers": {"Authorization": f"Bearer {TOKEN}"}, "body": '{"password": "hunter2", "ok": true}'}
    capture, record = kept(api_history=[entry, entry], session_storage_data={"sid": "abc", "author": "Rita"})
    assert capture["api_history"][0]["headers"] == {"Authorization": "[redacted:auth]"}
    assert capture["session_storage_data"] == {"sid": "[redacted:session]", "author": "Rita"}
    found = {(one["path"], one["kind"]): one["count"] for one in json.loads(record.redactions)}
    assert found[("api_history[].headers.Authorization", "auth")] == 2
    assert found[("session_storage_data.sid", "session")] == 1
    many = {f"part{n}": {"token": "abc123"} for n in range(900)}
    redactions = json.loads(kept(console_errors=[many])[1].redactions)
    assert len(redactions) == MAX_REDACTIONS + 1
    assert sum(one["count"] for one in redactions) == 900


def test_the_browser_is_bounded_as_well() -> None:
    sent = {"name": "Firefox", "cookie": "a=b", **{f"more {n}": "x" * 1000 for n in range(50)}}
    record = redacted_record(BrowserRecord(browser_info=sent))
    assert record.browser_info is not None
    assert record.truncated
    found = json.loads(record.browser_info)
    assert (found["name"], found["cookie"]) == ("Firefox", "[redacted:cookie]")
    assert len(record.browser_info) <= 16 * 1024


def test_no_more_of_the_browser_is_looked_at_than_could_be_kept() -> None:
    """All else of two mebibytes of addresses is left out before it costs anything."""
    few = {"name": "Firefox", **{str(n): {str(k): "a@b.co" for k in range(20)} for n in range(200)}}
    many = {"name": "Firefox", **{str(n): {str(k): "a@b.co" for k in range(20)} for n in range(4000)}}
    kept_of = [redacted_record(BrowserRecord(browser_info=sent)) for sent in (few, many)]
    assert kept_of[0].browser_info == kept_of[1].browser_info
    counts = [sum(one["count"] for one in json.loads(record.redactions)) for record in kept_of]
    assert counts[0] == counts[1]
    assert all(record.truncated for record in kept_of)


def test_time_is_linear_in_what_was_sent() -> None:
    """Eight times as much of the worst takes no more than three times eight as long."""

    def seconds(share: int) -> float:
        sent = BrowserRecord(
            console_errors=[{"m": "a" * 500 * share}, {"m": "=" * 500 * share}, {"m": '{"' * 250 * share}],
            api_history=[{"b": json.dumps({f"k{n}": "a@b.co" for n in range(4 * share)})} for _ in range(10)],
        )
        began = time.process_time()
        for _ in range(3):
            redacted_record(sent)
        return time.process_time() - began

    seconds(8)
    assert seconds(64) / seconds(8) < 24
