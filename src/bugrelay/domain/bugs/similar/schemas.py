"""Requests and responses for similar bugs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from bugrelay.domain.bugs.schemas import BugItem
from bugrelay.infra.validation import OneLine

MAX_CHARACTERS = 20_000  # more than a report may have, since text that is pasted may be cut later

DEFAULT_LIMIT = 5

Limit = Annotated[int, Meta(ge=1, le=20)]


class FindSimilar(Struct, kw_only=True):
    """`POST /bugs/similar`: a report that is being typed. An unknown application is ignored.

    Attributes:
        title: The title as typed so far.
        description: The description as typed so far.
        application_name: The name of the application.
        application_id: The application, if it is known; takes precedence over the name.
        limit: The maximum number of results; 5 by default.
    """

    title: Annotated[str, OneLine, Meta(min_length=1, max_length=MAX_CHARACTERS)]
    description: Annotated[str, Meta(max_length=MAX_CHARACTERS)] | None = None
    application_name: Annotated[str, OneLine, Meta(max_length=255)] | None = None
    application_id: UUID | None = None
    limit: Limit | None = DEFAULT_LIMIT


class SimilarQuery(Struct, kw_only=True):
    """`GET /bugs/{id}/similar`.

    Attributes:
        limit: The maximum number of results.
    """

    limit: Limit = DEFAULT_LIMIT


class Why(Struct):
    """Why a bug may be a duplicate.

    Attributes:
        words: The words that both have, as they were typed, heaviest first.
        same_application: Whether both are in the same application.
        title_similarity: The similarity of the titles, from 0 to 1.
    """

    words: list[str]
    same_application: bool
    title_similarity: float


class Via(Struct):
    """The merged bug whose words matched, if that is not the bug that is shown.

    Attributes:
        id: The merged bug's id.
        title: Its title.
    """

    id: UUID
    title: str


class SimilarBug(Struct):
    """A possible duplicate.

    Attributes:
        score: For sorting only; higher is more similar.
    """

    bug: BugItem
    score: float
    why: Why
    via: Via | None


class SimilarList(Struct):
    """Possible duplicates, likeliest first.

    Attributes:
        similar: The bugs.
    """

    similar: list[SimilarBug]
