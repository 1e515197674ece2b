"""What is asked of feeds, and what they hold."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from msgspec import Meta, Struct
from msgspec.structs import asdict

from bugrelay.domain.bugs.schemas import Priority, Status, WantedTags
from bugrelay.infra.db.query import Row
from bugrelay.infra.validation import OneLine


class FeedQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """`GET /feeds/bugs.atom`: the filters of the list. A misspelt one would subscribe to all bugs, so it is refused.

    Attributes:
        search: Words that title, description or application must have, all of them.
        status: Bugs with this status.
        priority: Bugs with this priority.
        tags: Bugs that have all of these tags, separated by commas.
        application: A part of the application's name.
        company: A part of the company's name or domain.
        application_id: Bugs of this application.
        company_id: Bugs that are assigned to this company.
        reporter_id: Bugs that this user reported.
    """

    search: Annotated[str, OneLine, Meta(max_length=500)] | None = None
    status: Status | None = None
    priority: Priority | None = None
    tags: WantedTags | None = None
    application: Annotated[str, OneLine, Meta(max_length=255)] | None = None
    company: Annotated[str, OneLine, Meta(max_length=255)] | None = None
    application_id: UUID | None = None
    company_id: UUID | None = None
    reporter_id: UUID | None = None

    @property
    def wanted(self) -> dict[str, str]:
        """The filters that are set, always in the same order."""
        return {name: str(value) for name, value in asdict(self).items() if value is not None}

    @property
    def query_string(self) -> str:
        """One text for all spellings of a query."""
        return urlencode(self.wanted)


class BugFeedQuery(Struct, forbid_unknown_fields=True):
    """`GET /feeds/bugs/{id}.atom`: no parameter. One that is ignored would be taken for a filter."""


class FeedTag(Row):
    """What the ids of this board's feeds begin with."""

    authority: str
    since: date

    def __call__(self, specific: str) -> str:
        """The id of something of ours (RFC 4151).

        Args:
            specific: What it is called within the board; characters of a URI.
        """
        return f"tag:{self.authority},{self.since.isoformat()}:{specific}"
