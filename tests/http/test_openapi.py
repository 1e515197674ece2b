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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import TEST_ENVIRONMENT, Servers
from tests.factories import make_admin, make_member, register, report

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
        process.wait(120)


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


def _schemathesis(address: str, home: Path, *, token: str, phases: str) -> subprocess.CompletedProcess[str]:
    options = [
        "--checks",
        CHECKS,
        "--phases",
        phases,
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


@dataclass(frozen=True)
class _Scene:
    """Somebody with all rights, an admin of the board and of a company, and things of that company.

    Attributes:
        parameters: Names of things, by the path parameters that they stand for.
    """

    token: str
    parameters: dict[str, str]


async def _scene(address: str, sql: psycopg.Connection[Any]) -> _Scene:
    async with httpx.AsyncClient(base_url=address) as client:
        root = await register(client, "root")
        make_admin(sql, root)
        bug = await report(client, root, application_url="https://paper.example")
        make_member(sql, root, bug["assigned_company_id"], role="admin")

        async def made(path: str, **body: Any) -> dict[str, Any]:
            response = await client.post(path, json=body, headers=root.headers)
            assert response.status_code == 201, response.text
            answer: dict[str, Any] = response.json()
            return answer

        project = await made("/api/v1/projects", key="HUNT", name="Hunt")
        ticket = await made("/api/v1/tickets", title="Hunted", projectId=project["project"]["id"])
        issue = await made("/api/v1/issues", title="Hunted", description="As before")
        support = await made("/api/support/report", title="Hunted", description="Here, too")
        actions = [{"type": "add_tag", "value": "hunted"}]
        rule = await made("/api/v1/workflows", name="Hunt", trigger="ticket.created", actions=actions)
    return _Scene(
        root.access_token,
        {
            "bug_id": bug["id"],
            "application_id": bug["application_id"],
            "company_id": bug["assigned_company_id"],
            "project": project["project"]["key"],
            "ticket": ticket["ticket"]["key"],
            "issue_id": issue["issue"]["id"],
            "ticket_number": support["ticket_number"],
            "workflow_id": rule["workflow"]["id"],
        },
    )


# Coverage, which tries each edge of each field by itself, is most of a run.
@pytest.mark.parametrize(
    "phases", ["examples,fuzzing", pytest.param("examples,coverage,fuzzing", marks=pytest.mark.slow)]
)
async def test_the_server_keeps_what_the_document_promises(
    servers: Servers,
    database_url: str,
    empty_board: None,
    tmp_path: Path,
    sql: psycopg.Connection[Any],
    phases: str,
) -> None:
    with running_server(servers, database_url, tmp_path) as address:
        scene = await _scene(address, sql)
        parameters = "".join(f'"path.{name}" = "{value}"\n' for name, value in scene.parameters.items())
        (tmp_path / "schemathesis.toml").write_text(f"[parameters]\n{parameters}")
        run = await asyncio.to_thread(_schemathesis, address, tmp_path, token=scene.token, phases=phases)
        assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
        assert "Traceback" not in (tmp_path / "server.log").read_text()
