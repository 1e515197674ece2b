"""Whose domain a URL or an address is: what is a company, what is only a place, and what is neither."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bugrelay.domain.companies.domains import (
    application_domain,
    company_domain,
    email_domain,
    is_claimable,
)
from bugrelay.infra.text.urls import canonical_host, http_host, valid_http_url


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://slack.com", "slack.com"),
        ("http://slack.com/a/b?c#d", "slack.com"),
        ("HTTPS://WWW.Slack.COM.:8443/x", "slack.com"),
        ("https://app.eu.slack.com", "slack.com"),
        ("https://slack.com@attacker.io/", "attacker.io"),
        ("https://a:b@c@attacker.io?@slack.com", "attacker.io"),
        ("https://attacker.io#@slack.com", "attacker.io"),
        ("https://attacker.io/@slack.com", "attacker.io"),
        ("https://slack.com.attacker.io", "attacker.io"),
        ("https://shop.example.co.uk", "example.co.uk"),
        ("https://my_app.example.com", "example.com"),
        ("https://acme.uk.com", "acme.uk.com"),
        ("https://acme.example", "acme.example"),
        ("https://bücher.de", "xn--bcher-kva.de"),
        ("https://BÜCHER.de", "xn--bcher-kva.de"),
        ("https://bu\u0308cher.de", "xn--bcher-kva.de"),
        ("https://xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("https://例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("https://ｓｌａｃｋ。ｃｏｍ", "slack.com"),
        ("https://ſlack.com", "slack.com"),
        ("https://apple.com/music", "apple.com"),
        ("https://www.google.com", "google.com"),
        ("https://vercel.com", "vercel.com"),
        ("https://www.microsoft.com/en-us/windows?p=/store/", "microsoft.com"),
    ],
)
def test_a_company_is_its_registrable_domain(url: str, domain: str) -> None:
    assert company_domain(url) == domain
    assert application_domain(url) == domain
    assert is_claimable(domain)


def test_a_lookalike_of_another_script_is_another_company() -> None:
    assert company_domain("https://sl\u0430ck.com") == "xn--slck-63d.com"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://apps.apple.com/app/id1", "apps.apple.com"),
        ("https://itunes.apple.com/x", "itunes.apple.com"),
        ("https://play.google.com/store/apps/details?id=x", "play.google.com"),
        ("https://chromewebstore.google.com/detail/x", "chromewebstore.google.com"),
        ("https://chrome.google.com/webstore", "chrome.google.com"),
        ("https://addons.mozilla.org/x", "addons.mozilla.org"),
        ("https://apps.microsoft.com/x", "apps.microsoft.com"),
        ("https://www.microsoft.com/store/apps/x", "apps.microsoft.com"),
        ("https://microsoft.com/en-us/p/x/9N?y", "apps.microsoft.com"),
        ("https://github.com/alice/tool", "github.com"),
        ("https://gist.github.com/alice", "gist.github.com"),
        ("https://gitlab.com/a/b", "gitlab.com"),
        ("https://bitbucket.org/a/b", "bitbucket.org"),
        ("https://sourceforge.net/projects/x", "sourceforge.net"),
        ("https://sites.google.com/view/x", "sites.google.com"),
        ("https://alice.medium.com", "alice.medium.com"),
        ("https://www.facebook.com/alice", "facebook.com"),
        ("https://x.com/alice", "x.com"),
        ("https://alice.github.io/tool", "alice.github.io"),
        ("https://www.alice.github.io/tool", "alice.github.io"),
        ("https://github.io", "github.io"),
        ("https://shop.vercel.app", "shop.vercel.app"),
        ("https://alice.notion.site", "alice.notion.site"),
        ("https://bucket.s3.amazonaws.com", "bucket.s3.amazonaws.com"),
        ("https://gmail.com", "gmail.com"),
        ("https://outlook.com", "outlook.com"),
        ("https://yahoo.co.uk", "yahoo.co.uk"),
        ("https://co.uk", "co.uk"),
        ("https://com", "com"),
        ("http://localhost:3000", "localhost"),
        ("http://app.localhost", "app.localhost"),
        ("http://printer.local", "printer.local"),
        ("http://intranet/x", "intranet"),
        ("http://192.168.0.1:80", "192.168.0.1"),
        ("http://8.8.8.8", "8.8.8.8"),
        ("http://0x7f.1", "127.0.0.1"),
        ("http://2130706433", "127.0.0.1"),
        ("http://[2001:DB8::0:1]:8080/", "2001:db8::1"),
    ],
)
def test_a_shared_or_nameless_host_distinguishes_applications_but_is_no_company(url: str, place: str) -> None:
    assert company_domain(url) is None
    assert application_domain(url) == place
    assert not is_claimable(place)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "slack.com",
        "//slack.com",
        "ftp://slack.com",
        "javascript:alert(1)",
        "https:slack.com",
        "https://",
        "https:///slack.com",
        "https://user@",
        "https://:80",
        "https://a..b",
        "https://.slack.com",
        "https://-x.com",
        "https://slack.com:99999",
        "https://slack.com:port",
        "https://slack.com:-1",
        "https://slack.com:٨٠",
        "https://sla ck.com",
        "https://slack.com/a b",
        " https://slack.com",
        "https://slack.com\n",
        "https://slack.com\t",
        "https://sl%61ck.com",
        "https://evil.example\\@slack.com",
        "https://slack.com\\",
        'https://slack.com/"',
        "https://slack.com/<script>",
        "https://slack.com/\u202egnp",
        "https://slack.com/\ud800",
        "https://[::1",
        "https://[::1%25eth0]",
        "https://[slack.com]",
        "https://[::1]x",
        "https://256.1.1.1",
        "https://1.2.3.4.5",
        "https://a\u2100b.com",
        "https://" + "a" * 64 + ".com",
        "https://" + "a." * 200 + "com",
        "https://" + "ａ" * 5000 + ".com",
    ],
)
def test_what_no_browser_could_open_is_no_url(url: str) -> None:
    assert not valid_http_url(url)
    assert company_domain(url) is None
    assert application_domain(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://a.b",
        "https://example.com:443/a?b=c#d",
        "https://example.com:/",
        "https://example.com:65535",
        "https://example.com?x",
        "https://user:secret@example.com/",
        "https://fa.wikipedia.org/wiki/نمی‌شود",
        "https://en.wikipedia.org/wiki/C_(x)#{a|b}'~",
        "https://example.com/%zz",
    ],
)
def test_what_a_browser_opens_is_a_url(url: str) -> None:
    assert valid_http_url(url)


def test_a_user_name_that_hides_a_slash_is_survived() -> None:
    assert company_domain("https://a\u2100b@www.microsoft.com/") == "microsoft.com"


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("eve@slack.com", "slack.com"),
        (" Eve@SLACK.com. ", "slack.com"),
        ("eve@bücher.de", "xn--bcher-kva.de"),
        ('"a@b"@slack.com', "slack.com"),
        ("eve@gmail.com", "gmail.com"),
        ("eve@alice.github.io", "alice.github.io"),
        ("eve@mail.slack.com", None),
        ("eve@www.slack.com", None),
        ("eve@co.uk", None),
        ("eve@com", None),
        ("eve@localhost", None),
        ("eve@1.2.3.4", None),
        ("eve@[1.2.3.4]", None),
        ("eve@[::1]", None),
        ("eve@slack.com:80", None),
        ("eve@", None),
        ("@slack.com", None),
        ("slack.com", None),
        ("", None),
    ],
)
def test_an_address_is_at_exactly_a_registrable_domain(address: str, domain: str | None) -> None:
    assert email_domain(address) == domain


@pytest.mark.parametrize(
    "domain",
    [
        "gmail.com",
        "yahoo.fr",
        "gmx.at",
        "mailinator.com",
        "tempmail.com",
        "10minutemail.co.uk",
        "github.com",
        "alice.github.io",
        "co.uk",
        "localhost",
    ],
)
def test_where_anybody_can_have_a_page_or_mailbox_nobody_can_claim(domain: str) -> None:
    assert not is_claimable(domain)


@pytest.mark.parametrize("domain", ["Slack.com", "www.slack.com", "slack.com.", "bücher.de", "", "[::1]"])
def test_only_a_domain_in_its_one_spelling_can_be_claimed(domain: str) -> None:
    assert not is_claimable(domain)


HOSTS = st.text(st.sampled_from("aZ1.-_@:/[]%？。ａüß\u0430\u200d\u2100x"), max_size=40) | st.text(
    max_size=40
)


@given(HOSTS)
@example("xn--")
@example("xn--a.com")
@example("1.0x")
@example("a.0x")
@example("\u2100")
@example("[]")
def test_no_text_makes_these_raise_and_every_answer_is_its_own_answer(text: str) -> None:
    email_domain(text)
    is_claimable(text)
    host = canonical_host(text)
    if host is not None and ":" not in host:
        assert canonical_host(host) == host
    for url in (text, f"https://{text}", f"https://{text}@example.com/", f"https://www.microsoft.com/{text}"):
        company, application = company_domain(url), application_domain(url)
        assert valid_http_url(url) == (http_host(url) is not None) == (application is not None)
        if company is not None:
            assert company == application == company_domain(f"https://{company}")
            assert company.isascii()
            assert company == company.lower()
            assert is_claimable(company)
            assert email_domain(f"eve@{company}") == company
