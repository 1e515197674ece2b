"""Whatever a service writes, it writes to standard error, one JSON object a line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.commands.runner import Commands
from tests.embedded.test_supervisor import free_port


def objects(text: str) -> list[dict[str, Any]]:
    """The lines, each of which must be an object with a name and a level."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(line["event"] and line["level"] and line["timestamp"] for line in lines)
    return lines


@contextmanager
def service(commands: Commands, command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A service for the length of the block; killed if it does not end by itself."""
    with commands.start(command, **environment) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def answered(url: str) -> httpx.Response:
    deadline = time.monotonic() + 60
    while True:
        try:
            return httpx.get(url, headers={"X-Request-ID": "asked-by-a-test"}, timeout=60)
        except httpx.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def read_until(process: subprocess.Popen[bytes], text: str) -> str:
    """Standard error up to the line with the text."""
    assert process.stderr is not None
    seen = ""
    while text not in seen:
        line = process.stderr.readline().decode()
        assert line, seen
        seen += line
    return seen


def test_a_server_writes_objects_from_start_to_end(commands: Commands) -> None:
    port = str(free_port())
    with service(commands, "serve", PORT=port) as process:
        assert answered(f"http://127.0.0.1:{port}/api/v1/config").status_code == 200
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stdout) == (0, b"")
    lines = objects(stderr.decode())
    assert [line["route"] for line in lines if line.get("request_id") == "asked-by-a-test"] == [
        "/api/v1/config"
    ]
    assert any(line.get("logger") == "_granian" and "Listening" in line["message"] for line in lines)


def test_what_is_written_past_all_loggers_is_an_object_too(commands: Commands) -> None:
    """The interpreter's last words, as a panic in native code would write its own."""
    port = str(free_port())
    with service(commands, "serve", PORT=port, PYTHONFAULTHANDLER="1") as process:
        answered(f"http://127.0.0.1:{port}/health")
        (serving,) = children_of(process.pid)
        os.kill(serving, signal.SIGSEGV)
        seen = read_until(process, "Segmentation fault")
        answered(f"http://127.0.0.1:{port}/health")
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=120)
    assert stdout == b""
    lines = objects(seen + stderr.decode())
    assert any(line["event"] == "raw_output" and "Segmentation fault" in line["message"] for line in lines)


def test_a_worker_writes_objects_from_start_to_end(commands: Commands) -> None:
    with service(commands, "worker") as process:
        seen = read_until(process, "worker_started")
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stdout) == (0, b"")
    assert objects(seen + stderr.decode())[-1]["event"] == "worker_stopped"


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_even_why_a_service_does_not_start_is_an_object(commands: Commands, command: str) -> None:
    ended = commands.run(command, DATABASE_URL="")
    assert (ended.code, ended.stdout) == (1, "")
    (line,) = objects(ended.stderr)
    assert line["event"] == "not_started"
    assert "DATABASE_URL must be set" in line["message"]
