"""The commands with curl in the documentation work as they are written."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().partition("## A tour")[2].partition("\n## ")[0]
START, TOUR, PRIVATE = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
ISSUES, TICKETS = (
    (ROOT / "docs" / "api" / name).read_text().partition("```sh\n")[2].partition("```")[0]
    for name in ("issues.md", "tickets.md")
)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A server on a port and a home of its own, with the default limits, and what its tour is run with."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    env = kept | {"PORT": str(port), "BUGRELAY_HOME": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", "bugrelay", "run"], env=env, cwd=ROOT) as server:
        try:
            _wait_for(f"http://127.0.0.1:{port}/ready")
            yield env
        finally:
            server.terminate()
    assert server.returncode == 0


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"no answer from {url}")


@pytest.mark.slow
def test_the_tour_fixes_a_bug(environment: dict[str, str]) -> None:
    assert shutil.which("curl"), "the tour uses curl"
    assert START == "make run\n"
    answers = list(_json_values(_output_of(TOUR, environment)))
    assert [name for answer in answers for name in answer if name == "error"] == []
    *_, shown, history = answers
    assert shown["bug"]["status"] == "fixed"
    assert [comment["is_company_response"] for comment in shown["bug"]["comments"]] == [False, True]
    assert [entry["to_status"] for entry in history["history"]] == ["fixed"]


@pytest.mark.slow
def test_the_tour_of_the_private_half_resolves_a_report(environment: dict[str, str]) -> None:
    answers = list(_json_values(_output_of(TOUR + PRIVATE, environment)))
    assert [name for answer in answers for name in answer if name == "error"] == []
    shown = answers[-1]["report"]
    assert (shown["status"], shown["resolution_notes"]) == ("resolved", "More space for exports")
    assert shown["local_storage_data"] == {"theme": "dark", "session": "[redacted:session]"}
    assert {one["kind"] for one in shown["redactions"]} == {"auth", "session", "token"}
    assert "s3cr3t" not in json.dumps(answers)


@pytest.mark.slow
def test_the_example_of_the_issue_api_works(environment: dict[str, str]) -> None:
    *_, version, status, total, removed, gone = _output_of(ISSUES, environment).splitlines()
    assert (version, status, total) == ("3", "DONE", "1")
    assert (removed, gone) == ("Issue removed successfully", "TICKET_NOT_FOUND")


@pytest.mark.slow
def test_the_example_of_the_ticket_api_works(environment: dict[str, str]) -> None:
    _, _, *printed = _output_of(TICKETS, environment).splitlines()
    assert printed == [
        *("TSK-1001", "2", "['internalNotes']"),
        *("File uploaded; complete the upload now", "smoke"),
        *("['in_progress', 'closed']", "done", "FIRE-1001", "6", "1"),
        *("status,category,count", "closed,done,1"),
        *("Ticket removed successfully", "E_TICKET_NOT_FOUND", "closed"),
    ]


def _output_of(commands: str, environment: dict[str, str]) -> str:
    """What the commands print."""
    here = commands.replace(":8000", f":{environment['PORT']}").replace(
        ".venv/bin/", f"{Path(sys.executable).parent}/"
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", here],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _json_values(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects that follow each other, with other text between them."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        value, end = decoder.raw_decode(text, start)
        yield value
        start = text.find("{", end)
