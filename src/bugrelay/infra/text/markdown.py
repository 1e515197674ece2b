"""Markdown rendered to HTML that is safe to put into a page, by libraries that are loaded at the first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from bugrelay.infra.imports import Deferred

if TYPE_CHECKING:
    from bugrelay.infra.text import markdown_renderer
else:
    markdown_renderer = Deferred("bugrelay.infra.text.markdown_renderer")


class Rendered:
    """Marks HTML made by `render`: it is clean, so responses do not defuse it."""


RenderedHtml = Annotated[str, Rendered]


def render(source: str) -> str:
    """Return Markdown as clean HTML: HTML in the source is shown as text, images become links.

    So no browser fetches a picture from elsewhere when somebody reads a bug. Links have `nofollow noopener noreferrer
    ugc`. A source over 10,000 characters, or one that would render to too much, is shown as plain text. Never raises.
    """
    return markdown_renderer.rendered(source)
