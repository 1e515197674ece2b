"""The receivers of docs/webhooks.md take what we sign, and nothing else."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bugrelay.domain.events.schemas import EVENT_TYPES
from bugrelay.domain.webhooks.service.webhooks import secret_text
from bugrelay.domain.webhooks.signing import signed_headers

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
EVENTS = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
RECEIVERS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
KEY, FORMER_KEY = b"a secret of thirty-two bytes, ok", b"the secret before it, also of 32"
BODY = b'{"type":"webhook.test","timestamp":"2026-11-21T10:00:00Z","data":{"id":"evt_1","seq":null}}'


def test_webhooks_may_ask_for_every_type_of_the_log() -> None:
    types = EVENTS.partition("## Types")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]+) \|", types, re.MULTILINE)
    named = {name for cell in first_cells for name in re.findall(r"`(\w+\.\w+)`", cell)}
    assert named == set(EVENT_TYPES)


def test_the_page_has_one_with_the_standard_library_and_one_with_the_package() -> None:
    assert ["standardwebhooks" in receiver for receiver in RECEIVERS] == [False, True]


@pytest.fixture(params=RECEIVERS, ids=["standard library", "standardwebhooks"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a receiver of the page listens, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = tmp_path / "receiver.py"
    program.write_text(request.param)
    environment = {**os.environ, "PORT": str(port), "WEBHOOK_SECRET": secret_text(KEY)}
    with subprocess.Popen([sys.executable, str(program)], env=environment, stderr=subprocess.PIPE) as process:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the receiver did not start")


def test_it_takes_what_we_sign_and_refuses_the_rest(address: str) -> None:
    now = int(time.time())

    def status(headers: dict[str, str], body: bytes = BODY) -> int:
        return httpx.post(address, content=body, headers=headers, trust_env=False).status_code

    genuine = signed_headers("evt_1", BODY, timestamp=now, secrets=[KEY])
    assert status(genuine) == 204
    assert status(signed_headers("evt_1", BODY, timestamp=now, secrets=[FORMER_KEY, KEY])) == 204
    assert status(genuine, BODY.replace(b"test", b"text")) == 400
    assert status(genuine | {"webhook-id": "evt_2"}) == 400
    assert status(signed_headers("evt_1", BODY, timestamp=now, secrets=[FORMER_KEY])) == 400
    assert status(signed_headers("evt_1", BODY, timestamp=now - 3600, secrets=[KEY])) == 400
