"""The Atom writer (RFC 4287), with the standard library, which escapes texts exactly once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from bugrelay.http.encoding import weak_etag

MEDIA_TYPE = "application/atom+xml; charset=utf-8"
_NAMESPACE = "http://www.w3.org/2005/Atom"
# Characters that XML 1.0 does not allow, not even as a reference (section 2.2); one of them makes a feed invalid.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True)
class Link:
    """A `link` element.

    Attributes:
        rel: The relation, such as `self` or `alternate`.
        href: The URL.
        media_type: None if the target may be HTML: readers do not open links of other declared types.
    """

    rel: str
    href: str
    media_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of a feed.

    Attributes:
        id: A `tag:` URI.
        title: Plain text.
        html: Sanitised HTML.
        author: A public name.
        tags: Its categories.
    """

    id: str
    title: str
    html: str
    author: str
    published: datetime
    updated: datetime
    links: Sequence[Link]
    tags: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A feed, its newest entry first.

    Attributes:
        id: A `tag:` URI.
        title: Plain text.
        author: The name of the site.
        updated: A time that never goes back.
    """

    id: str
    title: str
    author: str
    updated: datetime
    links: Sequence[Link]
    entries: Sequence[Entry]


def atom(feed: Feed) -> bytes:
    """The feed as a document. `updated` is its first element, so that `atom_etag` can exclude it."""
    root = ET.Element("feed", xmlns=_NAMESPACE)
    _text(root, "updated", _moment(feed.updated))
    _text(root, "id", feed.id)
    _text(root, "title", feed.title)
    _person(root, feed.author)
    _add_links(root, feed.links)
    for entry in feed.entries:
        _add_entry(root, entry)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode").encode()


def atom_etag(document: bytes) -> bytes:
    """A weak ETag of the document without the feed's `updated`."""
    return weak_etag(document.partition(b"</updated>")[2])


def _add_entry(root: ET.Element, entry: Entry) -> None:
    element = ET.SubElement(root, "entry")
    _text(element, "id", entry.id)
    _text(element, "title", entry.title)
    _text(element, "published", _moment(entry.published))
    _text(element, "updated", _moment(entry.updated))
    _person(element, entry.author)
    for tag in entry.tags:
        ET.SubElement(element, "category", term=_allowed(tag))
    _add_links(element, entry.links)
    _text(element, "content", entry.html).set("type", "html")


def _add_links(parent: ET.Element, links: Iterable[Link]) -> None:
    for link in links:
        element = ET.SubElement(parent, "link", rel=link.rel, href=link.href)
        if link.media_type is not None:
            element.set("type", link.media_type)


def _person(parent: ET.Element, name: str) -> None:
    _text(ET.SubElement(parent, "author"), "name", name)


def _text(parent: ET.Element, name: str, text: str) -> ET.Element:
    element = ET.SubElement(parent, name)
    element.text = _allowed(text)
    return element


def _allowed(text: str) -> str:
    return _NOT_IN_XML.sub("", text)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
