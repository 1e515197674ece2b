"""The client's address behind proxies, and the identity by which limits count."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from bugrelay.settings import IPNetwork

LOCAL = "local"
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]{1,5})?|([^:]*):[0-9]{1,5}")


def client_address(peer: str | None, forwarded_for: list[str], trusted: tuple[IPNetwork, ...]) -> str:
    """The address of the client.

    It is the peer of the socket, unless that is one of our own proxies. Then it is the right-most forwarded entry that
    is not a proxy of ours, because only what our proxies have appended can be trusted.

    Args:
        peer: The peer of the socket; None or a path for a Unix socket.
        forwarded_for: The values of all `X-Forwarded-For` lines, in their order.
        trusted: The networks of our own proxies.

    Returns:
        The address in canonical form, IPv4 also if it was mapped into IPv6; `local` for a Unix socket.
    """
    client = parsed_address(peer or "")
    if client is None or not trusted:
        return _peer_address(peer)
    entries = ",".join(forwarded_for).split(",")
    while entries and any(client in network for network in trusted):
        entry = parsed_address(entries.pop())
        # Entries to the left of an invalid one cannot be trusted: the last proxy is the client.
        if entry is None:
            break
        client = entry
    return str(client)


@lru_cache(maxsize=8192)
def _peer_address(peer: str | None) -> str:
    """The peer of the socket in canonical form, which is the client if no proxy is trusted."""
    address = parsed_address(peer or "")
    return LOCAL if address is None else str(address)


@lru_cache(maxsize=8192)
def limit_identity(address: str) -> str:
    """The identity by which limits count: an IPv6 address by its /64, the smallest network of a site."""
    parsed = parsed_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return address if parsed is None else str(parsed)


@lru_cache(maxsize=8192)  # few clients send most requests, and parsing an address costs more than the limit
def parsed_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:56`, `::1`, `[::1]` or `[::1]:443`, without its zone; None for other texts."""
    text = text.strip()
    if match := _WITH_PORT.fullmatch(text):
        text = match[1] or match[2] or ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address
