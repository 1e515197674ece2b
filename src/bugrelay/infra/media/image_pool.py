"""A pool of processes that clean pictures, with a deadline for each picture, shared fairly by uploaders.

These are processes, because a thread cannot be killed: a picture that takes a minute to decode would occupy its slot
for a minute, and all other uploads would be refused for that time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

import msgspec
import structlog

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.fair_semaphore import FairSemaphore
from bugrelay.infra.media.image_exchange import LENGTH_BYTES, REFUSALS, CleanImage, NotAnImage, Reply, framed

log = structlog.get_logger()

# With two, one uploader, who gets one at a time, never occupies all. A picture at the limit takes about 400 MB.
WORKERS = 2
MAX_WAITING = 32
# Shorter than the deadline, so that a picture that waited for one that was killed still has time.
PICTURE_SECONDS = 3.0
DEADLINE_SECONDS = 4.5  # of a picture, including its wait
_READ_BUFFER_BYTES = 1 << 20
_PROGRAM = "bugrelay.infra.media.image_worker"  # never imported here: it loads the decoders
# The environment variables that a worker needs; none of them is a secret.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "LANG", "LC_ALL")
_CRASHES = {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGFPE, -signal.SIGILL}


class ImageCleaner:
    """Cleans at most `WORKERS` pictures at once, one for each uploader; processes are started when first needed."""

    def __init__(self) -> None:
        self._semaphore = FairSemaphore(WORKERS, max_waiting=MAX_WAITING)
        self._workers: set[Process] = set()
        self._idle: list[Process] = []

    async def clean(self, raw: bytes, *, uploader: str) -> CleanImage:
        """The picture in `raw`, re-encoded.

        Args:
            raw: The file as it was sent.
            uploader: The key by which the pool is shared fairly.

        Raises:
            NotAnImage: It is no picture, is broken, or exceeds the limits; the message is for the user.
            ServiceUnavailable: Too many pictures are waiting, or this one exceeded its deadline.
        """

        async def held() -> bytes:
            return raw

        return await self.clean_read(held, uploader=uploader)

    async def clean_read(self, read: Callable[[], Awaitable[bytes]], *, uploader: str) -> CleanImage:
        """`clean` for a file that is read when its turn comes, so that waiting pictures take no memory.

        Raises:
            NotAnImage, ServiceUnavailable, and whatever `read` does.
        """
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._semaphore.hold(uploader):
                raw = await read()
                reply = await self._run(raw)
        except TimeoutError as error:
            raise ServiceUnavailable from error
        if reply.image is not None:
            return reply.image
        log.info("picture_refused", error_type=reply.cause, size_bytes=len(raw))
        raise REFUSALS.get(reply.refusal, NotAnImage)

    async def close(self) -> None:
        """Kill all processes."""
        for worker in tuple(self._workers):
            await self._end(worker)

    async def _run(self, raw: bytes) -> Reply:
        """Have a worker clean one picture; after any error the worker is killed, and replaced when next needed."""
        worker = self._take_idle() or await self._start()
        try:
            async with asyncio.timeout(PICTURE_SECONDS):
                reply = await _exchange(worker, raw)
        except BaseException as error:
            await asyncio.shield(self._end(worker))
            log.warning("image_worker_ended", exit_code=worker.returncode, cause=type(error).__name__)
            if isinstance(error, (ConnectionError, asyncio.IncompleteReadError)):
                raise (NotAnImage if worker.returncode in _CRASHES else ServiceUnavailable) from error
            raise
        self._idle.append(worker)
        return reply

    def _take_idle(self) -> Process | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.returncode is None:
                return worker
            self._workers.discard(worker)
        return None

    async def _start(self) -> Process:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", _PROGRAM),
            stdin=PIPE,
            stdout=PIPE,
            limit=_READ_BUFFER_BYTES,
            env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT},
        )
        self._workers.add(worker)
        return worker

    async def _end(self, worker: Process) -> None:
        with suppress(ProcessLookupError):  # It has ended by itself.
            worker.kill()
        await worker.wait()
        self._workers.discard(worker)


async def _exchange(worker: Process, raw: bytes) -> Reply:
    """Send a picture to a worker, and return its reply.

    Raises:
        ConnectionError, asyncio.IncompleteReadError: The process ended.
    """
    requests, replies = cast(StreamWriter, worker.stdin), cast(StreamReader, worker.stdout)  # both are pipes
    requests.write(framed(raw))
    await requests.drain()
    length = int.from_bytes(await replies.readexactly(LENGTH_BYTES), "big")
    return msgspec.msgpack.decode(await replies.readexactly(length), type=Reply)
