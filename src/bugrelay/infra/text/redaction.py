"""Secrets taken out of what people and programs send: by the names of values, and by how secrets look.

In place of each stands `[redacted:kind]`, which a second pass leaves alone. Time is linear in the size. What cannot
be known is left: a password in a sentence, a secret of a shape that nobody has described.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from bugrelay.infra.text.secret_assignments import redact_assignments
from bugrelay.infra.text.secret_keys import secret_kind
from bugrelay.infra.text.secret_values import is_card_number, may_have_shapes, redact_shapes, unbroken


class Redaction(Struct, frozen=True):
    """What was taken out at a place.

    Attributes:
        path: Where: names joined by dots, `[]` for every element of a list. Empty for a text of its own.
        kind: What: `password`, `token`, `email` …, as in `[redacted:kind]`.
        count: How often.
    """

    path: str
    kind: str
    count: int


_MAX_DEPTH: Final = 64
# JSON in a string in JSON in a string: further inside it is read as text. Each level reads what it holds once more.
_MAX_EMBEDDED: Final = 3
_MAX_NAME_LENGTH: Final = 60
_MAX_PATH_LENGTH: Final = 300
_MAX_PLACES: Final = 1000


def redact_text(text: str) -> tuple[str, list[Redaction]]:
    """Return the text without the secrets in it, and what they were."""
    redactor = _Redactor()
    redacted = redactor.text(text, path="", embedded=0)
    return redacted, redactor.redactions()


def redact_value(value: Any, *, path: str = "") -> tuple[Any, list[Redaction]]:
    """Return a value as JSON has it (mappings, lists, strings, numbers) without secrets, and what they were.

    `path` is where it stands: it begins the paths that are returned, and is not judged as a name itself. What is nested
    deeper than 64 levels is `[redacted:depth]`.
    """
    redactor = _Redactor()
    redacted = redactor.value(value, path=path, depth=0, embedded=0)
    return redacted, redactor.redactions()


class _Redactor:
    """One pass, which counts what it takes out."""

    def __init__(self) -> None:
        self.found: Counter[tuple[str, str]] = Counter()

    def redactions(self) -> list[Redaction]:
        return [Redaction(path, kind, count) for (path, kind), count in self.found.items()]

    def value(self, value: Any, *, path: str, depth: int, embedded: int) -> Any:
        if isinstance(value, str):
            return self.text(value, path=path, embedded=embedded)
        if isinstance(value, Mapping | list | tuple) and depth == _MAX_DEPTH:
            return self._take_out("depth", path)
        if isinstance(value, Mapping):
            return self._mapping(value, path=path, depth=depth + 1, embedded=embedded)
        if isinstance(value, list | tuple):
            return self._elements(value, path=path, depth=depth + 1, embedded=embedded)
        if isinstance(value, int | float) and is_card_number(value):
            return self._take_out("card", path)
        return value

    def _mapping(self, mapping: Mapping[Any, Any], *, path: str, depth: int, embedded: int) -> dict[str, Any]:
        labelled = _kind_of_label(mapping)
        redacted: dict[str, Any] = {}
        for key, value in mapping.items():
            name = self.text(str(key), path=path, embedded=_MAX_EMBEDDED)
            place = _joined(path, name)
            kind = secret_kind(str(key)) or (labelled if key == "text" or key in _LABELLED else None)
            redacted[_unused(name, redacted)] = (
                self._take_out(kind, place, value)
                if kind and _can_be_secret(value)
                else self.value(value, path=place, depth=depth, embedded=embedded)
            )
        return redacted

    def _elements(self, elements: Sequence[Any], *, path: str, depth: int, embedded: int) -> list[Any]:
        place = f"{path}[]"[:_MAX_PATH_LENGTH]
        return [
            self._pair(element, kind, path=place)
            if (kind := _kind_of_pair(element))
            else self.value(element, path=place, depth=depth, embedded=embedded)
            for element in elements
        ]

    def _pair(self, pair: Sequence[Any], kind: str, *, path: str) -> list[str]:
        name = self.text(pair[0], path=path, embedded=_MAX_EMBEDDED)
        return [name, self._take_out(kind, _joined(path, name), pair[1])]

    def text(self, text: str, *, path: str, embedded: int) -> str:
        if embedded == _MAX_EMBEDDED:
            return self._plain_text(text, path=path)
        if _JSON.match(text):
            return self._plain_text(self._json(text, path=path, embedded=embedded + 1), path=path)
        if _ENCODED_SIGN.search(text):
            return self._decoded(text, path=path, embedded=embedded + 1)
        return self._plain_text(text, path=path)

    def _json(self, text: str, *, path: str, embedded: int) -> str:
        """Redact JSON in a string as what it says. It is written anew only if there was a secret in it."""
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return text
        inside = _Redactor()
        redacted = inside.value(value, path=path, depth=0, embedded=embedded)
        self._add(inside.found)
        return msgspec.json.encode(redacted).decode() if inside.found else text

    def _decoded(self, text: str, *, path: str, embedded: int) -> str:
        """Redact a text with percent-encoded signs as what it says: it stays decoded if more secrets are found so."""
        as_sent, decoded = _Redactor(), _Redactor()
        texts = (
            as_sent._plain_text(text, path=path),
            decoded.text(_with_signs(text), path=path, embedded=embedded),
        )
        says_more = decoded.found.total() > as_sent.found.total()
        self._add((as_sent, decoded)[says_more].found)
        return texts[says_more]

    def _plain_text(self, text: str, *, path: str) -> str:
        may_be_assigned = ":" in text or "=" in text
        if not may_be_assigned and not may_have_shapes(text):
            return text
        text = unbroken(text)
        kinds: list[str] = []

        def placeholder(kind: str) -> str:
            kinds.append(kind)
            return f"[redacted:{kind}]"

        if may_be_assigned:
            text = redact_assignments(text, placeholder)
        if may_have_shapes(text):
            text = redact_shapes(text, placeholder)
        if kinds:
            self._add({(path, kind): count for kind, count in Counter(kinds).items()})
        return text

    def _take_out(self, kind: str, path: str, value: Any = None) -> str:
        """Return what stands in the place of a value, which is counted unless it is a placeholder already."""
        if isinstance(value, str) and value.startswith("[redacted:"):
            return value
        self._add({(path, kind): 1})
        return f"[redacted:{kind}]"

    def _add(self, found: Mapping[tuple[str, str], int]) -> None:
        """Count secrets; those beyond a thousand places as of one place: paths are sent by somebody."""
        for (path, kind), count in found.items():
            place = path, kind
            self.found[place if place in self.found or len(self.found) < _MAX_PLACES else ("…", kind)] += (
                count
            )


def _can_be_secret(value: Any) -> bool:
    """Say whether there is anything in it: yes, no, nothing and emptiness tell no secret."""
    return not isinstance(value, bool) and value not in (None, "", [], {}, ())


def _kind_of_label(mapping: Mapping[Any, Any]) -> str | None:
    """Return what `value` is by what stands beside it, as HAR has headers: `{"name": "Cookie", "value": …}`."""
    if _LABELLED.isdisjoint(mapping) and not _is_typing(mapping):
        return None
    labels = (mapping.get(field) for field in _LABELS)
    return next((kind for label in labels if isinstance(label, str) and (kind := _kind_of_name(label))), None)


def _is_typing(mapping: Mapping[Any, Any]) -> bool:
    """Say whether it records that somebody typed `text`, rather than that they clicked on it."""
    return "text" in mapping and any(mapping.get(field) in _TYPING for field in ("type", "action", "event"))


def _kind_of_pair(element: Any) -> str | None:
    """Return what the second of two is, by the first: headers are often a list of such pairs."""
    match element:
        case [str(name), str() | int() | float() as value] if _can_be_secret(value):
            return _kind_of_name(name)
    return None


def _kind_of_name(text: str) -> str | None:
    return secret_kind(text) if len(text) <= _MAX_NAME_LENGTH and " " not in text else None


def _with_signs(text: str) -> str:
    """Return the text with the signs decoded that are percent-encoded in it, once."""
    for sign in _SIGNS + "%":
        text = text.replace(f"%{ord(sign):02X}", sign).replace(f"%{ord(sign):02x}", sign)
    return text


def _joined(path: str, name: str) -> str:
    """Return the path of what has this name, cut: both are sent by somebody."""
    short = name[:_MAX_NAME_LENGTH]
    return (f"{path}.{short}" if path else short)[:_MAX_PATH_LENGTH]


def _unused(name: str, names: Mapping[str, Any]) -> str:
    """Return a name for one more: two may be the same without their secrets."""
    return name if name not in names else f"{name} {len(names)}"


_JSON: Final = re.compile(r"\s*+[\[{\"]")
# Signs that end names and values. Others stay as they are in values, which are taken out whole.
_SIGNS: Final = ":=&?#;,/@\"'{}[]\\ \n"
_ENCODED_SIGN: Final = re.compile(
    "%(?:25|" + "|".join(f"{ord(sign):02x}" for sign in _SIGNS) + ")", re.IGNORECASE
)
_LABELS: Final = (
    *("name", "key", "header", "field", "id", "type", "label", "selector", "target", "attribute", "element"),
    *("inputType", "input_type", "autocomplete", "Name", "Key", "Header"),
)
_TYPING: Final = ("input", "change", "type", "fill", "paste", "keydown", "keypress", "keyup")
_LABELLED: Final = frozenset({"value", "values", "val", "newValue", "oldValue", "Value", "Values"})
