"""Which domain a URL or an e-mail address belongs to, and whether that domain can stand for a company.

A company is its registrable domain by the public suffix list. A domain under which anybody can have a page or
a mailbox says nothing about who made an application, so it makes no company and cannot be claimed.
"""

from __future__ import annotations

import re
from functools import cache
from ipaddress import ip_address
from typing import Final

from publicsuffixlist import PublicSuffixList

from bugrelay.infra.text.urls import canonical_host, http_host


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names that are local to each network (RFC 6761, RFC 6762, RFC 9476 and ICANN's "internal").
_LOCAL_SUFFIXES: Final = frozenset({"alt", "internal", "invalid", "lan", "local", "localdomain", "localhost"})

# Suffixes in the private section of the list that are sold as a registry sells them: who buys a name owns it.
_SOLD_SUFFIXES: Final = _words(
    """
    ae.org africa.com br.com cn.com co.ca co.com co.nl co.no com.de com.se de.com eu.com gb.net hu.net
    in.net jp.net jpn.com mex.com radio.am radio.fm ru.com sa.com se.net uk.com uk.net us.com us.org za.bz
    za.com
    """
)

# Hosts, with all their subdomains, where anybody can have a page and that the private section does not have:
# app stores; code hosting and package indexes; pages and profiles; shared files and shortened links.
_SHARED_HOSTS: Final = _words(
    """
    addons.mozilla.org addons.opera.com apkpure.com apkmirror.com appgallery.huawei.com apps.apple.com
    apps.kde.org apps.microsoft.com apps.samsung.com apps.shopify.com appstream.snapcraft.io
    aur.archlinux.org beacons.ai bento.me chrome.google.com chromewebstore.google.com docs.google.com
    drive.google.com extensions.gnome.org f-droid.org flathub.org forms.gle galaxystore.samsung.com
    groups.google.com itunes.apple.com marketplace.atlassian.com marketplace.visualstudio.com
    microsoftedge.microsoft.com play.google.com plugins.jetbrains.com sites.google.com snapcraft.io
    store.epicgames.com store.steampowered.com steamcommunity.com testflight.apple.com

    bitbucket.org codeberg.org codepen.io codesandbox.io devpost.com devrant.com gitea.com
    gitee.com github.com gitlab.com glitch.com huggingface.co itch.io
    jsfiddle.net kaggle.com launchpad.net pkg.go.dev
    producthunt.com repl.it replit.com sourceforge.io sourceforge.net sr.ht
    stackblitz.com

    about.me behance.net blogger.com bsky.app deviantart.com discord.gg dribbble.com facebook.com
    fb.com gofundme.com gumroad.com indiegogo.com instagram.com kickstarter.com ko-fi.com
    linkedin.com linktr.ee livejournal.com mastodon.social medium.com patreon.com
    pinterest.com reddit.com soundcloud.com substack.com t.me telegram.me telegra.ph threads.com
    threads.net tiktok.com tumblr.com twitter.com vk.com wa.me weebly.com weibo.com wordpress.com x.com
    youtu.be youtube.com

    amzn.to bit.ly cutt.ly goo.gl is.gd mediafire.com mega.nz onedrive.live.com ow.ly pastebin.com
    rebrand.ly t.co t.ly tiny.cc tinyurl.com transfer.sh wetransfer.com
    """
)

# The store that is also served at its owner's own host, and the path segments that lead to it there.
_MICROSOFT_STORE: Final = "apps.microsoft.com"
_MICROSOFT_STORE_PATHS: Final = frozenset({"p", "store"})

# Domains under which anybody can have a mailbox: free mail and mail of access providers. Such a list is never
# complete; it has the common ones. Disposable mail has a maintained list of its own (`_disposable_domains`).
_MAIL_DOMAINS: Final = _words(
    """
    126.com 163.com 163.net 21cn.com 263.net aim.com alice.it aliyun.com aol.com aol.co.uk arcor.de
    att.net bell.net bellsouth.net bigpond.com bk.ru bluewin.ch bol.com.br btinternet.com centrum.cz
    charter.net comcast.net cox.net daum.net duck.com earthlink.net email.com email.cz fastmail.com
    fastmail.fm foxmail.com free.fr freemail.hu freenet.de gmail.com gmx.com gmx.net googlemail.com gmx.us
    hanmail.net hey.com hotmail.com hush.com hushmail.com i.ua icloud.com inbox.com inbox.lv inbox.ru
    iname.com interia.pl juno.com kakao.com laposte.net libero.it list.ru live.ca live.cn live.co.uk
    live.com live.com.au live.com.mx live.com.pt live.de live.dk live.fr live.ie live.in live.it live.jp
    live.nl live.no live.se lycos.com mac.com mail.bg mail.com mail.de mail.ee mail.ru mailbox.org
    mailfence.com mailo.com me.com mozmail.com msn.com naver.com neuf.fr netscape.net netzero.net
    ntlworld.com o2.pl onet.pl op.pl optonline.net optusnet.com.au orange.fr outlook.at outlook.be
    outlook.cl outlook.co.id outlook.co.th outlook.com outlook.com.ar outlook.com.au outlook.com.br
    outlook.com.tr outlook.com.vn outlook.cz outlook.de outlook.dk outlook.es outlook.fr outlook.hu
    outlook.ie outlook.in outlook.it outlook.jp outlook.kr outlook.lv outlook.my outlook.ph outlook.pt
    outlook.sa outlook.sg outlook.sk passport.com pm.me posteo.de posteo.net proton.me protonmail.ch
    protonmail.com qq.com rambler.ru rediffmail.com riseup.net rocketmail.com rogers.com runbox.com
    sapo.pt sbcglobal.net seznam.cz sfr.fr shaw.ca simplelogin.com sina.cn sina.com sky.com skynet.be
    sohu.com startmail.com sympatico.ca t-online.de talktalk.net telefonica.net telenet.be telus.net tempmail.com
    terra.com.br tiscali.it tuta.com tuta.io tutamail.com tutanota.com tutanota.de ukr.net uol.com.br
    usa.com verizon.net virgilio.it virginmedia.com vodafone.de volny.cz wanadoo.fr web.de windowslive.com
    wp.pl xtra.co.nz ya.ru yeah.net ymail.com zoho.com zohomail.com
    """
)
# Mail brands that use a domain in every country: yahoo.co.uk, hotmail.fr, gmx.at, yandex.kz.
_MAIL_BRANDS: Final = frozenset({"gmx", "googlemail", "hotmail", "yahoo", "yandex"})


def company_domain(url: str) -> str | None:
    """Return the registrable domain, as A-labels, of the company that a URL belongs to, or None.

    None is returned for anything but http and https URLs, and for IP addresses, local names, single labels, public
    suffixes, hosts where anybody can have a page, and mail domains. Never raises.
    """
    host = _host_of(url)
    return host and _company_of(host)


def application_domain(url: str) -> str | None:
    """Return the domain that identifies an application together with its name; None unless this is a web URL.

    It is the company's domain if there is one, otherwise the host without `www.`: `alice.github.io` and
    `apps.apple.com` distinguish applications without creating a company. Never raises.
    """
    host = _host_of(url)
    return host and (_company_of(host) or host.removeprefix("www."))


def email_domain(address: str) -> str | None:
    """Return the domain of an e-mail address, as A-labels, if it is exactly a registrable one (`slack.com`).

    A mailbox at a subdomain (`eve@mail.slack.com`) proves nothing about `slack.com`, so it gives None, as an invalid
    address does. Whether the domain may be claimed is decided by `is_claimable`. Never raises.
    """
    mailbox, _, domain = address.strip().rpartition("@")
    host = canonical_host(domain) if mailbox else None
    if host is None or _is_address(host) or _suffixes().privatesuffix(host) != host:
        return None
    return host


def is_claimable(domain: str) -> bool:
    """Whether a domain, in the form that `email_domain` and `company_domain` return, can be a company."""
    return canonical_host(domain) == domain and _company_of(domain) == domain


def _host_of(url: str) -> str | None:
    """Return the host of a URL; for the Microsoft Store at Microsoft's own host, the store's."""
    host = http_host(url)
    if host in {"microsoft.com", "www.microsoft.com"}:
        path = re.split(r"[?#]", url, maxsplit=1)[0].lower().split("/")[3:]
        return host if _MICROSOFT_STORE_PATHS.isdisjoint(path) else _MICROSOFT_STORE
    return host


def _company_of(host: str) -> str | None:
    if _is_address(host) or host.rpartition(".")[2] in _LOCAL_SUFFIXES or _is_shared(host):
        return None
    domain: str | None = _suffixes().privatesuffix(host)
    if domain is None or _is_hosted(domain) or _is_mail(domain):
        return None
    return domain


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_shared(host: str) -> bool:
    labels = host.split(".")
    return any(".".join(labels[start:]) in _SHARED_HOSTS for start in range(len(labels)))


def _is_hosted(domain: str) -> bool:
    """Whether a hosting service gives the name out (`alice.github.io`): its suffix is in the private section."""
    suffix = domain.partition(".")[2]
    return suffix not in _SOLD_SUFFIXES and _public_suffixes().publicsuffix(domain) != suffix


def _is_mail(domain: str) -> bool:
    return (
        domain in _MAIL_DOMAINS or domain in _disposable_domains() or domain.partition(".")[0] in _MAIL_BRANDS
    )


@cache
def _disposable_domains() -> frozenset[str]:
    """The list of the package, loaded at first use: it takes two megabytes, and a worker does not need it."""
    from disposable_email_domains import blocklist

    return frozenset(blocklist)


@cache
def _suffixes() -> PublicSuffixList:
    """Both sections of the package's list; cached, since parsing takes about 50 ms."""
    return PublicSuffixList()


@cache
def _public_suffixes() -> PublicSuffixList:
    """Only the section of the registries."""
    return PublicSuffixList(only_icann=True)
