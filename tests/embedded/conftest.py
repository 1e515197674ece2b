"""A home of its own for each test, outside pytest's directory, which PostgreSQL's user could not enter."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bugrelay.embedded import EmbeddedServers
from bugrelay.embedded.paths import data_root, digest


def server_names(home: Path) -> list[str]:
    """The embedded server processes that run for a home."""
    token = f"bugrelay-{digest(data_root(home)[0])}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and token in (entry / "cmdline").read_bytes():
                found.append((entry / "comm").read_text().strip())
        except OSError:
            continue
    return found


def works_in(home: Path) -> bool:
    """Whether a process stands in a folder of the home: a server, or what is left of an `initdb` that was killed."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(home):
                return True
        except OSError:
            continue
    return False


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether a condition holds within a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def make_directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="bugrelay-test-"))
    directory.chmod(0o755)
    return directory


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """The cluster that goes from home to home: to make or to copy one takes longer than most tests."""
    directory = make_directory()
    servers = EmbeddedServers(directory)
    servers.acquire()
    servers.start_postgres()
    servers.close()
    yield directory / "pg"
    shutil.rmtree(directory)


@pytest.fixture
def empty_home() -> Iterator[Path]:
    directory = make_directory()
    yield directory
    assert comes_true(lambda: server_names(directory) == [] and not works_in(directory))
    shutil.rmtree(directory)


@pytest.fixture
def home(empty_home: Path, cluster: Path) -> Iterator[Path]:
    """A home with a cluster; the table `notes` may be there."""
    cluster.rename(empty_home / "pg")
    yield empty_home
    assert comes_true(lambda: server_names(empty_home) == [])
    (empty_home / "pg").rename(cluster)
