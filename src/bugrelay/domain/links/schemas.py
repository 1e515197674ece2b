"""What is read of links and previews, and what their use cases take."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from bugrelay.domain.links.events import Kind
from bugrelay.infra.db.query import Row
from bugrelay.infra.text.redaction import Redaction


class Reported(Struct, kw_only=True, frozen=True):
    """What its report adds to a ticket, as far as any of it may become public.

    Attributes:
        steps: How it comes about.
        operating_system: What the browser says that it runs on.
        device_type: What it says of the device.
        app_version: Of the product that was reported from.
        browser_version: The browser and its version.
        screenshots: What the pictures are called that may be published.
    """

    steps: str | None = None
    operating_system: str | None = None
    device_type: str | None = None
    app_version: str | None = None
    browser_version: str | None = None
    screenshots: tuple[str, ...] = ()


class PublicBug(Struct, kw_only=True, frozen=True):
    """What the public reads of a ticket: redacted, and of nobody."""

    title: str
    description: str
    priority: str
    tags: list[str]
    operating_system: str | None = None
    device_type: str | None = None
    app_version: str | None = None
    browser_version: str | None = None


class Warn(Struct, kw_only=True, frozen=True):
    """What somebody should look at before they publish.

    Attributes:
        code: For programs.
        message: For people.
        bug_id: The public bug that it is about.
    """

    code: str
    message: str
    bug_id: UUID | None = None


class Preview(Struct, kw_only=True, frozen=True):
    """What a ticket would be as a public bug.

    Attributes:
        bug: What the public would read.
        redactions: What was taken out of it.
        warnings: What should be looked at before.
        screenshots: Those of the ticket that may be named for publication.
        token: Says that this was seen; it holds until the ticket changes.
    """

    bug: PublicBug
    redactions: list[Redaction]
    warnings: list[Warn]
    screenshots: list[str]
    token: str


class SharedBug(Row):
    """A bug of the board that a link is about to be tied to."""

    id: UUID
    assigned_company_id: UUID | None


class LinkState(Row):
    """A link of a ticket; `survivor_id` is the bug that its bug lives on as, None where that is removed."""

    bug_id: UUID
    survivor_id: UUID | None
    kind: Kind
    carry_status: bool


class NamedScreenshot(Row):
    """A picture of a report: what it is called, and where it is."""

    name: str
    storage_key: str


class LinkedTicket(Row):
    """A ticket that is tied to a bug."""

    company_id: UUID
    ticket_id: UUID


class CarryingLink(Row):
    """A bug that the status of a ticket is to be carried to, and the scheme of the ticket."""

    bug_id: UUID
    scheme: str
