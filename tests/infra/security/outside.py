"""The outside as a test sets it up, on loopback: a name service and a web server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.message
import dns.rrset
import trustme
from dns.asyncresolver import Resolver

from bugrelay.infra.security.egress import Egress, IPAddress

AUTHORITY = trustme.CA()  # made for this run, trusted by nobody else


@dataclass
class Zone(asyncio.DatagramProtocol):
    """A name service. `records` holds texts by (name, kind); `asked` what it was asked for, in order.

    `series` holds one list of texts for each question in turn: an address that changes.
    """

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    series: dict[tuple[str, str], list[list[str]]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    silent: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        key = (question.name.to_text(omit_final_dot=True), question.rdtype.name)
        self.asked.append(key)
        if self.silent:
            return
        answer = dns.message.make_response(query)
        if self.series.get(key):
            self.records[key] = self.series[key].pop(0)
        if key in self.records:
            answer.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", key[1], self.records[key]))
        self._transport.sendto(answer.to_wire(), address)


@asynccontextmanager
async def name_service() -> AsyncIterator[tuple[Zone, Resolver]]:
    """An empty zone, and a resolver that asks nobody else."""
    zone = Zone()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: zone, local_addr=("127.0.0.1", 0))
    resolver = Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    try:
        yield zone, resolver
    finally:
        transport.close()


@dataclass
class Site:
    """A web server with the certificate of paper.example. `answer` is what it sends, byte by byte.

    `dripping` follows that again and again, slowly, for as long as somebody listens.
    """

    port: int
    answer: bytes = b""
    dripping: bytes = b""
    pause_seconds: float = 0.0
    requests: list[bytes] = field(default_factory=list)

    def holds(self, content: bytes, *, status: str = "200 OK", headers: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n{headers}\r\n"
        self.answer = head.encode() + content


@asynccontextmanager
async def site(address: str = "127.0.0.1") -> AsyncIterator[Site]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("paper.example").configure_cert(context)
    served = Site(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.requests.append(await reader.readuntil(b"\r\n\r\n"))
        await asyncio.sleep(served.pause_seconds)
        writer.write(served.answer)
        try:
            await writer.drain()
            while served.dripping:
                await asyncio.sleep(0.05)
                writer.write(served.dripping)
                await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            return  # the reader has had enough

    server = await asyncio.start_server(serve, address, 0, ssl=context)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def egress_to(resolver: Resolver, web: Site | None = None, *, permitted: set[str] | None = None) -> Egress:
    """The guard as it is, but that the permitted addresses are these, the port is the site's, and its CA is trusted."""

    def may(address: IPAddress) -> bool:
        return str(address) in (permitted if permitted is not None else {"127.0.0.1"})

    return Egress(
        permitted=may,
        resolver=resolver,
        port=web.port if web else 443,
        tls=_trusting(),
    )
