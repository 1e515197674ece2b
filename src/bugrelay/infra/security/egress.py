"""Looking things up outside, at places that users name: only public addresses are asked, and little is believed.

Whoever may name a host may name one of ours, or one whose address changes between the check and the call. So the
address is resolved once, checked, and the connection goes to that very address.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import dns.exception
import httpx
from dns.asyncresolver import Resolver

TOTAL_SECONDS = 5.0
MAX_BYTES = 10 * 1024
OK = 200

IPAddress = IPv4Address | IPv6Address

# What is given out for the internet (RFC 4291, section 2.4), and what translates to IPv4 (RFC 6052).
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


class EgressFailed(Exception):
    """Nothing usable came back; the text says why and holds nothing that was received."""


def is_public(address: IPAddress) -> bool:
    """Whether the address belongs to the open internet, also where IPv6 carries an IPv4 address inside."""
    if isinstance(address, IPv6Address):
        inner = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST or address.sixtofour or address.teredo:
            return False
    return address.is_global and not address.is_multicast


class Egress:
    """Asks the name service, and reads small texts over HTTPS.

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
        """The text at an https URL, at most 10 kB and within 5 seconds. No redirect is followed.

        Raises:
            EgressFailed: Also for any answer but 200, and where one address of the host is not public.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise EgressFailed("only https URLs are read")
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                address = await self._checked_address(parts.hostname)
                return await self._read(address, parts.hostname, parts.path)
        except TimeoutError as error:
            raise EgressFailed(f"no answer within {TOTAL_SECONDS:.0f} s") from error
        except (httpx.HTTPError, OSError) as error:
            raise EgressFailed(type(error).__name__) from error

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

    async def _read(self, address: IPAddress, host: str, path: str) -> str:
        """Connect to the address, and hold the certificate against the host."""
        literal = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - the protocol's version
        transport = httpx.AsyncHTTPTransport(verify=self._tls or True, trust_env=False)
        async with (
            httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False) as client,
            client.stream(
                "GET",
                f"https://{literal}:{self._port}{path}",
                headers={"Host": host, "Accept-Encoding": "identity", "User-Agent": "BugRelay"},
                extensions={"sni_hostname": host},
                timeout=TOTAL_SECONDS,
            ) as response,
        ):
            if response.status_code != OK:
                raise EgressFailed(f"the answer was {response.status_code}")
            return (await _at_most(response, MAX_BYTES)).decode("utf-8", "replace")


async def _at_most(response: httpx.Response, max_bytes: int) -> bytes:
    """The body as it was sent, never unpacked."""
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise EgressFailed(f"the answer has more than {max_bytes} bytes")
    return body
