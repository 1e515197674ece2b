"""Egress: calls to hosts that users name, which connect to public addresses only (protection against SSRF).

A user could name an internal host, or one whose address changes between the check and the connection (DNS rebinding).
So a name is resolved once, all its addresses are checked, and the connection goes to one of them, while the certificate
is verified for the name. No redirects are followed, no proxy of the environment is used, and every call has a deadline
and a limit of bytes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any

from bugrelay.infra.imports import Deferred
from bugrelay.infra.text.urls import canonical_host, http_host

if TYPE_CHECKING:
    import httpx
    from dns import asyncresolver
    from dns import exception as dns_exception
else:
    httpx = Deferred("httpx")
    asyncresolver, dns_exception = Deferred("dns.asyncresolver"), Deferred("dns.exception")

TOTAL_SECONDS = 5.0
CONNECT_SECONDS = 5.0
POST_SECONDS = 15.0
MAX_BYTES = 10 * 1024
MAX_POST_BYTES = 1024
OK = 200
HTTPS_PORT = 443
FIRST_UNPRIVILEGED_PORT = 1024

IPAddress = IPv4Address | IPv6Address

# Addresses allocated for the internet (RFC 4291, section 2.4), and the prefix that translates to IPv4 (RFC 6052).
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# Special purposes (IANA's registries) that some versions of `ipaddress` regard as global: protocol assignments, relays
# of 6to4, Teredo and ORCHID and benchmarks, documentation (RFC 9637).
_SPECIAL_4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_SPECIAL_6 = (IPv6Network("2001::/23"), IPv6Network("2002::/16"), IPv6Network("3fff::/20"))


class EgressFailed(Exception):
    """The call failed; the text says why, without anything that was received."""


@dataclass(frozen=True)
class EgressResponse:
    """A response: its status, and the first KiB of its body as text."""

    status: int
    text: str


def is_public(address: IPAddress) -> bool:
    """Whether the address is public; IPv6 addresses that embed an IPv4 address are judged by that."""
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
    """Whether a URL may be called: https, a host by name, no user name, and port 443 or one from 1024 up.

    Services on other ports are no web servers, and must not get requests at a user's command. Two URL parsers must
    agree on the host. Whether the addresses of the name are public is decided at each call.
    """
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    port = target.port or HTTPS_PORT
    usual_port = port == HTTPS_PORT or port >= FIRST_UNPRIVILEGED_PORT
    name = http_host(url)
    parsers_agree = name is not None and name == canonical_host(target.host)
    is_https_to_name = target.scheme == "https" and parsers_agree and _is_name(name or "")
    return is_https_to_name and not target.userinfo and usual_port


def _is_name(name: str) -> bool:
    """Whether a canonical host is a name, not an address."""
    try:
        ip_address(name)
    except ValueError:
        return True
    return False


class Egress:
    """Resolves TXT records, and reads small texts and posts small bodies over HTTPS.

    The arguments exist for tests, which have no public addresses. They are no settings: with the defaults, nothing on
    this machine or its networks can be reached.
    """

    def __init__(
        self,
        *,
        permitted: Callable[[IPAddress], bool] = is_public,
        resolver: asyncresolver.Resolver | None = None,
        port: int = 443,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._permitted = permitted
        self._resolver = resolver
        self._port = port
        self._tls = tls

    async def txt_records(self, domain: str) -> list[str]:
        """The TXT records of a domain, with the parts of each joined.

        Raises:
            EgressFailed
        """
        return [
            b"".join(record.strings).decode("utf-8", "replace")
            for record in await self._records(domain, "TXT")
        ]

    async def get_text(self, url: str) -> str:
        """The text at an https URL, at most `MAX_BYTES` and within `TOTAL_SECONDS`.

        Raises:
            EgressFailed: Also for any status but 200, and if one address of the host is not public.
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
        """Post a body to an https URL, within `POST_SECONDS`, from the DNS lookup to the first KiB of the response.

        Once the status was received, errors in the rest of the response are ignored.

        Raises:
            EgressFailed: No status was received; also if one address of the host is not public.
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
        """The address to connect to. One that is not public refuses the host, since any of them might be used."""
        found = [
            ip_address(record.address) for kind in ("A", "AAAA") for record in await self._records(host, kind)
        ]
        if not found:
            raise EgressFailed("the host has no address")
        if not all(self._permitted(address) for address in found):
            raise EgressFailed("the host has an address that is not public")
        return found[0]

    async def _records(self, name: str, kind: str) -> list[Any]:
        """The records of that kind; empty if the name has none."""
        try:
            resolver = self._resolver or asyncresolver.Resolver()
            answer = await resolver.resolve(
                f"{name}.", kind, lifetime=TOTAL_SECONDS, raise_on_no_answer=False
            )
        except (dns_exception.DNSException, OSError) as error:
            raise EgressFailed(f"the name service: {type(error).__name__}") from error
        return list(answer.rrset or ())

    @asynccontextmanager
    async def _response(
        self, method: str, url: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """The response to one request, its body unread; it connects to a checked address, under the host's name."""
        if not is_callable(url):
            raise EgressFailed("only https URLs of a host by its name are called")
        target = httpx.URL(url)
        host = target.raw_host.decode().removesuffix(".")  # names in certificates have no trailing dot
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
        """Cached, since loading the list of authorities takes some milliseconds."""
        return self._tls or httpx.create_ssl_context(trust_env=False)


async def _at_most(response: httpx.Response, max_bytes: int) -> bytes:
    """The raw body, never decompressed."""
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise EgressFailed(f"the answer has more than {max_bytes} bytes")
    return body


async def _read_head(response: httpx.Response, body: bytearray) -> None:
    """Read at least the first `MAX_POST_BYTES` of the body into `body`; the rest is left unread."""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= MAX_POST_BYTES:
            return


def _reason(error: Exception) -> str:
    """The reason in our own words: the library's message may repeat what was received."""
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
