"""Calls to places that users name: only public addresses are connected to, and little is believed.

Whoever may name a host may name one of ours, or one whose address changes between the check and the connection. So
the name is resolved once, every address it has is checked, and the connection goes to one of those very addresses,
while the certificate is held against the name. No redirect is followed, no proxy of the environment is used, and each
call ends in time whatever the other side sends.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import dns.exception
import httpx
from dns.asyncresolver import Resolver

from bugrelay.infra.text.urls import canonical_host, http_host

TOTAL_SECONDS = 5.0
CONNECT_SECONDS = 5.0
POST_SECONDS = 15.0
MAX_BYTES = 10 * 1024
MAX_POST_BYTES = 1024
OK = 200
HTTPS_PORT = 443
FIRST_UNPRIVILEGED_PORT = 1024

IPAddress = IPv4Address | IPv6Address

# What is given out for the internet (RFC 4291, section 2.4), and what translates to IPv4 (RFC 6052).
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# Special purposes (IANA's registries) that `ipaddress` takes for global, in some of its versions: protocol assignments,
# relays of 6to4, Teredo and ORCHID and benchmarks, documentation (RFC 9637).
_SPECIAL_4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_SPECIAL_6 = (IPv6Network("2001::/23"), IPv6Network("2002::/16"), IPv6Network("3fff::/20"))


class EgressFailed(Exception):
    """Nothing usable came back; the text says why and holds nothing that was received."""


@dataclass(frozen=True)
class EgressResponse:
    """What a receiver answered: its status, and the first KiB of its body as text."""

    status: int
    text: str


def is_public(address: IPAddress) -> bool:
    """Whether the address belongs to the open internet, also where IPv6 carries an IPv4 address inside."""
    if isinstance(address, IPv6Address):
        inner = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST or any(address in network for network in _SPECIAL_6):
            return False
    elif any(address in network for network in _SPECIAL_4):
        return False
    return address.is_global and not address.is_multicast


def is_callable(url: str) -> bool:
    """Whether a URL may be called at all: https, a host by name, no user name, and port 443 or one from 1024 up.

    Two readers of URLs must find the same host in it.

    What listens on the other ports is no web server, and shall not be spoken to in a user's name. Whether the name's
    addresses are public is decided at each call.
    """
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    port = target.port or HTTPS_PORT
    usual_port = port == HTTPS_PORT or port >= FIRST_UNPRIVILEGED_PORT
    name = http_host(url)
    same = name is not None and name == canonical_host(target.host)
    return target.scheme == "https" and same and _is_name(name or "") and not target.userinfo and usual_port


def _is_name(name: str) -> bool:
    """Whether a canonical host is a name and no address."""
    try:
        ip_address(name)
    except ValueError:
        return True
    return False


class Egress:
    """Asks the name service, reads small texts and posts small bodies over HTTPS.

    The arguments are for tests, which have no public addresses, and are no settings: with the defaults nothing on
    this machine or its networks can be reached.
    """

    def __init__(
        self,
        *,
        permitted: Callable[[IPAddress], bool] = is_public,
        resolver: Resolver | None = None,
        port: int = 443,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._permitted = permitted
        self._resolver = resolver
        self._port = port
        self._tls = tls

    async def txt_records(self, domain: str) -> list[str]:
        """The TXT records of a domain, the parts of each joined.

        Raises:
            EgressFailed
        """
        return [
            b"".join(record.strings).decode("utf-8", "replace")
            for record in await self._records(domain, "TXT")
        ]

    async def get_text(self, url: str) -> str:
        """The text at an https URL, at most 10 kB and within 5 seconds.

        Raises:
            EgressFailed: Also for any answer but 200, and where one address of the host is not public.
        """
        try:
            async with asyncio.timeout(TOTAL_SECONDS), self._response("GET", url) as response:
                if response.status_code != OK:
                    raise EgressFailed(f"the answer was {response.status_code}")
                return (await _at_most(response, MAX_BYTES)).decode("utf-8", "replace")
        except TimeoutError as error:
            raise EgressFailed(f"no answer within {TOTAL_SECONDS:.0f} s") from error
        except (httpx.HTTPError, OSError) as error:
            raise EgressFailed(_reason(error)) from error

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str]) -> EgressResponse:
        """Post a body to an https URL, within 15 seconds from the lookup of its name to the first KiB of the answer.

        Once there is a status, what becomes of the rest of the answer does not matter.

        Raises:
            EgressFailed: There was no status: also where one address of the host is not public.
        """
        status, body = None, bytearray()
        try:
            async with (
                asyncio.timeout(POST_SECONDS),
                self._response("POST", url, content=content, headers=headers) as response,
            ):
                status = response.status_code
                await _read_head(response, body)
        except TimeoutError as error:
            if status is None:
                raise EgressFailed(f"no answer within {POST_SECONDS:.0f} s") from error
        except (httpx.HTTPError, OSError) as error:
            if status is None:
                raise EgressFailed(_reason(error)) from error
        return EgressResponse(status or 0, bytes(body[:MAX_POST_BYTES]).decode("utf-8", "replace"))

    async def _checked_address(self, host: str) -> IPAddress:
        """The address to connect to. One that is not public spoils all: which of them is asked would be luck."""
        found = [
            ip_address(record.address) for kind in ("A", "AAAA") for record in await self._records(host, kind)
        ]
        if not found:
            raise EgressFailed("the host has no address")
        if not all(self._permitted(address) for address in found):
            raise EgressFailed("the host has an address that is not public")
        return found[0]

    async def _records(self, name: str, kind: str) -> list[Any]:
        """No records where the name has none of that kind."""
        try:
            resolver = self._resolver or Resolver()
            answer = await resolver.resolve(
                f"{name}.", kind, lifetime=TOTAL_SECONDS, raise_on_no_answer=False
            )
        except (dns.exception.DNSException, OSError) as error:
            raise EgressFailed(f"the name service: {type(error).__name__}") from error
        return list(answer.rrset or ())

    @asynccontextmanager
    async def _response(
        self, method: str, url: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """The answer to one request, its body unread: connected to a checked address, under the host's own name."""
        if not is_callable(url):
            raise EgressFailed("only https URLs of a host by its name are called")
        target = httpx.URL(url)
        host = target.raw_host.decode().removesuffix(".")  # certificates name no root
        address = await self._checked_address(host)
        transport = httpx.AsyncHTTPTransport(verify=self._trusted, trust_env=False)
        async with (
            httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False) as client,
            client.stream(
                method,
                target.copy_with(host=str(address), port=target.port or self._port),
                content=content,
                headers={
                    "Host": host if target.port is None else f"{host}:{target.port}",
                    "Accept-Encoding": "identity",
                    "User-Agent": "BugRelay",
                    **(headers or {}),
                },
                extensions={"sni_hostname": host},
                timeout=httpx.Timeout(POST_SECONDS, connect=CONNECT_SECONDS),
            ) as response,
        ):
            yield response

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        """Read once: the list of authorities takes some milliseconds."""
        return self._tls or httpx.create_ssl_context(trust_env=False)


async def _at_most(response: httpx.Response, max_bytes: int) -> bytes:
    """The body as it was sent, never unpacked."""
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise EgressFailed(f"the answer has more than {max_bytes} bytes")
    return body


async def _read_head(response: httpx.Response, body: bytearray) -> None:
    """Read what is kept of the body into `body`; the rest is left unread."""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= MAX_POST_BYTES:
            return


def _reason(error: Exception) -> str:
    """What went wrong, in words of ours: the library's may repeat what was received."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the certificate is not valid for the host"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        return "the host was too slow"
    if isinstance(error, httpx.ConnectError | OSError):
        return "no connection"
    return "the connection ended before there was an answer"
