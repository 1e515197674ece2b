"""What a worker is made of, and the first process of a server: megabytes that nobody asked for are imports."""

from __future__ import annotations

import os
import subprocess
import sys

from bugrelay.infra.security.identity_providers.id_tokens import ALGORITHMS

# What a worker needs for some jobs only.
DEFERRED = ("httpx", "dns.asyncresolver", "nh3", "markdown_it", "aiosmtplib")
# Also what somebody else is for: servers answer HTTP and sum postings, image workers decode, `migrate` migrates.
NOT_FOR_WORKERS = (
    *DEFERRED,
    "jwt",
    "argon2",
    "pydantic",
    "advanced_alchemy.service",
    "granian",
    "litestar",
    "bugrelay.http",
    "bugrelay.api",
    "bugrelay.app",
    "alembic",
    "obstore",
    "numpy",
    "PIL",
    "rich",
    "pygments",
    "disposable_email_domains",
    "cryptography",
)
NOT_FOR_SERVERS = ("alembic", "rich", "pygments", "PIL", "pydantic", "advanced_alchemy.service")
# It opens the socket and starts the processes that serve.
NOT_FOR_THE_FIRST_PROCESS = ("litestar", "sqlalchemy", "advanced_alchemy", "numpy", "rich", "bugrelay.app")


# What the commands do before they connect to anything.
WORKER = """
import asyncio
from bugrelay import cli
cli.awaited_database = lambda settings: None
asyncio.run = lambda working: working.close()
cli.main(["worker"], standalone_mode=False)
"""
FIRST_PROCESS = """
from contextlib import suppress
from bugrelay import cli
from bugrelay.infra.db import preflight
def require_database(settings, *, wait_seconds):
    raise SystemExit
preflight.require_database = require_database
with suppress(SystemExit):
    cli.main(["serve"])
"""
# A process that serves is a fork of the first one.
SERVER = f"""{FIRST_PROCESS}
from bugrelay.infra.lifecycle import Lifecycle
from bugrelay.server import _application
_application(Lifecycle())
"""


def test_a_worker_loads_nothing_that_others_are_for() -> None:
    assert loaded(WORKER, ("bugrelay.worker", *NOT_FOR_WORKERS)) == ["bugrelay.worker"]


def test_the_first_process_of_a_server_loads_nothing_that_others_are_for() -> None:
    assert loaded(FIRST_PROCESS, ("bugrelay.server", *NOT_FOR_THE_FIRST_PROCESS)) == ["bugrelay.server"]


def test_a_server_has_loaded_everything_before_its_first_request() -> None:
    needed = [*DEFERRED, "jwt", "argon2", "numpy", "cryptography"]
    assert loaded(SERVER, tuple(needed)) == needed


def test_a_server_verifies_the_signatures_of_other_issuers() -> None:
    """PyJWT decides at its import whether there are any but our own."""
    program = f"{SERVER}\nimport jwt.algorithms\nprint(*jwt.algorithms.get_default_algorithms())"
    assert set(output_of(program)) >= ALGORITHMS


def test_a_server_loads_nothing_that_others_are_for() -> None:
    assert loaded(SERVER, ("bugrelay.app", *NOT_FOR_SERVERS)) == ["bugrelay.app"]


def test_a_worker_loads_what_a_job_needs_later_without_what_others_are_for() -> None:
    program = WORKER.replace("working.close()", "(working.close(), imports.import_deferred())")
    program = f"from bugrelay.infra import imports\n{program}"
    assert loaded(program, (*DEFERRED, "rich", "pygments")) == [*DEFERRED]


def test_a_worker_still_reads_the_secrets_that_a_job_needs() -> None:
    program = f"""{WORKER}
from uuid import UUID
from bugrelay.infra.security.encryption import Encryption
encryption, row = Encryption(["a key for tests, of no value at all"]), UUID(int=1)
sealed = encryption.encrypt(b"told", purpose="test", row_id=row)
print(encryption.decrypt(sealed, purpose="test", row_id=row).decode())
"""
    assert output_of(program) == ["told"]


def loaded(program: str, names: tuple[str, ...]) -> list[str]:
    """Which of these the program loads."""
    return output_of(f"{program}\nimport sys\nprint(*(name for name in {names!r} if name in sys.modules))")


def output_of(program: str) -> list[str]:
    """The words that it prints, in a process whose databases are away."""
    urls = {"DATABASE_URL": "postgresql://127.0.0.1:1/nowhere", "REDIS_URL": "redis://127.0.0.1:1"}
    environment = {"PATH": os.environ["PATH"], **urls}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()
