"""Texts of rules, in which four words in braces stand for something of the ticket, and nothing else does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bugrelay.infra.text.direction import without_reordering

_PLACEHOLDER = re.compile(r"\{(key|title|status|actor)\}")
# Signs of Markdown (inside a word, `_` is none), and those that make a list, or a rule under a line, of one that they
# begin.
_MARKDOWN = re.compile(r"[\\`*\[\]<>&~|!#]|(?<![^\W_])_|_(?![^\W_])|^[-+=]|^[0-9]{1,9}[.)]")


@dataclass(frozen=True)
class Words:
    """What the words stand for."""

    key: str
    title: str
    status: str
    actor: str


def fill(text: str, words: Words, *, max_length: int) -> str:
    """The text with the words filled in, to be read as plain text; what is over the length is cut off.

    It is read once from left to right: what is filled in is not looked through again.
    """
    return _filled(text, words, without_reordering, max_length=max_length)


def fill_markdown(text: str, words: Words, *, max_length: int) -> str:
    """The same in Markdown, where what is filled in is read as it was typed and is no markup."""
    return _filled(text, words, escaped, max_length=max_length)


def escaped(text: str) -> str:
    """One line as Markdown that shows it as it is: a backslash before what would be a sign."""
    return _MARKDOWN.sub(lambda sign: f"{sign[0][:-1]}\\{sign[0][-1]}", text)


def _filled(text: str, words: Words, written: Callable[[str], str], *, max_length: int) -> str:
    pieces: list[str] = []
    done = length = 0
    for found in _PLACEHOLDER.finditer(text):
        pieces += (text[done : found.start()], written(getattr(words, found[1])))
        length += len(pieces[-2]) + len(pieces[-1])
        done = found.end()
        if length > max_length:
            break
    return "".join((*pieces, text[done:]))[:max_length]
