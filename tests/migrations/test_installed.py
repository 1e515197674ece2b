"""Migrations are found wherever BugRelay is installed from: a wheel carries them, a checkout has them in place."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Servers
from tests.migrations.conftest import NewDatabase

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["standard", "editable"])
def test_a_database_is_migrated_from(
    kind: str, new_database: NewDatabase, servers: Servers, tmp_path: Path
) -> None:
    python = _environment_with(_wheel(kind, tmp_path), tmp_path / "venv")
    url = new_database()
    done = subprocess.run(
        [python, "-m", "bugrelay", "migrate"],
        env={**_bare(), "DATABASE_URL": url, "REDIS_URL": servers.redis_url, "BUGRELAY_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "the database is up to date\n"), done.stderr
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM bugs").fetchone() == (0,)
    used = subprocess.check_output(
        [python, "-c", "from bugrelay.infra.db.revisions import scripts_folder; print(scripts_folder())"],
        env=_bare(),
        cwd=tmp_path,
        text=True,
    )
    assert (Path(used.strip()) == ROOT / "migrations") == (kind == "editable")


def _wheel(kind: str, folder: Path) -> Path:
    build = [sys.executable, "-m", "hatchling", "build", "--target", f"wheel:{kind}", "--directory", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _environment_with(wheel: Path, folder: Path) -> Path:
    """A virtual environment with this wheel, that borrows BugRelay's dependencies, but not BugRelay, from ours."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
    ]
    subprocess.run([*install, wheel], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Of a folder that is named in a .pth file, the .pth files are not read: an editable install stays behind.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return python


def _bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
