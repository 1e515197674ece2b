"""A picture that costs too much, and a decoder that hangs: everybody else's uploads succeed, no process is left."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.factories import Person, register, report
from tests.faults.conftest import StartBoard
from tests.faults.servers import Board
from tests.infra.redis.server import eventually


def picture(side: int = 16) -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(drawn, "PNG")
    return drawn.getvalue()


def progressive_jpeg(*, scans: int) -> bytes:
    """25 megapixels in 150 kB that ask for as many passes over all of them."""
    drawn = io.BytesIO()
    Image.new("RGB", (5000, 5000), "teal").save(drawn, "JPEG", progressive=True)
    raw = drawn.getvalue()
    # The refinement of the luma coefficients is the scan that takes the longest.
    scan = raw[raw.rfind(b"\xff\xda") : -2]
    return raw[:-2] + scan * (scans - raw.count(b"\xff\xda")) + b"\xff\xd9"


def image_workers(board: Board) -> set[int]:
    """The processes that the servers' processes have started."""
    tasks = (task for worker in board.workers() for task in Path(f"/proc/{worker}/task").iterdir())
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def runs(pid: int) -> bool:
    """Whether the process is there; one that has ended and that nobody has asked about yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Uploader:
    """Somebody with a bug of their own, who adds pictures to it."""

    def __init__(self, visitor: httpx.AsyncClient, person: Person, bug: dict[str, Any]) -> None:
        self._visitor = visitor
        self._person = person
        self._path = f"/api/v1/bugs/{bug['id']}/attachments"

    @classmethod
    async def new(cls, visitor: httpx.AsyncClient, username: str) -> Uploader:
        person = await register(visitor, username)
        return cls(visitor, person, await report(visitor, person))

    async def upload(self, content: bytes) -> httpx.Response:
        files = {"file": ("a.png", content, "image/png")}
        return await self._visitor.post(self._path, files=files, headers=self._person.headers)


async def test_a_jpeg_of_ninety_scans_is_refused_with_the_reason(board: Board) -> None:
    async with board.visitor() as visitor:
        eve = await Uploader.new(visitor, "scans_eve")
        refused = await eve.upload(progressive_jpeg(scans=90))
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_FILE_TYPE")
        assert "scans" in refused.json()["error"]["message"]


async def test_many_costly_pictures_of_one_keep_nobody_else_waiting(board: Board) -> None:
    async with board.visitor() as visitor:
        eve, ada = [await Uploader.new(visitor, name) for name in ("costly_eve", "costly_ada")]
        assert (await ada.upload(picture())).status_code == 201
        costly = progressive_jpeg(scans=20)
        hostile = [asyncio.create_task(eve.upload(costly)) for _ in range(50)]
        await asyncio.wait(hostile, return_when=asyncio.FIRST_COMPLETED)  # the rest is under way or waits
        assert [(await ada.upload(picture())).status_code for _ in range(5)] == [201] * 5
        for upload in hostile:
            upload.cancel()
        await asyncio.wait(hostile)


async def test_a_decoder_that_hangs_is_replaced_and_others_upload_meanwhile(start_board: StartBoard) -> None:
    board = start_board()
    async with board.visitor() as visitor:
        eve, ada = [await Uploader.new(visitor, name) for name in ("hang_eve", "hang_ada")]
        assert (await ada.upload(picture())).status_code == 201
        (hung,) = image_workers(board)
        os.kill(hung, signal.SIGSTOP)
        uploads = [asyncio.create_task(one.upload(picture())) for one in (eve, ada)]  # one of them hangs
        done, pending = await asyncio.wait(uploads, return_when=asyncio.FIRST_COMPLETED)
        assert [upload.result().status_code for upload in done] == [201]
        (response,) = await asyncio.gather(*pending)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert response.headers["retry-after"]
        await eventually(lambda: not runs(hung))
        assert [(await one.upload(picture())).status_code for one in (eve, ada)] == [201, 201]
        assert len(image_workers(board)) in {1, 2}


async def test_a_decoder_that_was_killed_is_replaced(start_board: StartBoard) -> None:
    board = start_board()
    async with board.visitor() as visitor:
        ada = await Uploader.new(visitor, "killed_ada")
        assert (await ada.upload(picture())).status_code == 201
        (killed,) = image_workers(board)
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: not runs(killed))
        assert (await ada.upload(picture())).status_code == 201
        assert len(image_workers(board)) == 1


@pytest.mark.parametrize("end", [Board.terminate, Board.kill])
async def test_no_decoder_outlives_its_server(start_board: StartBoard, end: Callable[[Board], None]) -> None:
    board = start_board()
    async with board.visitor() as visitor:
        ada = await Uploader.new(visitor, f"outlived_{end.__name__}")
        assert (await ada.upload(picture())).status_code == 201
    (hung,) = image_workers(board)
    os.kill(hung, signal.SIGSTOP)  # as in the middle of a picture: it does not see that its input ends
    end(board)
    await eventually(lambda: not runs(hung))
