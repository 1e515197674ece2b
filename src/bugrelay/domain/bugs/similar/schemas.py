"""What is asked of similar bugs over the wire, and what is answered."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from bugrelay.domain.bugs.schemas import BugItem
from bugrelay.infra.validation import OneLine

MAX_CHARACTERS = (
    20_000  # more than a report may have: what is pasted first and cut later is looked at as well
)

Limit = Annotated[int, Meta(ge=1, le=20)]


class FindSimilar(Struct, kw_only=True):
    """`POST /bugs/similar`: what somebody has typed so far. An application that nobody knows changes nothing."""

    title: Annotated[str, OneLine, Meta(min_length=1, max_length=MAX_CHARACTERS)]
    description: Annotated[str, Meta(max_length=MAX_CHARACTERS)] | None = None
    application_name: Annotated[str, OneLine, Meta(max_length=255)] | None = None
    application_id: UUID | None = None
    limit: Limit = 5


class SimilarQuery(Struct, kw_only=True):
    """`GET /bugs/{id}/similar`."""

    limit: Limit = 5


class Why(Struct):
    """`words` as they were typed, the heaviest first; `title_similarity` from 0 to 1."""

    words: list[str]
    same_application: bool
    title_similarity: float


class Via(Struct):
    """The bug that was merged into the one that is shown, and whose words matched."""

    id: UUID
    title: str


class SimilarBug(Struct):
    """`score` is for the order alone."""

    bug: BugItem
    score: float
    why: Why
    via: Via | None


class SimilarList(Struct):
    similar: list[SimilarBug]
