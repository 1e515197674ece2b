"""`bugrelay events` prints the log, and continues with new events."""

from __future__ import annotations

import json
import signal
from typing import Any
from uuid import uuid4

import psycopg

from tests.conftest import Commands

BOARD = "00000000-0000-8000-8000-000000000000"


def write(sql: psycopg.Connection[Any], stream: str, **changes: Any) -> None:
    entry = {
        "stream": stream,
        "type": "bug.created",
        "bug_id": "01a1fbf5-dbb1-76ac-bd8d-7a78fe5a99c8",
        "visibility": "public",
        "data": {"priority": "high"},
        "cause": {"kind": "user", "chain": []},
    }
    sql.execute("SELECT log_events(%s)", (json.dumps([entry | changes]),))


def test_the_log_is_printed_and_followed(commands: Commands, sql: psycopg.Connection[Any]) -> None:
    company = str(uuid4())
    sql.execute("INSERT INTO companies (id, name, domain) VALUES (%s, 'Paper', 'paper.example')", (company,))
    for stream in (BOARD, company, BOARD):
        write(sql, stream)
    by_rule = {"kind": "rule", "chain": ["evt_x_1", "rule:7"]}
    write(sql, company, type="ticket.commented", visibility="internal", bug_id=None, cause=by_rule)
    printed = [line.split("  ")[1:5] for line in commands.run("events", "--last", "3").lines]
    assert printed == [
        ["paper.example", "1", "bug.created", "-"],
        ["the board", "2", "bug.created", "-"],
        ["paper.example", "2", "ticket.commented (internal)", "rule:7"],
    ]
    only = commands.run("events", "--company", "paper.example").lines
    assert [line.split("  ")[2] for line in only] == ["1", "2"]
    assert only[0].endswith('  01a1fbf5-dbb1-76ac-bd8d-7a78fe5a99c8  {"priority":"high"}')
    assert commands.run("events", "--company", "ink.example").code == 1
    process = commands.start("events", "--follow", "--company", company, "--last", "1")
    assert process.stdout is not None
    assert b"  2  ticket.commented" in process.stdout.readline()
    for number in (3, 4):
        write(sql, company)
        write(sql, BOARD)
        assert f"  {number}  bug.created".encode() in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 0
