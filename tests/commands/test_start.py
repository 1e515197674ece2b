"""A setting that cannot be used ends the start with one line that names it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        ("run", "PORT", "eighty"),
        ("serve", "MAIL_URL", "smtp://"),
        ("worker", "MAIL_FROM", "nobody in particular"),
        ("serve", "UPLOAD_URL", "file://not/absolute"),
    ],
)
def test_a_bad_setting_is_told_in_one_line(command: str, name: str, value: str) -> None:
    away = {"DATABASE_URL": "postgresql://127.0.0.1:1/nowhere", "REDIS_URL": "redis://127.0.0.1:1"}
    ended = subprocess.run(
        [sys.executable, "-m", "bugrelay", command],
        env={**os.environ, **away, name: value},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    assert name in lines[0]
