"""The text of issues and comments at GitHub: title, labels, body. Pure functions.

Typed text is put into a block quote, and what the browser recorded into a code fence that is longer than any inside it:
neither can end early or swallow what follows. A word joiner follows each `@` and `#`, so that nobody is mentioned and
nothing is linked. The last line is a marker, by which our own issues and comments are recognised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, field

from bugrelay.infra.ids import parse_id

MAX_BODY = 60_000  # characters; GitHub takes 65,536
MAX_TITLE = 256  # characters, as GitHub has it
MAX_ENTRIES = 10  # of each recorded list, the latest
_MAX_TYPED = 9_000  # of each typed text, after quoting
_MAX_DESCRIPTION = 18_000
_MAX_ENTRY = 1_500
_JOINER = "\N{WORD JOINER}"
_MENTION = re.compile(r"([@#])|(?<![A-Za-z0-9])(GH)(?=-[0-9])", re.IGNORECASE)
# GitHub would add a cross-reference to the issue at that URL, in any repository.
_ISSUE_URL = re.compile(r"(github\.com)(?=/)", re.IGNORECASE)
_COMMENT_START = re.compile(r"<(?=!)")
_FENCE = re.compile(r"`{3,}")
_MARKER = re.compile(r"<!-- bugrelay:([0-9a-f-]{36}) -->\s*\Z")

LABELS: Mapping[str, str] = {"bug": "bug", "feature_request": "enhancement", "help": "question"}
OTHER_LABEL = "needs-triage"


class TicketText(Struct, kw_only=True):
    """What may be sent of a ticket.

    Attributes:
        typed: What its reporter typed, by heading, in order.
        facts: Short values, by label.
        recorded: What the browser recorded, newest last, by heading.
        reporter: The name of the reporter; None where it must not be sent.
        screenshot: Whether there is one; None where the ticket is no support report.
    """

    ticket_id: UUID
    key: str
    title: str
    kind: str
    priority: str
    created_at: datetime
    reporter: str | None
    typed: Mapping[str, str]
    facts: Mapping[str, str] = field(default_factory=dict)
    recorded: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    screenshot: bool | None = None


def issue_title(ticket: TicketText) -> str:
    title = f"[{ticket.key}] {inert(' '.join(ticket.title.split()))}"
    return title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1]}…"


def issue_labels(ticket: TicketText, more: Sequence[str]) -> list[str]:
    """Labels by kind and priority, and more, without duplicates."""
    own = [LABELS.get(ticket.kind, OTHER_LABEL), f"priority:{ticket.priority}"]
    return list(dict.fromkeys([*own, *more]))


def issue_body(ticket: TicketText) -> str:
    """At most `MAX_BODY` characters; where that is too little, the oldest recorded entries are left out first."""
    head = [_typed(heading, text) for heading, text in ticket.typed.items() if text.strip()]
    tail = [_facts(ticket), marker(ticket.ticket_id)]
    room = MAX_BODY - len("\n\n".join([*head, *tail])) - 2
    recorded = []
    for heading, entries in ticket.recorded.items():
        section = _recorded(heading, entries, room=room)
        if section:
            recorded.append(section)
            room -= len(section) + 2
    return "\n\n".join([*head, *recorded, *tail])


def comment_body(content: str, *, author: str | None, comment_id: UUID) -> str:
    """The body of a comment; `author` is None where the repository is public."""
    head = [f"**{inert(_one_line(author))}**:"] if author else []
    return "\n\n".join([*head, _quoted(content, max_length=MAX_BODY - 1000), marker(comment_id)])


def marker(thing_id: UUID) -> str:
    """An HTML comment at the end of a body, by which we recognise our own."""
    return f"<!-- bugrelay:{thing_id} -->"


def marked_id(body: str | None) -> UUID | None:
    """The id in the marker at the end of a body; a marker anywhere else was typed or quoted by somebody."""
    found = _MARKER.search((body or "")[-200:])
    return parse_id(found[1]) if found else None


def without_marker(body: str) -> str:
    """The body without the marker at its end."""
    return _MARKER.sub("", body)


def inert(text: str) -> str:
    """The text without mentions, references and HTML comments, as far as GitHub is concerned."""
    text = _MENTION.sub(lambda found: f"{found[0]}{_JOINER}", text)
    text = _ISSUE_URL.sub(rf"\1{_JOINER}", text)
    return _COMMENT_START.sub(f"<{_JOINER}", text)


def _typed(heading: str, text: str) -> str:
    limit = _MAX_DESCRIPTION if heading == "Description" else _MAX_TYPED
    return f"**{heading}**\n\n{_quoted(text, max_length=limit)}"


def _quoted(text: str, *, max_length: int) -> str:
    quoted = "\n".join(f"> {line}" if line else ">" for line in inert(text).splitlines())
    if len(quoted) <= max_length:
        return quoted
    return f"{quoted[:max_length]} …\n\n(The rest is in BugRelay.)"


def _facts(ticket: TicketText) -> str:
    facts = {**ticket.facts}
    if ticket.screenshot is not None:
        facts["Screenshot"] = "yes, in BugRelay" if ticket.screenshot else "no"
    facts["Category"] = ticket.kind
    facts["Severity"] = ticket.priority
    if ticket.reporter is not None:
        facts["Reported by"] = ticket.reporter
    facts["Tracked as"] = f"{ticket.key}, reported {ticket.created_at:%Y-%m-%d %H:%M} UTC"
    return "\n".join(f"- **{name}:** {inert(_code(value))}" for name, value in facts.items() if value)


def _one_line(text: str, *, max_length: int = 500) -> str:
    return " ".join(text.split())[:max_length]


def _code(value: str) -> str:
    """The value in a code span whose delimiter is longer than any run of backticks inside."""
    text = _one_line(value)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * (longest + 1)
    space = " " if "`" in text else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def _recorded(heading: str, entries: Sequence[Any], *, room: int) -> str:
    """The latest entries that fit into `room` characters, one a line, in a fence; empty where none does."""
    lines = [inert(_line(entry)) for entry in list(entries)[-MAX_ENTRIES:]]
    while lines:
        text = "\n".join(lines)
        longest = max((len(run) for run in _FENCE.findall(text)), default=2)
        fence = "`" * (longest + 1)
        section = f"**{heading}**\n\n{fence}\n{text}\n{fence}"
        if len(section) + 2 <= room:
            return section
        lines = lines[1:]
    return ""


def _line(entry: Any) -> str:
    text = msgspec.json.encode(entry).decode()
    return text if len(text) <= _MAX_ENTRY else f"{text[:_MAX_ENTRY]}…"
