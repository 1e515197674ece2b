"""Placeholders in texts of rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bugrelay.infra.text.direction import without_reordering

_PLACEHOLDER = re.compile(r"\{(key|title|status|actor)\}")
# Markdown markup (inside a word `_` is none), and what makes a line a list item or a heading underline.
_MARKDOWN = re.compile(r"[\\`*\[\]<>&~|!#]|(?<![^\W_])_|_(?![^\W_])|^[-+=]|^[0-9]{1,9}[.)]")


@dataclass(frozen=True)
class Placeholders:
    """The values of the placeholders."""

    key: str
    title: str
    status: str
    actor: str


def fill(text: str, placeholders: Placeholders, *, max_length: int) -> str:
    """The text with the placeholders replaced, as plain text, cut to `max_length` characters.

    One pass from left to right: inserted values are not expanded again.
    """
    return _filled(text, placeholders, without_reordering, max_length=max_length)


def fill_markdown(text: str, placeholders: Placeholders, *, max_length: int) -> str:
    """The same for Markdown: inserted values are escaped."""
    return _filled(text, placeholders, escaped, max_length=max_length)


def escaped(text: str) -> str:
    """One line of text escaped for Markdown."""
    return _MARKDOWN.sub(lambda sign: f"{sign[0][:-1]}\\{sign[0][-1]}", text)


def _filled(text: str, placeholders: Placeholders, written: Callable[[str], str], *, max_length: int) -> str:
    pieces: list[str] = []
    done = length = 0
    for found in _PLACEHOLDER.finditer(text):
        pieces += (text[done : found.start()], written(getattr(placeholders, found[1])))
        length += len(pieces[-2]) + len(pieces[-1])
        done = found.end()
        if length > max_length:
            break
    return "".join((*pieces, text[done:]))[:max_length]
