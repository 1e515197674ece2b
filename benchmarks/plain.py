"""The upper limit: a bare Litestar handler that returns constant bytes, on the HTTP server that BugRelay uses."""

from __future__ import annotations

import os
from pathlib import Path

from litestar import Litestar, MediaType, Response, get

BODIES = Path(os.environ["PLAIN_BODIES"])  # a folder with BugRelay's responses
LIST = (BODIES / "list.json").read_bytes()
DETAIL = (BODIES / "detail.json").read_bytes()


@get("/health")
async def health() -> Response[bytes]:
    return Response(b"{}", media_type=MediaType.JSON)


@get("/api/v1/bugs")
async def list_bugs() -> Response[bytes]:
    return Response(LIST, media_type=MediaType.JSON)


@get("/api/v1/bugs/{bug_id:str}")
async def show(bug_id: str) -> Response[bytes]:  # noqa: ARG001 - the path is routed as BugRelay's is
    return Response(DETAIL, media_type=MediaType.JSON)


app = Litestar([health, list_bugs, show], openapi_config=None, logging_config=None)
