"""The client's address: only our own proxies are believed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bugrelay.infra.client_address import client_address, limit_identity
from bugrelay.settings import IPNetwork


def networks(*texts: str) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


OURS = networks("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("203.0.113.7", [], (), "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], (), "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], OURS, "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1"], OURS, "127.0.0.1"),
        ("10.0.0.1", [], OURS, "10.0.0.1"),
        ("10.0.0.1", [""], OURS, "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], OURS, "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], OURS, "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], OURS, "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6,198.51.100.1 ,\t10.0.0.2", "fd00::5"], OURS, "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], OURS, "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.1:5678"], OURS, "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:443"], OURS, "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]"], OURS, "2001:db8::1"),
        ("10.0.0.1", ["2001:DB8:0::1"], OURS, "2001:db8::1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], OURS, "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], OURS, "198.51.100.1"),
        ("::ffff:203.0.113.7", ["198.51.100.1"], OURS, "203.0.113.7"),
        ("fd00::1%eth0", ["198.51.100.1"], OURS, "198.51.100.1"),
        ("fe80::1%eth0", [], OURS, "fe80::1"),
        ("10.0.0.1", ["6.6.6.6, unknown"], OURS, "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, unknown, 10.0.0.2"], OURS, "10.0.0.2"),
        ("10.0.0.1", ["6.6.6.6,,"], OURS, "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:port"], OURS, "10.0.0.1"),
        ("10.0.0.1", ["[198.51.100.1"], OURS, "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.٣"], OURS, "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1/24"], OURS, "10.0.0.1"),
        ("10.0.0.1", ["3325256705"], OURS, "10.0.0.1"),
        (None, ["198.51.100.1"], OURS, "local"),
        ("", ["198.51.100.1"], OURS, "local"),
        ("/run/bugrelay.sock", ["198.51.100.1"], OURS, "local"),
        (None, ["198.51.100.1"], networks("0.0.0.0/0", "::/0"), "local"),
    ],
)
def test_client_address(
    peer: str | None, forwarded: list[str], trusted: tuple[IPNetwork, ...], expected: str
) -> None:
    assert client_address(peer, forwarded, trusted) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("local", "local"),
    ],
)
def test_limit_identity(address: str, expected: str) -> None:
    assert limit_identity(address) == expected


entries = st.one_of(
    st.text(max_size=30),
    st.ip_addresses().map(str),
    st.ip_addresses(v=4).map(lambda address: f"{address}:80"),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]:80"),
    st.ip_addresses(network="10.0.0.0/8").map(str),
    st.text(alphabet="0123456789abcdef.:[]% ", max_size=30),
)
peers = st.one_of(st.none(), entries)


@given(peers, st.lists(entries, max_size=6))
def test_anything_gives_an_address_or_local_and_never_raises(peer: str | None, forwarded: list[str]) -> None:
    address = client_address(peer, forwarded, OURS)
    identity = limit_identity(address)
    if address == "local":
        assert identity == "local"
    else:
        assert str(ipaddress.ip_address(address)) == address
        assert len(identity) < 50


@given(st.text(max_size=50))
def test_limit_identity_never_raises(text: str) -> None:
    assert isinstance(limit_identity(text), str)


@given(st.ip_addresses(), st.lists(entries, max_size=6))
def test_an_untrusted_peer_is_never_believed_about_its_address(
    peer: ipaddress.IPv4Address, forwarded: list[str]
) -> None:
    assert client_address(str(peer), forwarded, ()) == client_address(str(peer), [], ())


@given(st.lists(entries, max_size=6), st.ip_addresses(network="198.51.100.0/24"))
def test_nothing_left_of_the_right_most_stranger_counts(
    made_up: list[str], client: ipaddress.IPv4Address
) -> None:
    assert client_address("10.0.0.1", [*made_up, f"{client}, 10.9.9.9"], OURS) == str(client)


@given(
    st.lists(entries, max_size=6),
    st.sampled_from(["unknown", "_hidden", "", "1.2.3", "a.example", "[", "::g"]),
)
def test_nothing_left_of_garbage_counts(made_up: list[str], garbage: str) -> None:
    assert client_address("10.0.0.1", [*made_up, garbage, "10.9.9.9"], OURS) == "10.9.9.9"
