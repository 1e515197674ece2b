"""Previews: the public bug that a ticket would become, redacted, with a signed token."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, Protocol
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from bugrelay.domain.bugs.similar.schemas import FindSimilar, SimilarBug
from bugrelay.domain.bugs.similar.service import similar_to_text
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.links import repository
from bugrelay.domain.links.schemas import Preview, PublicBug, ReportExcerpt, Warn
from bugrelay.domain.tickets.errors import TicketNotFound
from bugrelay.domain.tickets.repository.tickets import find_ticket
from bugrelay.domain.tickets.schemas import TicketUser
from bugrelay.infra.db.database import Connection
from bugrelay.infra.security.signed_links import signed_values
from bugrelay.infra.text.redaction import Redaction, redact_text
from bugrelay.infra.threads import BoundedThreads

MIN_TITLE, MAX_TITLE = 5, 255
MIN_DESCRIPTION, MAX_DESCRIPTION = 10, 5000
"""Characters, as of every report on the board."""
_MAX_FIELD: Final = 100
_MIN_NAME: Final = 3  # characters of a name; shorter ones are part of many words
_SIMILAR: Final = 3
_ELLIPSIS: Final = " …"
_FIELDS: Final = ("operating_system", "device_type", "app_version", "browser_version")


class Publishable(Protocol):
    """The parts of a ticket that may become public."""

    @property
    def id(self) -> UUID: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def priority(self) -> str: ...
    @property
    def tags(self) -> list[str]: ...
    @property
    def version(self) -> int: ...


class Redacted(Struct, frozen=True):
    """The public bug, its redactions, and whether its description was cut."""

    bug: PublicBug
    redactions: list[Redaction]
    is_cut: bool


def redacted(ticket: Publishable, excerpt: ReportExcerpt) -> Redacted:
    """Title, description, steps, priority, tags and application fields; nothing else is ever published."""
    texts: dict[str, str] = {
        name: text
        for name, text in (
            ("title", ticket.title),
            ("description", ticket.description),
            ("steps", excerpt.steps),
            *((name, getattr(excerpt, name)) for name in _FIELDS),
        )
        if text
    }
    found: list[Redaction] = []
    clean = {name: _redacted(text, name, found) for name, text in texts.items()}
    tags = [tag for tag in ticket.tags if _redacted(tag, "tags", found) == tag]
    description = _with_steps(clean.get("description", ""), clean.get("steps"))
    bug = PublicBug(
        title=_cut(clean["title"], MAX_TITLE),
        description=_cut(description, MAX_DESCRIPTION),
        priority=ticket.priority,
        tags=tags,
        **{name: _cut(clean[name], _MAX_FIELD) for name in _FIELDS if name in clean},
    )
    return Redacted(bug, found, is_cut=len(description) > MAX_DESCRIPTION)


def _redacted(text: str, name: str, found: list[Redaction]) -> str:
    clean, redactions = redact_text(text)
    found += [Redaction(".".join(filter(None, (name, one.path))), one.kind, one.count) for one in redactions]
    return clean


def _with_steps(description: str, steps: str | None) -> str:
    parts = (description, f"## Steps to reproduce\n\n{steps}" if steps else "")
    return "\n\n".join(filter(None, parts))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - len(_ELLIPSIS)].rstrip() + _ELLIPSIS


async def preview(
    reader: Connection, threads: BoundedThreads, tenant: Tenant, *, ticket_id: UUID, key: str
) -> Preview:
    """Preview a ticket as a public bug; writes nothing.

    Args:
        reader: Reads the ticket, and similar bugs.
        threads: For the ranking of similar bugs.
        tenant: The company, and the user whom the token is for.
        ticket_id: The ticket.
        key: The signing key.

    Raises:
        TicketNotFound
    """
    ticket = await find_ticket(reader, tenant, ticket_id)
    if ticket is None:
        raise TicketNotFound
    excerpt = await repository.report_excerpt(reader, company_id=tenant.company_id, ticket_id=ticket_id)
    clean = redacted(ticket, excerpt)
    wanted = FindSimilar(title=clean.bug.title, description=clean.bug.description, limit=_SIMILAR)
    found = await similar_to_text(reader, threads, wanted)
    return Preview(
        bug=clean.bug,
        redactions=clean.redactions,
        warnings=[*_warnings(clean, ticket.reporter), *map(_duplicate_warning, found.similar)],
        screenshots=list(excerpt.screenshots),
        token=preview_token(tenant, ticket, clean.bug, key=key),
    )


def preview_token(tenant: Tenant, ticket: Publishable, bug: PublicBug, *, key: str) -> str:
    """A signature of what the user has seen of this version of the ticket."""
    digest = hashlib.sha256(msgspec.json.encode(asdict(bug))).hexdigest()
    values = (tenant.company_id, tenant.user_id, ticket.id, ticket.version, digest)
    return signed_values(key, purpose="publication", values=values)


def _warnings(clean: Redacted, reporter: TicketUser) -> Iterable[Warn]:
    bug = clean.bug
    if len(bug.title) < MIN_TITLE:
        yield Warn(
            code="TITLE_TOO_SHORT", message=f"A public title must have at least {MIN_TITLE} characters"
        )
    if len(bug.description) < MIN_DESCRIPTION:
        message = f"A public description must have at least {MIN_DESCRIPTION} characters"
        yield Warn(code="DESCRIPTION_TOO_SHORT", message=message)
    if clean.is_cut:
        message = f"The public description is cut after {MAX_DESCRIPTION} characters"
        yield Warn(code="DESCRIPTION_CUT", message=message)
    if clean.redactions:
        message = "Secrets in the texts were redacted; check for others, which cannot be recognised"
        yield Warn(code="SECRETS_FOUND", message=message)
    if _names(bug, reporter):
        yield Warn(code="REPORTER_NAMED", message="The texts contain the reporter's name")


def _names(bug: PublicBug, person: TicketUser) -> bool:
    text = f"{bug.title}\n{bug.description}".casefold()
    names = {name.casefold() for name in (person.username, person.name) if len(name) >= _MIN_NAME}
    return any(name in text for name in names)


def _duplicate_warning(found: SimilarBug) -> Warn:
    message = f"This public bug may be a duplicate: {found.bug.title}"
    return Warn(code="SIMILAR_BUG", message=message, bug_id=found.bug.id)
