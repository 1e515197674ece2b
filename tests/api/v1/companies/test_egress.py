"""What the guard lets out, and how little it believes of what comes back."""

from __future__ import annotations

import gzip
from ipaddress import ip_address

import pytest

from bugrelay.infra.security import egress
from bugrelay.infra.security.egress import MAX_BYTES, Egress, EgressFailed, is_public
from tests.api.v1.companies.outside import egress_to, name_service, site

URL = "https://paper.example/.well-known/bugrelay.txt"


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1", "192.0.2.1",
        "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::808:808", "::ffff:10.0.0.1", "::ffff:127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "fc00::1",
        "fe80::1", "fec0::1", "ff02::1", "ff0e::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_open_internet_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(ip_address(address))


async def test_a_text_is_read_from_the_checked_address_under_its_own_name() -> None:
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.holds(b"hello\n")
        assert await egress_to(resolver, web).get_text(URL) == "hello\n"
        (request,) = web.requests
        assert request.startswith(b"GET /.well-known/bugrelay.txt HTTP/1.1\r\n")
        assert b"\r\nHost: paper.example\r\n" in request
        assert zone.asked.count(("paper.example", "A")) == 1


@pytest.mark.parametrize(
    "records", [{"A": ["127.0.0.1"]}, {"A": ["93.184.216.34", "127.0.0.1"]}, {"AAAA": ["::1"]}]
)
async def test_a_host_with_an_address_that_is_not_public_is_not_asked(records: dict[str, list[str]]) -> None:
    async with name_service() as (zone, resolver), site() as web:
        for kind, addresses in records.items():
            zone.records["paper.example", kind] = addresses
        web.holds(b"a secret of ours")
        with pytest.raises(EgressFailed, match="not public"):
            await Egress(resolver=resolver, port=web.port).get_text(URL)
        assert web.requests == []


async def test_a_certificate_of_another_name_is_not_believed() -> None:
    async with name_service() as (zone, resolver), site() as web:
        zone.records["ink.example", "A"] = ["127.0.0.1"]
        web.holds(b"hello")
        with pytest.raises(EgressFailed):
            await egress_to(resolver, web).get_text("https://ink.example/.well-known/bugrelay.txt")
        assert web.requests == []


async def test_a_certificate_that_nobody_vouches_for_is_not_believed() -> None:
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.holds(b"hello")
        with pytest.raises(EgressFailed):
            await Egress(permitted=lambda _: True, resolver=resolver, port=web.port).get_text(URL)


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "307 Temporary Redirect", "404 Not Found", "500 Oops"]
)
async def test_only_a_plain_answer_counts_and_no_redirect_is_followed(status: str) -> None:
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.holds(b"hello", status=status, headers="Location: https://127.0.0.1/secret\r\n")
        with pytest.raises(EgressFailed, match=status[:3]):
            await egress_to(resolver, web).get_text(URL)
        assert len(web.requests) == 1


@pytest.mark.parametrize("chunked", [False, True])
async def test_ten_kilobytes_are_read_and_not_one_more(chunked: bool) -> None:
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.holds(b"x" * MAX_BYTES)
        assert len(await egress_to(resolver, web).get_text(URL)) == MAX_BYTES
        web.holds(b"x" * (MAX_BYTES + 1))
        if chunked:
            web.answer = (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"1000\r\n%b\r\n" % (b"x" * 4096) * 50
            )
        with pytest.raises(EgressFailed, match="more than"):
            await egress_to(resolver, web).get_text(URL)


async def test_packed_content_is_not_unpacked() -> None:
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.holds(gzip.compress(b"x" * 1_000_000), headers="Content-Encoding: gzip\r\n")
        assert len(await egress_to(resolver, web).get_text(URL)) < MAX_BYTES


@pytest.mark.parametrize("silent", ["site", "name service"])
async def test_who_does_not_answer_in_time_is_left(monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    monkeypatch.setattr(egress, "TOTAL_SECONDS", 0.3)
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        zone.silent = silent == "name service"
        web.pause_seconds = 1.0
        with pytest.raises(EgressFailed):
            await egress_to(resolver, web).get_text(URL)
        if zone.silent:
            with pytest.raises(EgressFailed):
                await egress_to(resolver).txt_records("paper.example")


async def test_who_is_not_there_is_said_so() -> None:
    async with name_service() as (zone, resolver):
        with pytest.raises(EgressFailed, match="no address"):
            await egress_to(resolver).get_text(URL)
        with pytest.raises(EgressFailed, match="https"):
            await egress_to(resolver).get_text("http://paper.example/")
        assert await egress_to(resolver).txt_records("paper.example") == []
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        async with site() as web:
            pass
        with pytest.raises(EgressFailed):
            await egress_to(resolver, web).get_text(URL)


async def test_the_parts_of_a_txt_record_are_one_text() -> None:
    async with name_service() as (zone, resolver):
        zone.records["paper.example", "TXT"] = ['"v=spf1 -all"', '"bugrelay-" "verification=x"']
        found = await egress_to(resolver).txt_records("paper.example")
        assert sorted(found) == ["bugrelay-verification=x", "v=spf1 -all"]
