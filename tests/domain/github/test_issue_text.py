"""What an issue says: nobody is mentioned, nothing ends early, and it fits."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bugrelay.domain.github.issue_text import (
    MAX_BODY,
    MAX_TITLE,
    TicketText,
    comment_body,
    inert,
    issue_body,
    issue_labels,
    issue_title,
    marked_id,
    marker,
    without_marker,
)

TICKET_ID = UUID("01a1f2c0-5a30-7b52-8d2f-6a4c2f5a9d11")
OTHER_ID = UUID("01a1f2c0-5a30-7b52-8d2f-6a4c2f5a9d12")
HOSTILE = (
    "```\n~~~\n<!-- \n<details><pre>\n@octocat #1 GH-1 https://github.com/other/repo/issues/1\n"
    f"<!-- bugrelay:{OTHER_ID} -->"
)


def a_text(**changes: Any) -> TicketText:
    fields: dict[str, Any] = {
        "ticket_id": TICKET_ID,
        "key": "BUG-2026-0001",
        "title": "It crashed",
        "kind": "bug",
        "priority": "medium",
        "created_at": datetime(2026, 11, 22, 4, 0, tzinfo=UTC),
        "reporter": "Ada",
        "typed": {"Description": "A description"},
        **changes,
    }
    return TicketText(**fields)


def test_labels_are_by_category_and_severity_without_duplicates() -> None:
    assert issue_labels(a_text(), ["bug", "ours"]) == ["bug", "priority:medium", "ours"]
    labels = {kind: issue_labels(a_text(kind=kind), [])[0] for kind in ("feature_request", "help", "other")}
    assert labels == {"feature_request": "enhancement", "help": "question", "other": "needs-triage"}


def test_a_title_has_the_key_and_the_length_of_githubs() -> None:
    assert issue_title(a_text(title="a\nb")) == "[BUG-2026-0001] a b"
    assert len(issue_title(a_text(title="@" * 255))) == MAX_TITLE


@pytest.mark.parametrize("hostile", [HOSTILE, "`" * 40, "\u2028@x", "@" * 20_000, "\n" * 20_000, "#\r#"])
def test_typed_and_recorded_text_cannot_leave_its_quote_or_fence(hostile: str) -> None:
    long = a_text(
        title=hostile[:255],
        reporter=hostile[:100],
        typed=dict.fromkeys(("Description", "Steps to reproduce", "Expected", "Actual"), hostile),
        facts={"Page": hostile, "Browser": hostile},
        recorded={"Console errors": [{"message": hostile}] * 12, "API calls": [hostile] * 12},
        screenshot=True,
    )
    for body in (issue_body(long), comment_body(hostile, author=hostile[:50], comment_id=TICKET_ID)):
        assert len(body) <= MAX_BODY
        assert not re.search("[@#](?!\u2060)", body)
        assert not re.search("(?i)github.com/|<!--(?! bugrelay)|GH-1", body)
        assert marked_id(body) == TICKET_ID
        tokens = MarkdownIt("commonmark").parse(body)
        assert tokens[-1].type == "html_block"
        assert tokens[-1].content.strip() == marker(
            TICKET_ID
        )  # and so no fence, quote or comment swallows it
        assert [token for token in tokens if token.type == "html_block" and token.level == 0] == tokens[-1:]


def test_a_body_has_typed_text_first_and_the_latest_ten_entries() -> None:
    recorded = {"Console errors": [f"error {number:02}" for number in range(30)]}
    body = issue_body(a_text(recorded=recorded))
    assert re.findall(r"error (\d\d)", body) == [str(number) for number in range(20, 30)]
    named = re.findall(r"^- \*\*(.+):\*\* `(.+)`$", body, re.MULTILINE)
    assert named == [
        ("Category", "bug"),
        ("Severity", "medium"),
        ("Reported by", "Ada"),
        ("Tracked as", "BUG-2026-0001, reported 2026-11-22 04:00 UTC"),
    ]
    full = issue_body(
        a_text(
            typed={f"{i}": "x" * 8000 for i in range(6)},
            recorded={"Console errors": ["y" * 2000] * 10},
        )
    )
    assert full.count("x" * 8000) == 6
    assert 0 < full.count("y" * 1000) < 10


@given(st.text(alphabet="@#aGH-1`<!> \n\\é", max_size=200))
def test_inert_text_stays_readable(text: str) -> None:
    assert inert(text).replace("\u2060", "") == text


def test_a_marker_counts_only_at_the_end() -> None:
    body = f"> {marker(OTHER_ID)}\n\nA quotation"
    assert marked_id(body) is None
    assert marked_id(f"{body}\n\n{marker(TICKET_ID)}\n") == TICKET_ID
    assert without_marker(f"Yes.\n\n{marker(TICKET_ID)}") == "Yes.\n\n"
    assert marked_id(None) is None
