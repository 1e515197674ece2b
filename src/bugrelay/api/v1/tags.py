"""`/api/v1/tags`."""

from __future__ import annotations

from litestar import Controller, Response, get

from bugrelay.api.v1.responses.bugs import TagList
from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.schemas import TagQuery
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, anyone
from bugrelay.infra.pagination import Pagination


class TagController(Controller):
    path = "/api/v1/tags"
    tags = ("Bugs",)

    @get("/")
    @Route(access=anyone(), query=TagQuery)
    async def list_tags(self, request: ApiRequest, query: TagQuery) -> Response[TagList]:
        """List the tags in use, most used first."""
        found, total = await repository.list_tags(request.platform.database, query)
        return json_response(TagList(found, Pagination.of(query, total)))
