"""A small proxy between BugRelay and something it depends on, which can be made slow, silent or broken."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

Mode = Literal["pass", "delay", "hang", "reset"]


class FaultProxy:
    """`async with FaultProxy(target) as proxy:` listens on loopback at `proxy.port` and forwards to it.

    Modes, to be changed at any moment with `set_mode`:
        pass: forwards at once.
        delay: forwards each piece after `delay_seconds`, in both directions.
        hang: accepts connections and forwards nothing; what came meanwhile is forwarded in the next mode.
        reset: breaks the connections that are open, and every new one, with a TCP RST.

    `refuse()` is what a server looks like that is not there; `await listen()` ends that.
    """

    def __init__(self, target: tuple[str, int] | Path, *, delay_seconds: float = 0.0) -> None:
        self._target = target
        self._mode: Mode = "pass"
        self._forwarding = asyncio.Event()
        self._forwarding.set()
        self._links: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self.delay_seconds = delay_seconds
        self.connections = 0
        """How many were accepted until now."""

    async def __aenter__(self) -> FaultProxy:
        # Bound for good and never listening: nobody else gets the port while we refuse.
        self._place = _bound(0)
        self.port: int = self._place.getsockname()[1]
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        self._place.close()
        for link in tuple(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, sock=_bound(self.port))

    def refuse(self) -> None:
        """Nobody listens, and what was open is broken."""
        self._server.close()
        self.set_mode("reset")

    async def listen(self) -> None:
        """Pass everything on again, also after `refuse`."""
        if not self._server.is_serving():
            await self._start()
        self.set_mode("pass")

    def set_mode(self, mode: Mode, *, delay_seconds: float | None = None) -> None:
        """Behave so from now on."""
        self._mode = mode
        if delay_seconds is not None:
            self.delay_seconds = delay_seconds
        if mode == "hang":
            self._forwarding.clear()
        else:
            self._forwarding.set()
        if mode == "reset":
            for client in self._clients:
                _reset(client)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._mode == "reset":
            _reset(writer)
            return
        link = asyncio.create_task(self._serve(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            # A broken connection on either side is what this proxy is for.
            with suppress(OSError):
                await self._link(reader, writer)
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._target, Path):
            upstream_reader, upstream_writer = await asyncio.open_unix_connection(self._target)
        else:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as group:
                ways = (
                    group.create_task(self._forward(reader, upstream_writer)),
                    group.create_task(self._forward(upstream_reader, writer)),
                )
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
        finally:
            upstream_writer.close()

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await source.read(65536):
                if self._mode == "delay":
                    await asyncio.sleep(self.delay_seconds)
                await self._forwarding.wait()
                sink.write(piece)
                await sink.drain()


def _bound(port: int) -> socket.socket:
    """A socket on loopback that shares its port with those that are made here."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
