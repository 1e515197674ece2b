"""Server-rendered pages: few, plain, without scripts, never cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response

from bugrelay.errors import BugRelayError
from bugrelay.http.request import ApiRequest

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), undefined=StrictUndefined, autoescape=True
)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the address has a token
    "Cache-Control": "no-store",
}


def page(
    request: ApiRequest, template: str, *, error: BugRelayError | None = None, **facts: Any
) -> Response[str]:
    """A page from `templates/<template>.html`, with the status and headers of the error if there is one."""
    facts["site_name"] = request.platform.settings.site_name
    html = _templates.get_template(f"{template}.html").render(facts)
    headers = {**_HEADERS, **(error.headers if error else {})}
    return Response(html, status_code=error.status if error else 200, media_type="text/html", headers=headers)


def wants_page(request: ApiRequest) -> bool:
    """Whether the client is a browser that accepts HTML, not a client of the API."""
    return "text/html" in request.headers.get("accept", "")
