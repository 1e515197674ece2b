"""The `bugrelay` command. Each subcommand reads the settings, opens what it needs and calls a service."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bugrelay import __version__
from bugrelay.settings import SettingError, Settings, load_settings

if TYPE_CHECKING:
    from bugrelay.infra.db.preflight import DatabaseFacts
    from bugrelay.infra.platform import Platform

# Commands import what they need themselves: `bugrelay run` must start in seconds, and most commands need little.


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bugrelay", message="%(prog)s %(version)s")
def main() -> None:
    """BugRelay: a public bug board."""


class _Service(click.Command):
    """A command that runs in the background: without a terminal, even the error that prevents its start is a log line.

    After a SIGTERM during its start it exits with 0.
    """

    def invoke(self, ctx: click.Context) -> None:
        # The first process of a container ignores a SIGTERM that it has no handler for, and imports take a while.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        from bugrelay.infra.optional_packages import left_out

        with left_out("rich", "pygments"):  # structlog would draw tracebacks with them
            import structlog
        try:
            super().invoke(ctx)
        except click.ClickException as error:
            if sys.stderr.isatty():
                raise
            from bugrelay.infra.logging import configure_logging

            configure_logging()
            structlog.get_logger().critical("not_started", message=error.format_message())
            ctx.exit(error.exit_code)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """An invalid setting ends the command with one line that names it."""
    try:
        yield
    except SettingError as error:
        raise click.ClickException(str(error)) from error


def settings_or_exit() -> Settings:
    with one_line_errors():
        return load_settings()


def external_settings() -> Settings:
    """The settings of a process that starts no databases: the URLs of both must be set, and those of Redis, mail and
    uploads must be valid. A mistake is reported before anything starts."""
    from bugrelay.infra.mail.mailer import Mailer
    from bugrelay.infra.redis.address import redis_address
    from bugrelay.infra.storage.url import storage_from

    settings = settings_or_exit()
    for name in ("database_url", "redis_url"):
        if not getattr(settings, name):
            raise click.ClickException(f"{name.upper()} must be set; `bugrelay run` starts embedded servers")
    with one_line_errors():
        Mailer(settings)
        redis_address(settings.redis_url)
        storage_from(settings.upload_url)
    return settings


def awaited_database(settings: Settings) -> DatabaseFacts:
    """Facts about the database, after waiting for it to start."""
    from bugrelay.infra.db.preflight import WAIT_SECONDS, require_database

    return require_database(settings, wait_seconds=WAIT_SECONDS)


def prepare_database(settings: Settings) -> None:
    """Check the database and migrate it to the newest schema.

    Raises:
        SettingError: The database cannot be used.
        MigrationError: The migration failed: the connection was lost, a lock was not available, or the role lacks a
            permission.
    """
    from sqlalchemy.exc import DBAPIError

    from bugrelay.infra.db.preflight import first_line, is_fault_of_database, require_database
    from bugrelay.migrate import MigrationError, migrate

    require_database(settings)
    try:
        migrate(settings)
    except DBAPIError as error:
        if not is_fault_of_database(error.orig):
            raise
        raise MigrationError(f"DATABASE_URL: the migration failed: {first_line(error.orig)}") from error


@contextmanager
def databases() -> Iterator[Settings]:
    """The settings, with both databases running and migrated. Embedded ones are started, unless they run already."""
    from bugrelay.embedded import EmbeddedError, running
    from bugrelay.migrate import MigrationError

    try:
        with running(settings_or_exit()) as settings:
            prepare_database(settings)
            yield settings
    except (EmbeddedError, MigrationError, SettingError) as error:
        raise click.ClickException(str(error)) from error


def with_platform(settings: Settings, task: Callable[[Platform], Awaitable[None]]) -> None:
    """Run a coroutine on an open platform; an error that BugRelay defines ends the command with one line."""
    from bugrelay.infra.garbage_collector import collector_paused

    with collector_paused():
        from bugrelay.bootstrap import build
    from bugrelay.errors import BugRelayError
    from bugrelay.infra.events import caused_by
    from bugrelay.infra.logging import configure_logging

    configure_logging(logging.ERROR)  # the warnings of a server's start do not concern a command

    async def run() -> None:
        platform = build(replace(settings, workers=1))  # the whole pool for this one process
        await platform.start()
        try:
            with caused_by("system"):
                await task(platform)
        finally:
            await platform.close()

    try:
        asyncio.run(run())
    except BugRelayError as error:
        raise click.ClickException(error.message) from error


@main.command()
def run() -> None:
    """Run everything on this machine: databases, migrations, server, worker."""
    from bugrelay.migrate import MigrationError
    from bugrelay.supervisor import Child
    from bugrelay.supervisor import run as supervise

    server = Child(name="server", argv=[sys.executable, "-m", "bugrelay", "serve"])
    worker = Child(name="worker", argv=[sys.executable, "-m", "bugrelay", "worker"])
    try:
        sys.exit(supervise(settings_or_exit(), children=[server, worker], migrate=prepare_database))
    except MigrationError as error:
        raise click.ClickException(str(error)) from error


@main.command(cls=_Service)
@click.option("--join", is_flag=True, help="Share the port with a server that is already running.")
def serve(join: bool) -> None:
    """Serve HTTP. DATABASE_URL and REDIS_URL must be set."""
    from bugrelay.server import serve as serve_http

    settings = external_settings()
    with one_line_errors():
        facts = awaited_database(settings)
        serve_http(settings, join=join, max_connections=facts.max_connections)


@main.command(cls=_Service)
def worker() -> None:
    """Run background jobs. DATABASE_URL and REDIS_URL must be set."""
    from bugrelay.infra.garbage_collector import collector_paused
    from bugrelay.infra.optional_packages import left_out

    with left_out("rich", "pygments"):  # httpx loads these for its own command
        settings = external_settings()
        with one_line_errors():
            awaited_database(settings)
        with collector_paused():
            from bugrelay.worker import work
        asyncio.run(work(settings))


@main.command()
def health() -> None:
    """Ask the server on HOST:PORT whether it is alive; exit code 1 if it does not answer."""
    from bugrelay.supervisor import answers

    settings = settings_or_exit()
    if not answers(settings):
        raise click.ClickException(f"no answer from {settings.host}:{settings.port}")


@main.command()
def migrate() -> None:
    """Migrate the database to the newest schema."""
    with databases():
        click.echo("the database is up to date")


@main.command("create-admin")
@click.option("--email", required=True)
@click.option("--username", required=True)
@click.password_option()
def create_admin(email: str, username: str, password: str) -> None:
    """Create an account that moderates the board."""
    from bugrelay.domain.accounts.schemas import Register
    from bugrelay.domain.accounts.service import create_user, hash_password
    from bugrelay.domain.moderation.service.audit import write_audit
    from bugrelay.infra.validation import read_fields

    async def task(platform: Platform) -> None:
        wanted = read_fields({"email": email, "username": username, "password": password}, Register)
        password_hash = await hash_password(
            platform.passwords, password, email=wanted.email, username=wanted.username
        )
        async with platform.work() as work:
            user = await create_user(work, wanted, password_hash=password_hash, is_admin=True)
            await write_audit(work.session, None, "admin_create", resource="user", resource_id=user.id)
        click.echo(f"{wanted.username} is an admin")

    with databases() as settings:
        with_platform(settings, task)


@main.command("add-member")
@click.option("--company", "domain", required=True, help="The company's domain.")
@click.option("--email", required=True, help="The address of a registered user.")
@click.option("--role", type=click.Choice(["admin", "member"]), default="member", show_default=True)
def add_member(domain: str, email: str, role: str) -> None:
    """Add a user to a company and verify the company, without proofs: the operator vouches for both.

    The user needs no verified address. Members who were suspended when the company lost its verification are back.
    """
    from bugrelay.domain.companies.service import add_trusted_member

    async def task(platform: Platform) -> None:
        async with platform.work() as work:
            await add_trusted_member(work, domain=domain, email=email, role=role)
        click.echo(f"{email} is {'an admin' if role == 'admin' else 'a member'} of {domain}")

    with databases() as settings:
        with_platform(settings, task)


@main.command("import")
@click.argument("file")
def import_file(file: str) -> None:
    """Import the bugs of FILE: one JSON object a line, plain or gzip; `-` is standard input.

    Safe to repeat: a bug whose external_id exists already is skipped.
    """
    from bugrelay.domain.importing import Summary, import_bugs
    from bugrelay.progress import opened_lines, shown_progress

    summary = Summary()

    async def task(platform: Platform) -> None:
        with shown_progress(lines) as advance:
            await import_bugs(lines, summary, database=platform.database, bus=platform.bus, on_batch=advance)

    with opened_lines(file) as lines, databases() as settings:
        try:
            with_platform(settings, task)
        finally:
            click.echo("\n".join(summary.lines()))
    sys.exit(0 if summary.anything_usable else 1)


@main.command()
def demo() -> None:
    """Fill the board with example bugs, users, votes and responses; a second run changes nothing."""
    from bugrelay.demo import fill

    if settings_or_exit().environment == "production":
        raise click.ClickException("the demo is not for ENVIRONMENT=production")

    async def task(platform: Platform) -> None:
        filled = await fill(platform)
        if filled is None:
            click.echo("the demo is on the board already; nothing was changed")
        else:
            click.echo(filled.text(platform.settings.public_url))

    with databases() as settings:
        with_platform(settings, task)


@main.command()
@click.option("--follow", is_flag=True, help="Keep printing new events until interrupted.")
@click.option("--company", help="Only the events of one company, by its id or domain.")
@click.option(
    "--last",
    default=20,
    show_default=True,
    type=click.IntRange(0, 10_000),
    help="How many past events to print.",
)
def events(follow: bool, company: str | None, last: int) -> None:
    """Print the events of the board and of all companies, internal ones included: one line for each event."""
    from bugrelay.domain.events.log import CHANNEL
    from bugrelay.domain.live.service.printing import follow_log, format_line, stream_named
    from bugrelay.infra.redis.subscription import Subscription

    async def task(platform: Platform) -> None:
        following = asyncio.current_task()
        assert following is not None  # noqa: S101 - a coroutine runs in one
        for number in (signal.SIGINT, signal.SIGTERM):  # also if a shell started us with SIGINT ignored
            asyncio.get_running_loop().add_signal_handler(number, following.cancel)
        stream = await stream_named(platform.database, company) if company else None
        woken = asyncio.Event()
        notifications = Subscription(platform.settings.redis_url, f"{CHANNEL}*", lambda *_: woken.set())
        listening = asyncio.create_task(notifications.listen())
        try:
            async for event in follow_log(
                platform.database, stream=stream, last=last, woken=woken if follow else None
            ):
                click.echo(format_line(event))
        finally:
            listening.cancel()

    with databases() as settings, suppress(KeyboardInterrupt, asyncio.CancelledError):
        with_platform(settings, task)


@main.command()
@click.argument("index", type=click.Choice(["similar"]))
def reindex(index: str) -> None:  # noqa: ARG001 - there is one so far
    """Rebuild the index of similar bugs while the board serves. Upgrades and workers do not need it."""
    from bugrelay.domain.bugs.similar.rebuild import rebuild
    from bugrelay.progress import shown_steps

    async def task(platform: Platform) -> None:
        with shown_steps("documents and postings") as advance:
            documents = await rebuild(platform, on_step=advance)
        click.echo(f"{documents:,} bugs indexed")

    with databases() as settings:
        with_platform(settings, task)


@main.command()
def check() -> None:
    """Check integrity: counters, references and stored files against their source rows; exit code 1 on a problem."""
    found = 0

    async def task(platform: Platform) -> None:
        from bugrelay.integrity_check import problems  # a database that cannot be used is reported first

        nonlocal found
        async for problem in problems(platform):
            found += 1
            click.echo(problem)

    with databases() as settings:
        with_platform(settings, task)
    click.echo(f"{found} problems")
    sys.exit(1 if found else 0)


@main.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    import msgspec

    from bugrelay.app import openapi_bytes

    click.echo(msgspec.json.format(openapi_bytes(), indent=2).decode())
