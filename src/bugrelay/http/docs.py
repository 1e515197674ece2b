"""`/docs`: the OpenAPI document, and Swagger UI, whose files are served from its package, not from the internet."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from litestar import Controller, Response, get

from bugrelay.errors import RouteNotFound
from bugrelay.http.encoding import accepts_gzip, weak_etag
from bugrelay.http.request import ApiRequest
from bugrelay.http.routes import Route, anyone

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "application/javascript",
    "swagger-ui-standalone-preset.js": "application/javascript",
    "start.js": "application/javascript",
}
_START = """window.ui = SwaggerUIBundle({url: "/docs/openapi.json", dom_id: "#ui", deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis], tryItOutEnabled: true, persistAuthorization: false});
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>BugRelay API</title><link rel="stylesheet" href="/docs/assets/swagger-ui.css"></head>
<body><div id="ui"></div><script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script></body></html>
"""
_CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


@dataclass(frozen=True)
class _Asset:
    """A file, plain and compressed; it does not change while the process runs."""

    content: bytes
    gzipped: bytes
    etag: str


@lru_cache
def _asset(name: str) -> _Asset:
    """The asset, compressed at first use; that takes a tenth of a second for the largest, so call this in a thread."""
    content = _START.encode() if name == "start.js" else _packaged(name)
    return _Asset(content, gzip.compress(content, mtime=0), weak_etag(content).decode())


def _packaged(name: str) -> bytes:
    spec = find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise RouteNotFound
    return (Path(spec.origin).parent / "static" / name).read_bytes()


class DocsController(Controller):
    path = "/docs"
    include_in_schema = False

    @get("/")
    @Route(access=anyone())
    async def get_page(self) -> Response[str]:
        return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": _CSP})

    @get("/openapi.json")
    @Route(access=anyone())
    async def get_document(self, request: ApiRequest) -> Response[bytes]:
        return Response(request.app.state.openapi(), media_type="application/vnd.oai.openapi+json")

    @get("/assets/{name:str}")
    @Route(access=anyone())
    async def get_asset(self, request: ApiRequest, name: str) -> Response[bytes]:
        if name not in ASSETS:
            raise RouteNotFound
        asset = await asyncio.to_thread(_asset, name)
        headers = {"ETag": asset.etag}
        content = asset.content
        if accepts_gzip(request.headers.get("Accept-Encoding", "").encode("latin-1")):
            content = asset.gzipped
            headers["Content-Encoding"] = "gzip"
        return Response(content, media_type=ASSETS[name], headers=headers)
