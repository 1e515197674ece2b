"""Runs the commands as an operator does: a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()


@dataclass(frozen=True)
class Commands:
    """Runs `bugrelay …` on the servers of the tests."""

    environment: dict[str, str]

    def run(self, *arguments: str, stdin: bytes = b"", **environment: str) -> Outcome:
        process = self.start(*arguments, **environment)
        stdout, stderr = process.communicate(stdin, timeout=300)
        return Outcome(process.returncode, stdout.decode(), stderr.decode())

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "bugrelay", *arguments],
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # what a test reads by lines takes nothing away from what `communicate` reads
        )
