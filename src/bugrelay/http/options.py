"""OPTIONS, with every method of a path.

Litestar's own handler lacks the methods of the last handler that was registered for the path.
"""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, Response


def allowed_methods(app: Litestar) -> dict[str, str]:
    """The value of `Allow` for each path, by its template; HEAD is allowed wherever GET is."""
    return {route.path_format: _allow(set(route.methods)) for route in app.routes}


def _allow(methods: set[str]) -> str:
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def answer_options(request: Request[Any, Any, Any]) -> Response[None]:
    """The response to OPTIONS, which anyone may ask: it reveals nothing."""
    allow: str = request.app.state.allowed_methods[request.scope["path_template"]]
    return Response(None, status_code=204, headers={"Allow": allow}, media_type="text/plain")
