"""`bugrelay import` on a real database: what arrives, what is said, what a repeat and a kill leave."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.domain.importing import Lines, Summary, import_bugs
from bugrelay.infra.platform import Platform
from bugrelay.integrity_check import problems
from tests.commands.conftest import stored
from tests.commands.runner import Commands
from tests.domain.importing.conftest import Write, a_line, joined

Import = Callable[[Iterable[Any]], Awaitable[list[str]]]


@pytest.fixture
def imported(platform: Platform) -> Import:
    """Import lines in this process and give the summary."""

    async def imported(lines: Iterable[Any]) -> list[str]:
        summary = Summary()
        file = BufferedReader(BytesIO(joined(lines)))  # type: ignore[type-var]
        await import_bugs(
            Lines(file, size_bytes=None),
            summary,
            database=platform.database,
            bus=platform.bus,
            on_batch=lambda: None,
        )
        return list(summary.lines())

    return imported


EVERYTHING = a_line(
    application_url="https://app.paper.example",
    status="fixed",
    priority="high",
    tags=["Android", "sync"],
    operating_system="Android 14",
    app_version="1.10",
    created_at="2021-03-04T05:06:07Z",
    resolved_at="2021-04-04T05:06:07+02:00",
)


async def test_every_field_arrives(
    imported: Import, platform: Platform, sql: psycopg.Connection[Any]
) -> None:
    assert await imported([EVERYTHING]) == ["1 imported, 0 already there, 0 unusable"]
    columns = (
        "b.external_id, title, t.description, a.name, a.url, status, priority, tags, operating_system, app_version,"
        " b.created_at, resolved_at, b.assigned_company_id = a.company_id, reporter_id, vote_count"
    )
    assert stored(sql, columns) == [
        (
            "tracker-1",
            "Crash when saving a draft",
            "Saving a draft closes the window at once.",
            "Notebook",
            "https://app.paper.example",
            "fixed",
            "high",
            ["android", "sync"],
            "Android 14",
            "1.10",
            datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC),
            datetime(2021, 4, 4, 3, 6, 7, tzinfo=UTC),
            True,
            None,
            0,
        )
    ]
    assert [problem async for problem in problems(platform)] == []


async def test_an_imported_bug_is_found_and_rendered(client: httpx.AsyncClient, imported: Import) -> None:
    await imported([a_line(title="Röntgen viewer hangs", description="Press `F5` **twice**.")])
    bugs = (await client.get("/api/v1/bugs", params={"search": "rontgen hang"})).json()["bugs"]
    assert [bug["description_html"] for bug in bugs] == [
        "<p>Press <code>F5</code> <strong>twice</strong>.</p>\n"
    ]


async def test_a_repeat_adds_nothing_and_leaves_the_board_as_it_is(
    imported: Import, sql: psycopg.Connection[Any]
) -> None:
    lines = [a_line(external_id=f"tracker-{n}") for n in range(3)]
    await imported(lines)
    sql.execute("UPDATE bugs SET title = 'Corrected since' WHERE external_id = 'tracker-1'")
    summary = await imported([*lines, a_line(external_id="tracker-3")])
    assert summary == ["1 imported, 3 already there, 0 unusable"]
    titles = [title for (title,) in stored(sql, "title")]
    assert titles == [
        "Crash when saving a draft",
        "Corrected since",
        "Crash when saving a draft",
        "Crash when saving a draft",
    ]


async def test_a_removed_bug_does_not_come_back(imported: Import, sql: psycopg.Connection[Any]) -> None:
    await imported([a_line()])
    sql.execute("UPDATE bugs SET removed_at = now()")
    assert await imported([a_line()]) == ["0 imported, 1 already there, 0 unusable"]
    assert sql.execute("SELECT count(*) FROM bugs").fetchone() == (1,)


async def test_of_two_lines_with_one_external_id_the_first_counts(
    imported: Import, sql: psycopg.Connection[Any]
) -> None:
    summary = await imported([a_line(), a_line(title="Another text of the same")])
    assert summary == ["1 imported, 1 already there, 0 unusable"]
    assert stored(sql, "title") == [("Crash when saving a draft",)]


async def test_a_line_without_an_external_id_is_known_by_its_content(
    imported: Import, sql: psycopg.Connection[Any]
) -> None:
    line = a_line(external_id=None)
    turned = dict(reversed(line.items()))
    await imported([line])
    summary = await imported([turned, a_line(external_id=None, title="Something else entirely")])
    assert summary == ["1 imported, 1 already there, 0 unusable"]
    assert all(external_id.startswith("sha256:") for (external_id,) in stored(sql, "b.external_id"))


async def test_unusable_lines_are_named_by_number_and_the_others_arrive(imported: Import) -> None:
    lines = [
        b"{ this is no JSON",
        b"",
        a_line(),
        b'{"title": "caf\xe9"}',
        b"[1, 2]",
        a_line(application_name=" "),
        a_line(title=None, description=None),
        b'{"title": NaN}',
        b"[" * 100_000,
        b'{"title": "' + b"x" * 9_000_000 + b'"}',
        a_line(external_id="tracker-2"),
    ]
    assert await imported(lines) == [
        "2 imported, 0 already there, 8 unusable",
        "unusable lines:",
        "  line 1 is not valid JSON",
        "  line 4 is not UTF-8",
        "  line 5 is not a JSON object",
        "  line 6 has no application_name",
        "  line 7 has neither title nor description",
        "  line 8 is not valid JSON",
        "  line 9 is not valid JSON",
        "  line 10 is longer than 8,388,608 bytes",
    ]


def test_only_the_first_twenty_unusable_lines_are_shown(commands: Commands, write: Write) -> None:
    outcome = commands.run("import", write([b"nonsense"] * 25))
    assert outcome.code == 1
    assert outcome.lines[0] == "0 imported, 0 already there, 25 unusable"
    assert outcome.lines[-2:] == ["  line 20 is not valid JSON", "  and 5 more"]


async def test_changes_are_counted_in_the_summary(imported: Import) -> None:
    lines = [a_line(external_id=str(n), status="parked", priority="P1" if n else "low") for n in range(3)]
    assert await imported(lines) == [
        "3 imported, 0 already there, 0 unusable",
        "brought into shape:",
        "          3  status that is not known: open taken",
        "          2  priority that is not known: medium taken",
    ]


@pytest.mark.parametrize(("packed", "from_stdin"), [(True, False), (False, True), (True, True)])
def test_plain_and_gzip_come_from_a_file_or_standard_input(
    commands: Commands, tmp_path: Path, packed: bool, from_stdin: bool
) -> None:
    content = (
        b"\xef\xbb\xbf" + json.dumps(a_line()).encode()
    )  # with a byte order mark, without a last line feed
    content = gzip.compress(content) if packed else content
    file = tmp_path / "bugs"
    file.write_bytes(content)
    outcome = commands.run("import", "-", stdin=content) if from_stdin else commands.run("import", str(file))
    assert outcome.lines == ["1 imported, 0 already there, 0 unusable"]


async def test_a_gzip_file_that_is_cut_off_gives_what_it_holds(imported: Import) -> None:
    lines = "\n".join(json.dumps(a_line(external_id=str(n))) for n in range(2000)).encode()
    summary = await imported([gzip.compress(lines)[:-100]])
    assert not summary[0].startswith("0 imported")
    assert summary[-2].endswith(" is not valid JSON"), "the line that the cut went through"
    assert summary[-1].endswith("cannot be unpacked: the gzip file is damaged or cut off here")


def test_a_missing_file_is_one_line_and_exit_code_1(commands: Commands, tmp_path: Path) -> None:
    outcome = commands.run("import", str(tmp_path / "nowhere.jsonl"))
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == f"Error: {tmp_path}/nowhere.jsonl cannot be read: No such file or directory\n"


def test_progress_is_shown_in_percent_on_standard_error(commands: Commands, write: Write) -> None:
    outcome = commands.run("import", write(a_line(external_id=str(n)) for n in range(600)))
    assert outcome.stderr.splitlines()[-1] == "100 % (600 lines)"
    assert "%" not in outcome.stdout


async def test_spellings_of_one_application_make_one(imported: Import, sql: psycopg.Connection[Any]) -> None:
    names = ["MyApp", " myapp ", "MYAPP", "ＭｙＡｐｐ"]
    await imported([a_line(external_id=str(n), application_name=name) for n, name in enumerate(names)])
    assert sql.execute("SELECT count(*) FROM applications").fetchone() == (1,)


def test_a_killed_import_leaves_whole_batches_and_is_completed_by_a_repeat(
    commands: Commands, write: Write, sql: psycopg.Connection[Any]
) -> None:
    file = write(a_line(external_id=str(n), application_name=f"App {n % 7}") for n in range(3000))
    process = commands.start("import", file)
    deadline = time.monotonic() + 30
    while sql.execute("SELECT count(*) FROM bugs").fetchone() == (0,) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    row = sql.execute("SELECT count(*) FROM bugs").fetchone()
    assert row is not None
    assert 0 < row[0] < 3000
    assert row[0] % 500 == 0
    outcome = commands.run("import", file)
    assert outcome.lines[0] == f"{3000 - row[0]:,} imported, {row[0]:,} already there, 0 unusable"
    assert sql.execute("SELECT count(*) FROM bug_search").fetchone() == (3000,)


def test_two_imports_of_the_same_bugs_at_once_make_each_once(
    commands: Commands, tmp_path: Path, sql: psycopg.Connection[Any]
) -> None:
    lines = [json.dumps(a_line(external_id=f"{n:04}")) for n in range(1000)]
    forwards, backwards = tmp_path / "forwards", tmp_path / "backwards"
    forwards.write_text("\n".join(lines))
    backwards.write_text("\n".join(reversed(lines)))
    both = [commands.start("import", str(file)) for file in (forwards, backwards)]
    outputs = [process.communicate(timeout=300)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum(int(output.split(" ")[0].replace(",", "")) for output in outputs) == 1000
    assert sql.execute("SELECT count(*) FROM bugs").fetchone() == (1000,)
