"""`/api/v1/bugs/similar` and `/api/v1/bugs/{id}/similar`: possible duplicates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Controller, Response, get, post
from litestar.params import JSONBody

from bugrelay.api.v1.examples import bugs
from bugrelay.api.v1.guards.bugs import load_visible_bug
from bugrelay.domain.bugs.schemas import BugState
from bugrelay.domain.bugs.similar.schemas import FindSimilar, SimilarList, SimilarQuery
from bugrelay.domain.bugs.similar.service import similar_to_bug, similar_to_text
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, anyone
from bugrelay.infra.db.database import Connection
from bugrelay.infra.viewer import Viewer


class SimilarController(Controller):
    path = "/api/v1/bugs"
    tags = ("Bugs",)

    @post("/similar", status_code=200)
    @Route(access=anyone(), limits=("similar",), example=bugs.SIMILAR)
    async def find_similar(
        self, request: ApiRequest, viewer: Viewer, data: JSONBody[FindSimilar]
    ) -> Response[SimilarList]:
        """Find possible duplicates of a report that is being typed. Nothing of it is stored."""
        threads = request.platform.computing
        return await _similar(request, viewer, lambda reader: similar_to_text(reader, threads, data))

    @get("/{bug_id:str}/similar")
    @Route(
        access=anyone(),
        limits=("similar",),
        loads=load_visible_bug,
        query=SimilarQuery,
        example=bugs.SIMILAR_TO,
    )
    async def list_similar_bugs(
        self, request: ApiRequest, viewer: Viewer, bug: BugState, query: SimilarQuery
    ) -> Response[SimilarList]:
        """List possible duplicates of this bug."""
        threads = request.platform.computing
        return await _similar(
            request, viewer, lambda reader: similar_to_bug(reader, threads, bug.id, limit=query.limit)
        )


async def _similar(
    request: ApiRequest, viewer: Viewer, find: Callable[[Connection], Awaitable[SimilarList]]
) -> Response[Any]:
    """Signed-in users read the primary, so that they find what they have just reported."""
    database = request.platform.database
    if viewer.signed_in:
        async with database.reading() as reader:
            return json_response(await find(reader))
    return json_response(await database.read_preferring_replica(lambda reader, _: find(reader)))
