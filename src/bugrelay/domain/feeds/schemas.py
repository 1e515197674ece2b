"""Queries of feeds, and the tag of their ids."""

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
    """`GET /feeds/bugs.atom`: the filters of the list. Unknown ones are refused: a typo would subscribe to all bugs.

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
        """The filters that are set, in the order of the fields."""
        return {name: str(value) for name, value in asdict(self).items() if value is not None}

    @property
    def query_string(self) -> str:
        """The canonical form of the query."""
        return urlencode(self.wanted)


class BugFeedQuery(Struct, forbid_unknown_fields=True):
    """`GET /feeds/bugs/{id}.atom`: no parameters. An ignored one could be taken for a filter."""


class FeedTag(Row):
    """The beginning of the ids in this board's feeds: an authority and a date (RFC 4151)."""

    authority: str
    since: date

    def __call__(self, specific: str) -> str:
        """The `tag:` URI of a feed or an entry.

        Args:
            specific: Its name within the board, in characters of a URI.
        """
        return f"tag:{self.authority},{self.since.isoformat()}:{specific}"
