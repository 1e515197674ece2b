"""URLs that users send: whether one is a web URL, and the canonical form of its host.

Hosts are parsed as browsers do: in any case and width, with Unicode dots, and with user names before them
(`https://slack.com@attacker.io` is at `attacker.io`).
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import idna

# Browsers read a backslash as a slash, and remove tabs and line breaks, so parsers would disagree about the host.
# Direction overrides make one URL look like another. The rest is not allowed in URLs.
_NEVER_IN_URL = re.compile(r"[\s\x00-\x20\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\\<>\"]")
_WEB_URL = re.compile(r"https?://(?:[^/?#]*@)?([^/?#@]+)(?:[/?#]|$)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]+)(?::([0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# A last label that is a number makes the host an IPv4 address, in any of the spellings of inet_aton(3).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_HOST_LENGTH: Final = 253
# No longer text can be mapped to a host name; this limits the cost of the mapping.
_MAX_SPELLING_LENGTH: Final = 1000
_LAST_PORT: Final = 65535


def valid_http_url(url: str) -> bool:
    """Whether this is an absolute http or https URL with a host and, optionally, a port up to 65535.

    A user name before the host is allowed. The length is not checked here.
    """
    return http_host(url) is not None


def http_host(url: str) -> str | None:
    """Return the canonical host of an absolute http or https URL; None for anything else."""
    if _NEVER_IN_URL.search(url):
        return None
    authority = _WEB_URL.match(url)
    parts = _HOST_AND_PORT.fullmatch(authority[1]) if authority else None
    if parts is None or int(parts[2] or 0) > _LAST_PORT:
        return None
    return canonical_host(parts[1])


def canonical_host(host: str) -> str | None:
    """Return the canonical form of a host, or None if no browser accepts it.

    Names are in lower case, as IDNA A-labels without a trailing dot; IPv4 addresses as four decimals; bracketed IPv6
    addresses compressed, without the brackets.
    """
    if host.startswith("["):
        return _ipv6(host[1:-1])
    name = _mapped(host)
    if name is None:
        return None
    labels = [_a_label(label) for label in name.removesuffix(".").split(".")]
    if None in labels:
        return None
    canonical = ".".join(label for label in labels if label)
    if _NUMBER.fullmatch(labels[-1] or ""):
        return _ipv4(canonical)
    return canonical if len(canonical) <= _MAX_HOST_LENGTH else None


def _mapped(host: str) -> str | None:
    """Fold case, width and the dots of other scripts (UTS 46)."""
    if host.isascii():
        return host.lower()
    if len(host) > _MAX_SPELLING_LENGTH:
        return None
    try:
        return idna.uts46_remap(host, std3_rules=False, transitional=False)
    except idna.IDNAError:
        return None


def _a_label(label: str) -> str | None:
    try:
        encoded = label if label.isascii() else idna.alabel(label).decode("ascii")
    except idna.IDNAError:
        return None
    return encoded if _LABEL.fullmatch(encoded) else None


def _ipv4(text: str) -> str | None:
    try:
        return str(IPv4Address(socket.inet_aton(text)))
    except OSError:
        return None


def _ipv6(text: str) -> str | None:
    try:
        return IPv6Address(text).compressed if "%" not in text else None
    except ValueError:
        return None
