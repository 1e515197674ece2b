"""What conditions look at, and what comparing costs; what texts take in, and what they do not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from bugrelay.domain.events.schemas import Event
from bugrelay.domain.rules import policies
from bugrelay.domain.rules.fields import FIELDS, EvaluationContext, checked, holds
from bugrelay.domain.rules.schemas import MAX_CONDITIONS, MAX_RULES, Condition, Rule
from bugrelay.domain.rules.texts import Placeholders, fill, fill_markdown
from bugrelay.domain.tickets.schemas import TicketState
from bugrelay.infra.text.markdown import render

ADA, BOB, PROJECT = UUID(int=1), UUID(int=2), UUID(int=3)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def situation(
    *, title: str = "The Printer is out", changes: Sequence[Any] = (), **event: Any
) -> EvaluationContext:
    values = {"actor_id": ADA, "visibility": "tenant", "type": "ticket.changed", "data": {"changes": changes}}
    return EvaluationContext(
        event=Event(
            stream=PROJECT,
            seq=1,
            at=NOW,
            bug_id=None,
            ticket_id=PROJECT,
            project_id=PROJECT,
            version=1,
            cause={"kind": "user", "chain": []},
            **(values | event),
        ),
        ticket=TicketState(
            id=PROJECT,
            project_id=PROJECT,
            scheme="tickets",
            key="TSK-1001",
            kind="ticket",
            title=title,
            description="",
            status="open",
            category="todo",
            priority="medium",
            department=None,
            tags=["paper", "soon"],
            reporter_id=ADA,
            internal_notes=None,
            resolution_notes=None,
            version=1,
        ),
        assignee_ids=[BOB],
        comment_count=2,
        attachment_count=0,
        created_at=NOW - timedelta(hours=5, minutes=59),
        now=NOW,
    )


HOLD: list[tuple[str, str, Any]] = [
    ("status", "eq", "open"),
    ("status", "not_in", ["closed", "DONE"]),
    ("category", "in", ["todo", "done"]),
    ("priority", "gt", "low"),
    ("priority", "lt", "high"),
    ("kind", "eq", "ticket"),
    ("title", "contains", "pRINTER"),
    ("title", "eq", "THE PRINTER IS OUT"),
    ("description", "empty", None),
    ("department", "empty", True),
    ("department", "ne", "Sales"),
    ("tags", "contains", "Paper"),
    ("tags", "in", ["late", "soon"]),
    ("tags", "not_in", ["late"]),
    ("tags", "empty", False),
    ("projectId", "eq", str(PROJECT)),
    ("reporterId", "in", [str(ADA).upper()]),
    ("assigneeIds", "contains", str(BOB)),
    ("actorId", "ne", str(BOB)),
    ("isInternal", "eq", False),
    ("commentCount", "gt", 1),
    ("attachmentCount", "eq", 0),
    ("ageHours", "eq", 5),
    ("ageHours", "lt", 6),
]
OPPOSITES = {"eq": "ne", "ne": "eq", "in": "not_in", "not_in": "in"}


@pytest.mark.parametrize(("field", "op", "value"), HOLD)
def test_a_condition_holds_and_its_opposite_does_not(field: Any, op: Any, value: Any) -> None:
    assert holds(checked(Condition(field, op, value)), situation())
    opposite = OPPOSITES.get(op)
    if op == "empty":
        assert not holds(checked(Condition(field, op, value is False)), situation())
    elif opposite in FIELDS[field].ops:
        assert not holds(checked(Condition(field, opposite, value)), situation())  # type: ignore[arg-type]


def test_changed_to_looks_at_the_event() -> None:
    came = {"field": "tags", "from": ["paper"], "to": ["paper", "soon"]}
    changes = [
        {"field": "priority", "from": "low", "to": "medium"},
        {"field": "title", "is_long": True},
        came,
    ]
    seen = situation(changes=changes)
    asked = {
        ("priority", "medium"): True,
        ("priority", "low"): False,
        ("tags", "soon"): True,
        ("tags", "paper"): False,
    }
    for (field, value), expected in asked.items():
        condition = checked(Condition(field, "changed_to", value))  # type: ignore[arg-type]
        assert holds(condition, seen) is expected
        assert not holds(condition, situation())
    moved = situation(type="ticket.status_changed", data={"from": "closed", "to": "open"})
    assert holds(checked(Condition("status", "changed_to", "open")), moved)
    assert not holds(checked(Condition("status", "changed_to", "closed")), moved)


def seconds_of(title: str, needle: str) -> float:
    """The least processor time of several goes, for all rules that a company may have."""
    conditions = {"all": [{"field": "title", "op": "contains", "value": needle}] * MAX_CONDITIONS}
    any_of = {"any": conditions["all"]}
    rule = Rule(ADA, "", None, "ticket.created", None, any_of, [], NOW)
    found = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(MAX_RULES):
            assert not policies.matches(rule, situation(title=title))
        found.append(time.process_time() - began)
    return min(found)


def test_fifty_rules_of_twenty_conditions_cost_no_more_for_the_worst_title_than_for_another() -> None:
    """A pattern would try again at each place of it; room for what a busy machine adds."""
    ordinary = seconds_of("The printer is out of paper. " * 8, "out of ink")
    worst = seconds_of("a" * 255, "a" * 127 + "b" + "a" * 126)
    assert worst < 20 * ordinary


WORDS = Placeholders(
    key="TSK-1", title="{actor} {key} *b* <img src=x onerror=y> \u202etxt", status="in_progress", actor="ada"
)


def test_four_placeholders_are_filled_in_once() -> None:
    hostile = "{title.__class__} {0} {} {title!r} {{key}} {Key} %s {title:>9999999999}"
    assert fill(hostile, WORDS, max_length=1000) == hostile.replace("{{key}}", "{TSK-1}")
    filled = fill("{key} {title} {status} {actor}", WORDS, max_length=1000)
    assert filled.startswith("TSK-1 {actor} {key} *b* <img")
    assert filled.endswith(" in_progress ada")
    assert "\u202e" not in filled
    assert len(fill("{title}" * 300, WORDS, max_length=500)) == 500


@pytest.mark.parametrize(
    "title",
    [
        *(
            "# h",
            "> q",
            "- x",
            "+ x",
            "=== ",
            "---",
            "1. x",
            "123456789) x",
            "* x",
            "    x",
            "``` x",
            "| a |",
        ),
        *(
            "*b*",
            "__b__",
            "[a](http://x.example)",
            "<b>",
            "&amp;",
            "~~x~~",
            "![i](//x.example)",
            "\\",
            "a\\*b*",
        ),
        *("http://x.example/_a_", "<http://x.example>", "[x]: http://x.example"),
    ],
)
def test_values_filled_into_markdown_are_escaped(title: str) -> None:
    words = Placeholders(key="TSK-1", title=title.strip(), status="open", actor="ada")
    for text, around in (("{title}", ""), ("a\n\n{title}", "a")):
        html = render(fill_markdown(text, words, max_length=10_000))
        assert html.replace("<p>", "").replace("</p>", "").strip().partition("\n")[0] in (
            around,
            escaped(words.title),
        )
        assert html.rstrip().endswith(f"{escaped(words.title)}</p>")


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
