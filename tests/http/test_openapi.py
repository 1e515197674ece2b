"""What the OpenAPI document promises, held against a running server by schemathesis.

A longer hunt by hand: start a server and `st run http://127.0.0.1:8000/docs/openapi.json --max-examples 500`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.conftest import TEST_ENVIRONMENT, Servers
from tests.factories import make_admin, register, report

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance"
)
SECONDS_TO_START = 30
SECONDS_TO_RUN = 300  # a run takes 20; the rest is for a busy machine


@contextmanager
def running_server(servers: Servers, database_url: str, home: Path) -> Iterator[str]:
    """The address of a server process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"DATABASE_URL": database_url, "REDIS_URL": servers.redis_url, "BUGRELAY_HOME": str(home)}
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bugrelay", "serve"],
            env={**os.environ, **TEST_ENVIRONMENT, **settings, "PORT": str(port)},
            stdout=log,
            stderr=log,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            if httpx.get(f"{address}/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.1)


def _schemathesis(address: str, home: Path, *, token: str) -> subprocess.CompletedProcess[str]:
    options = [
        "--checks",
        CHECKS,
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "5",
        "--seed",
        "1",
    ]
    # Signing out would end the session that the run itself uses; a stream lasts for minutes.
    excluded = "logout|sessions|events/stream"
    options += ["--header", f"Authorization: Bearer {token}", "--exclude-path-regex", excluded]
    options += ["--continue-on-failure", "--no-shrink", "--warnings", "off"]
    return subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/docs/openapi.json", *options],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=SECONDS_TO_RUN,
        check=False,
    )


async def test_the_server_keeps_what_the_document_promises(
    servers: Servers, database_url: str, empty_board: None, tmp_path: Path, sql: psycopg.Connection[Any]
) -> None:
    with running_server(servers, database_url, tmp_path) as address:
        async with httpx.AsyncClient(base_url=address) as client:
            root = await register(client, "root")
            make_admin(sql, root)
            bug = await report(client, root, application_url="https://paper.example")
        (tmp_path / "schemathesis.toml").write_text(
            f"""
            [parameters]
            "path.bug_id" = "{bug["id"]}"
            "path.application_id" = "{bug["application_id"]}"
            "path.company_id" = "{bug["assigned_company_id"]}"
            """
        )
        run = await asyncio.to_thread(_schemathesis, address, tmp_path, token=root.access_token)
        assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
        assert "Traceback" not in (tmp_path / "server.log").read_text()
