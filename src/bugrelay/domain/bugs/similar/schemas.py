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
    """`POST /bugs/similar`: what somebody has typed so far. An application that nobody knows changes nothing.

    Attributes:
        title: What is typed as the title so far.
        description: What is typed as the description so far.
        application_name: The name of the application.
        application_id: The application, where it is known; it counts before the name.
        limit: How many to find at most.
    """

    title: Annotated[str, OneLine, Meta(min_length=1, max_length=MAX_CHARACTERS)]
    description: Annotated[str, Meta(max_length=MAX_CHARACTERS)] | None = None
    application_name: Annotated[str, OneLine, Meta(max_length=255)] | None = None
    application_id: UUID | None = None
    limit: Limit = 5


class SimilarQuery(Struct, kw_only=True):
    """`GET /bugs/{id}/similar`.

    Attributes:
        limit: How many to find at most.
    """

    limit: Limit = 5


class Why(Struct):
    """Why a bug may be the same.

    Attributes:
        words: The words that both have, as they were typed, the heaviest first.
        same_application: Whether both are in one application.
        title_similarity: How alike the titles are, from 0 to 1.
    """

    words: list[str]
    same_application: bool
    title_similarity: float


class Via(Struct):
    """The bug that was merged into the one that is shown, and whose words matched.

    Attributes:
        id: The merged bug's id.
        title: Its title.
    """

    id: UUID
    title: str


class SimilarBug(Struct):
    """A bug that may be the same.

    Attributes:
        score: For the order alone; the higher, the more alike.
    """

    bug: BugItem
    score: float
    why: Why
    via: Via | None


class SimilarList(Struct):
    """Bugs that may be the same, the likeliest first.

    Attributes:
        similar: The bugs.
    """

    similar: list[SimilarBug]
