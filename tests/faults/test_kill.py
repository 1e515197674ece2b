"""The server killed or told to stop in the middle of its work: what was acknowledged is there, and complete."""

from __future__ import annotations

import asyncio
import io
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from PIL import Image

from tests.factories import a_report, register
from tests.faults.conftest import StartBoard
from tests.faults.proxy import FaultProxy
from tests.faults.servers import Board, Postgres
from tests.infra.redis.server import eventually

Rows = psycopg.Connection[Any]
COMMITTING = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


def picture() -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(drawn, "PNG")
    return drawn.getvalue()


def ask(rows: Rows, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    return rows.execute(query, parameters).fetchall()


def half_made_things(rows: Rows) -> list[tuple[Any, ...]]:
    """Rows that belong together but are not, and counters that are not their rows."""
    return ask(
        rows,
        """
        SELECT 'bug without text', id FROM bugs WHERE id NOT IN (SELECT bug_id FROM bug_texts)
        UNION ALL SELECT 'text without bug', bug_id FROM bug_texts WHERE bug_id NOT IN (SELECT id FROM bugs)
        UNION ALL SELECT 'bug that no search finds', id FROM bugs WHERE id NOT IN (SELECT bug_id FROM bug_search)
        UNION ALL SELECT 'vote_count', id FROM bugs b
            WHERE vote_count <> (SELECT count(*) FROM bug_votes v WHERE v.bug_id = b.id)
        UNION ALL SELECT 'comment_count', id FROM bugs b
            WHERE comment_count <> (SELECT count(*) FROM comments c WHERE c.bug_id = b.id AND removed_at IS NULL)
        UNION ALL SELECT 'session without token', id FROM sessions
            WHERE id NOT IN (SELECT session_id FROM refresh_tokens)
        UNION ALL SELECT 'unanswered key', NULL FROM idempotency_keys
            WHERE status IS NULL AND claimed_until > now() + interval '1 minute'
        """,
    )


class Writers:
    """People who write without a pause, and the ids they were given with a 2xx."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.bugs: set[str] = set()
        self.comments: set[str] = set()
        self.attachments: dict[str, str] = {}
        self.statuses: list[int] = []

    async def work(self, name: str) -> None:
        """Until the server is gone."""
        async with self.board.visitor() as visitor:
            person = await register(visitor, name)
            visitor.headers.update(person.headers)
            bug: dict[str, Any] = (await visitor.post("/api/v1/bugs", json=a_report())).json()["bug"]
            path = f"/api/v1/bugs/{bug['id']}"
            steps: list[Callable[[], Awaitable[None]]] = [
                lambda: self._report(visitor),
                lambda: self._comment(visitor, path),
                lambda: self._attach(visitor, path),
                lambda: self._vote(visitor, path),
            ]
            try:
                while True:
                    for step in steps:
                        await step()
            except httpx.TransportError:
                return

    async def _sent(self, request: Awaitable[httpx.Response]) -> httpx.Response:
        response = await request
        self.statuses.append(response.status_code)
        return response

    async def _report(self, visitor: httpx.AsyncClient) -> None:
        response = await self._sent(visitor.post("/api/v1/bugs", json=a_report()))
        if response.status_code == 201:
            self.bugs.add(response.json()["bug"]["id"])

    async def _comment(self, visitor: httpx.AsyncClient, path: str) -> None:
        response = await self._sent(visitor.post(f"{path}/comments", json={"content": "The same here."}))
        if response.status_code == 201:
            self.comments.add(response.json()["comment"]["id"])

    async def _attach(self, visitor: httpx.AsyncClient, path: str) -> None:
        response = await self._sent(visitor.post(f"{path}/attachments", files={"file": ("a.png", picture())}))
        if response.status_code == 201:
            attachment = response.json()["attachment"]
            self.attachments[attachment["id"]] = attachment["file_url"]

    async def _vote(self, visitor: httpx.AsyncClient, path: str) -> None:
        await self._sent(visitor.post(f"{path}/vote"))


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Outlives the server that wrote it."""
    return tmp_path / "uploads"


@asynccontextmanager
async def writing(board: Board, *, prefix: str) -> AsyncIterator[Writers]:
    """Eight people in the middle of it; the block has to end the server."""
    writers = Writers(board)
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(writers.work(f"{prefix}{number}"))
        await eventually(
            lambda: len(writers.bugs) >= 20 and bool(writers.comments and writers.attachments), seconds=30
        )
        yield writers


async def assert_nothing_is_lost(writers: Writers, rows: Rows, uploads: Path) -> None:
    assert writers.bugs <= {str(id_) for (id_,) in ask(rows, "SELECT id FROM bugs")}
    assert writers.comments <= {str(id_) for (id_,) in ask(rows, "SELECT id FROM comments")}
    assert set(writers.attachments) <= {str(id_) for (id_,) in ask(rows, "SELECT id FROM attachments")}
    for (key,) in ask(
        rows, "SELECT storage_key FROM attachments WHERE id = ANY(%s::uuid[])", [*writers.attachments]
    ):
        with Image.open(uploads / key) as stored:
            stored.verify()
    assert half_made_things(rows) == []


async def test_kill_9_loses_nothing_that_was_acknowledged_and_leaves_no_half(
    start_board: StartBoard, rows: Rows, uploads: Path
) -> None:
    board = start_board(UPLOAD_URL=f"file://{uploads}")
    for turn in range(2):
        async with writing(board, prefix=f"killed-{turn}-") as writers:
            board.kill()
        await assert_nothing_is_lost(writers, rows, uploads)
        board.start()


async def test_sigterm_finishes_what_was_accepted_and_exits_0(
    start_board: StartBoard, rows: Rows, uploads: Path
) -> None:
    board = start_board(UPLOAD_URL=f"file://{uploads}")
    async with writing(board, prefix="stopped-") as writers:
        released = asyncio.Event()
        slow = asyncio.create_task(_slow_write(board, rows, released))
        await asyncio.sleep(0.5)
        assert not slow.done()
        board.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        released.set()
        code = await asyncio.to_thread(board.process.wait, 120)
    assert code == 0
    assert await slow == 201
    assert set(writers.statuses) <= {200, 201, 400}  # 400: a bug has its twenty pictures
    await assert_nothing_is_lost(writers, rows, uploads)


async def _slow_write(board: Board, rows: Rows, released: asyncio.Event) -> int:
    """A report that waits for a lock while the server is told to stop, for less than two seconds."""
    async with board.visitor() as visitor:
        with rows.transaction():
            rows.execute("LOCK TABLE applications IN SHARE MODE")
            waiting = asyncio.create_task(
                visitor.post("/api/v1/bugs", json=a_report(application_name=f"New {time.time()}"))
            )
            await released.wait()
        return (await waiting).status_code


async def test_a_lost_answer_to_a_commit_leaves_no_attachment_without_its_file(
    start_board: StartBoard, postgres: Postgres, rows: Rows, uploads: Path
) -> None:
    async with FaultProxy(postgres.socket) as proxy:
        board = await asyncio.to_thread(
            start_board, DATABASE_URL=postgres.url_through(proxy.port), UPLOAD_URL=f"file://{uploads}"
        )
        async with board.visitor() as visitor:
            person = await register(visitor, "unlucky")
            visitor.headers.update(person.headers)
            bug = (await visitor.post("/api/v1/bugs", json=a_report())).json()["bug"]
            with commits_that_take_longer(rows):
                path = f"/api/v1/bugs/{bug['id']}/attachments"
                sending = asyncio.create_task(visitor.post(path, files={"file": ("a.png", picture())}))
                await until_committing(rows)
                proxy.set_mode("reset")
                assert (await sending).status_code == 503
                await eventually(lambda: ask(rows, COMMITTING) == [])
        board.remove()
    found = ask(rows, "SELECT storage_key FROM attachments WHERE bug_id = %s", bug["id"])
    assert len(found) == 1
    assert (uploads / found[0][0]).exists()


@contextmanager
def commits_that_take_longer(rows: Rows) -> Iterator[None]:
    """Of new attachments: than a pause of the machine, and less than a statement may take."""
    rows.execute(
        "CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.6); RETURN NULL; END'"
    )
    rows.execute(
        "CREATE CONSTRAINT TRIGGER sleep AFTER INSERT ON attachments DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION sleep()"
    )
    try:
        yield
    finally:
        rows.execute("DROP FUNCTION sleep CASCADE")


async def until_committing(rows: Rows) -> None:
    await eventually(lambda: ask(rows, COMMITTING) != [])
