"""The templates of mails: `<template>.txt`, whose first line is the subject, and `<template>.html`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from bugrelay.infra.text.direction import without_reordering

FOLDER = Path(__file__).parent / "templates"


class MailTemplates:
    """Renders templates with the facts of all mails and those of one."""

    def __init__(self, **facts: Any) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            undefined=StrictUndefined,
            autoescape=select_autoescape(["html"]),
            trim_blocks=True,
        )
        self._facts = facts

    def render(self, template: str, facts: dict[str, Any]) -> tuple[str, str, str]:
        """Returns subject, text and HTML."""
        subject, _, text = self._rendered(f"{template}.txt", facts).partition("\n")
        # The name of the site may contain line breaks or other control characters; a header must not.
        subject = without_reordering(" ".join(subject.split()))
        return subject, text.strip() + "\n", self._rendered(f"{template}.html", facts)

    def _rendered(self, name: str, facts: dict[str, Any]) -> str:
        return _encodable(self._environment.get_template(name).render(self._facts | facts))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
