"""OPTIONS: every method that a path has.

Litestar answers it too, but names only those that were known of the path when its handler was made, one registration
before the last.
"""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, Response


def allowed_methods(app: Litestar) -> dict[str, str]:
    """What `Allow` says of each path, by its template; HEAD is answered wherever GET is."""
    return {route.path_format: _allow(set(route.methods)) for route in app.routes}


def _allow(methods: set[str]) -> str:
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


async def answer_options(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Litestar's `before_request`: the answer to OPTIONS; None has any other request go on to its handler."""
    if request.method != "OPTIONS":
        return None
    allow: str = request.app.state.allowed_methods[request.scope["path_template"]]
    return Response(None, status_code=204, headers={"Allow": allow}, media_type="text/plain")
