"""The progress of a command, on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bugrelay.domain.importing import Lines

_STEP_PERCENT = 10
_STEP_LINES = 10_000


@contextmanager
def opened_lines(file: str) -> Iterator[Lines]:
    """The lines of a file, or of standard input for `-`; a file that cannot be read ends the command with one line."""
    if file == "-":
        with open(sys.stdin.fileno(), "rb", closefd=False) as standard_input:
            yield Lines(standard_input, size_bytes=None)
        return
    path = Path(file)
    try:
        opened = path.open("rb")
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from error
    with opened:
        yield Lines(opened, size_bytes=path.stat().st_size if path.is_file() else None)


@contextmanager
def shown_progress(lines: Lines) -> Iterator[Callable[[], None]]:
    """Yields a function to call from time to time while the lines are read."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PlainProgress(lines).advance
        return
    columns = (
        TextColumn("{task.fields[lines]:,} lines"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("import", total=lines.size_bytes, lines=0)
        yield lambda: progress.update(task, completed=lines.position_bytes, lines=lines.number)


@contextmanager
def shown_steps(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function to call with the number of finished steps and of all steps."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PlainSteps(what).advance
        return
    with Progress(
        TextColumn(what), BarColumn(), TaskProgressColumn(), console=console, transient=True
    ) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, steps: shown.update(task, completed=done, total=steps)


class _PlainSteps:
    """A line for every tenth of the steps."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._tenths_shown = 0

    def advance(self, done: int, steps: int) -> None:
        tenths = 10 * done // steps
        if tenths > self._tenths_shown:
            self._tenths_shown = tenths
            click.echo(f"{10 * tenths} % of {self._what}", err=True)


class _PlainProgress:
    """A line for every tenth of the file, or for every ten thousand lines if its size is not known."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._steps_shown = 0

    def advance(self) -> None:
        steps, text = self._state()
        if steps > self._steps_shown:
            self._steps_shown = steps
            click.echo(text, err=True)

    def _state(self) -> tuple[int, str]:
        lines = self._lines
        if not lines.size_bytes:
            return lines.number // _STEP_LINES, f"{lines.number:,} lines"
        percent = 100 * lines.position_bytes // lines.size_bytes
        return percent // _STEP_PERCENT, f"{percent} % ({lines.number:,} lines)"
