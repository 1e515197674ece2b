"""Structs of links and previews: rows, arguments and results of use cases."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from bugrelay.domain.links.events import Kind
from bugrelay.infra.db.query import Row
from bugrelay.infra.text.redaction import Redaction


class ReportExcerpt(Struct, kw_only=True, frozen=True):
    """The parts of a support report that may become public.

    Attributes:
        steps: The steps to reproduce.
        operating_system: The operating system, as the browser reports it.
        device_type: The device, as the browser reports it.
        app_version: The version of the product.
        browser_version: The browser and its version.
        screenshots: The names of screenshots that may be published.
    """

    steps: str | None = None
    operating_system: str | None = None
    device_type: str | None = None
    app_version: str | None = None
    browser_version: str | None = None
    screenshots: tuple[str, ...] = ()


class PublicBug(Struct, kw_only=True, frozen=True):
    """A ticket as a public bug: redacted, without a reporter."""

    title: str
    description: str
    priority: str
    tags: list[str]
    operating_system: str | None = None
    device_type: str | None = None
    app_version: str | None = None
    browser_version: str | None = None


class Warn(Struct, kw_only=True, frozen=True):
    """A warning before publication.

    Attributes:
        code: A code for programs.
        message: A sentence for people.
        bug_id: The public bug that the warning is about, if any.
    """

    code: str
    message: str
    bug_id: UUID | None = None


class Preview(Struct, kw_only=True, frozen=True):
    """A preview of the public bug that a ticket would become.

    Attributes:
        bug: The public bug.
        redactions: What was redacted.
        warnings: What should be checked before publication.
        screenshots: The screenshots that may be published.
        token: Proves that this preview was seen; valid until the ticket changes.
    """

    bug: PublicBug
    redactions: list[Redaction]
    warnings: list[Warn]
    screenshots: list[str]
    token: str


class LockedBug(Row):
    """A bug of the board, locked in order to link it."""

    id: UUID
    assigned_company_id: UUID | None


class LinkState(Row):
    """A link of a ticket; `survivor_id` is the survivor of its bug, None where that is removed."""

    bug_id: UUID
    survivor_id: UUID | None
    kind: Kind
    carry_status: bool


class NamedScreenshot(Row):
    """A screenshot of a report: its public name, and its storage key."""

    name: str
    storage_key: str


class LinkedTicket(Row):
    """A ticket that is linked to a bug."""

    company_id: UUID
    ticket_id: UUID


class CarryingLink(Row):
    """A bug that a ticket's status is carried over to, and the scheme of the ticket."""

    bug_id: UUID
    scheme: str
