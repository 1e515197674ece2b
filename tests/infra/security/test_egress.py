"""What the guard lets out, and how little it believes of what comes back."""

from __future__ import annotations

import gzip
from functools import partial
from ipaddress import ip_address

import pytest

from bugrelay.infra.security import egress
from bugrelay.infra.security.egress import MAX_BYTES, Egress, EgressFailed, is_callable, is_public
from tests.infra.security.outside import egress_to, name_service, site
from tests.pace import undisturbed

URL = "https://paper.example/.well-known/bugrelay.txt"


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1", "192.0.2.1",
        "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::808:808", "::ffff:10.0.0.1", "::ffff:127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "fc00::1",
        "fe80::1", "fec0::1", "ff02::1", "ff0e::1", "192.0.0.9", "192.88.99.1", "198.51.100.1", "203.0.113.1", "0.1.2.3",
        "2001:2::1", "2001:20::1", "2001:0:4136:e378::1", "2002:101:101::1", "3fff::1", "5f00::1", "64:ff9b:1:a00::1",
        "100::1", "::ffff:100.64.0.1", "64:ff9b::a9fe:a9fe",
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
async def test_a_server_that_does_not_respond_in_time_is_given_up(
    monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
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


async def test_a_server_that_is_not_there_is_reported() -> None:
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


HOOK = "https://paper.example/hook?x=1"


async def test_a_body_is_posted_to_the_checked_address_under_its_own_name() -> None:
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.holds(b"thank you", status="202 Accepted")
        url = f"https://PAPER.example:{web.port}/hook?x=%20"
        answer = await egress_to(resolver).post(url, content=b"{}", headers={"webhook-id": "evt_1"})
        assert (answer.status, answer.text) == (202, "thank you")
        (request,) = web.requests
        assert request.startswith(b"POST /hook?x=%20 HTTP/1.1\r\n")
        assert f"\r\nHost: paper.example:{web.port}\r\n".encode() in request
        assert b"\r\nwebhook-id: evt_1\r\n" in request


async def test_a_name_may_end_with_the_dot_of_the_root() -> None:
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.holds(b"hello")
        url = f"https://paper.example.:{web.port}/"
        assert (await egress_to(resolver).post(url, content=b"{}", headers={})).text == "hello"
        assert f"\r\nHost: paper.example:{web.port}\r\n".encode() in web.requests[0]


async def test_a_name_that_changes_its_address_is_connected_to_where_it_was_checked_and_refused_the_next_time() -> (
    None
):
    """DNS rebinding: the first question is answered with a permitted address, each later one with a forbidden one."""
    async with name_service() as (zone, resolver), site("127.0.0.2") as web, site() as inside:
        egress = egress_to(resolver, web, permitted={"127.0.0.2"})
        zone.series["paper.example", "A"] = [["127.0.0.2"], ["127.0.0.1"]]
        inside.holds(b"a secret of ours")
        web.holds(b"hello")
        assert (await egress.post(HOOK, content=b"{}", headers={})).text == "hello"
        assert zone.asked.count(("paper.example", "A")) == 1
        with pytest.raises(EgressFailed, match="not public"):
            await egress.post(HOOK, content=b"{}", headers={})
        assert (len(web.requests), inside.requests) == (1, [])


@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect", "410 Gone", "500 Oops"])
async def test_a_post_returns_the_status_and_follows_no_redirect(status: str) -> None:
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.holds(b"", status=status, headers="Location: https://127.0.0.1/secret\r\n")
        answer = await egress_to(resolver, web).post(HOOK, content=b"{}", headers={})
        assert answer.status == int(status[:3])
        assert len(web.requests) == 1


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_post_reads_one_kilobyte_of_an_answer_that_never_ends(chunked: bool) -> None:
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.holds(b"x" * 5_000_000)
        if chunked:
            web.answer = (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"3e8\r\n%b\r\n" % (b"x" * 1000) * 500
            )
        answer = await egress_to(resolver, web).post(HOOK, content=b"{}", headers={})
        assert (answer.status, answer.text) == (200, "x" * 1024)


async def test_a_post_ends_in_time_whatever_comes_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header or a letter now and then would keep a deadline for each read waiting for ever."""
    monkeypatch.setattr(egress, "POST_SECONDS", 0.5)
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.answer, web.dripping = b"HTTP/1.1 200 OK\r\n", b"x-header: more\r\n"
        with pytest.raises(EgressFailed, match="no answer within"):
            await egress_to(resolver, web).post(HOOK, content=b"{}", headers={})
        web.answer, web.dripping = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"
        post = partial(egress_to(resolver, web).post, HOOK, content=b"{}", headers={})
        answer = await undisturbed(post, seconds=0.4)
        assert answer.status == 200
        assert set(answer.text) <= {"x"}


async def test_endless_headers_are_no_answer() -> None:
    async with name_service() as (zone, resolver), site() as web:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        web.answer = b"HTTP/1.1 200 OK\r\n" + b"x-header: more\r\n" * 100_000
        with pytest.raises(EgressFailed, match="before there was an answer"):
            await egress_to(resolver, web).post(HOOK, content=b"{}", headers={})


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with name_service() as (zone, resolver), site() as web, site() as proxy:
        zone.records["paper.example", "A"] = ["127.0.0.1"]
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        web.holds(b"hello")
        assert (await egress_to(resolver, web).post(HOOK, content=b"{}", headers={})).text == "hello"
        assert proxy.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://paper.example/", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f000001/",
        "https://127.1/", "https://user@paper.example/", "https://user:pass@paper.example/", "https://paper.example:22/",
        "https://paper.example:80/", "https:///path", "https://", "ftp://paper.example/", "//paper.example/",
    ],
)  # fmt: skip
async def test_other_urls_than_those_of_web_servers_by_name_are_not_called(url: str) -> None:
    assert not is_callable(url)
    async with name_service() as (zone, resolver):
        with pytest.raises(EgressFailed):
            await egress_to(resolver).post(url, content=b"{}", headers={})
        assert zone.asked == []


@pytest.mark.parametrize(
    "url", ["https://paper.example", "https://paper.example:8443/x", "https://bücher.example/"]
)
def test_urls_of_web_servers_by_name_are_called(url: str) -> None:
    assert is_callable(url)
