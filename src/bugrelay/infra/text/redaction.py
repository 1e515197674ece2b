"""Redaction of secrets, by the names of values and by the shapes of secrets (docs/support.md#what-is-redacted).

Each is replaced by `[redacted:kind]`, which a second pass leaves unchanged. The time is linear in the size. What cannot
be recognised stays: a password in a sentence, a secret of an unknown shape.
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
    """What was redacted at one path.

    Attributes:
        path: Names joined by dots, `[]` for every element of a list. Empty for a plain text.
        kind: The kind of secret: `password`, `token`, `email` …, as in `[redacted:kind]`.
        count: The number of occurrences.
    """

    path: str
    kind: str
    count: int


_MAX_DEPTH: Final = 64
# JSON in a string in JSON in a string: deeper levels are read as text, since each level reads its content once more.
_MAX_EMBEDDED: Final = 3
_MAX_NAME_LENGTH: Final = 60
_MAX_PATH_LENGTH: Final = 300
_MAX_PATHS: Final = 1000


def redact_text(text: str) -> tuple[str, list[Redaction]]:
    """Return the text without secrets, and its redactions."""
    redactor = _Redactor()
    redacted = redactor.text(text, path="", embedded=0)
    return redacted, redactor.redactions()


def redact_value(value: Any, *, path: str = "") -> tuple[Any, list[Redaction]]:
    """Return a value of JSON (mappings, lists, strings, numbers) without secrets, and its redactions.

    `path` is the prefix of the returned paths, and is not judged as a name itself. What is nested deeper than 64 levels
    becomes `[redacted:depth]`.
    """
    redactor = _Redactor()
    redacted = redactor.value(value, path=path, depth=0, embedded=0)
    return redacted, redactor.redactions()


class _Redactor:
    """One pass, which counts redactions."""

    def __init__(self) -> None:
        self.found: Counter[tuple[str, str]] = Counter()

    def redactions(self) -> list[Redaction]:
        return [Redaction(path, kind, count) for (path, kind), count in self.found.items()]

    def value(self, value: Any, *, path: str, depth: int, embedded: int) -> Any:
        if isinstance(value, str):
            return self.text(value, path=path, embedded=embedded)
        if isinstance(value, Mapping | list | tuple) and depth == _MAX_DEPTH:
            return self._redact("depth", path)
        if isinstance(value, Mapping):
            return self._mapping(value, path=path, depth=depth + 1, embedded=embedded)
        if isinstance(value, list | tuple):
            return self._elements(value, path=path, depth=depth + 1, embedded=embedded)
        if isinstance(value, int | float) and is_card_number(value):
            return self._redact("card", path)
        return value

    def _mapping(self, mapping: Mapping[Any, Any], *, path: str, depth: int, embedded: int) -> dict[str, Any]:
        labelled = _kind_of_label(mapping)
        redacted: dict[str, Any] = {}
        for key, value in mapping.items():
            name = self.text(str(key), path=path, embedded=_MAX_EMBEDDED)
            inner_path = _joined(path, name)
            kind = secret_kind(str(key)) or (labelled if key == "text" or key in _LABELLED else None)
            redacted[_unused(name, redacted)] = (
                self._redact(kind, inner_path, value)
                if kind and _can_be_secret(value)
                else self.value(value, path=inner_path, depth=depth, embedded=embedded)
            )
        return redacted

    def _elements(self, elements: Sequence[Any], *, path: str, depth: int, embedded: int) -> list[Any]:
        inner_path = f"{path}[]"[:_MAX_PATH_LENGTH]
        return [
            self._pair(element, kind, path=inner_path)
            if (kind := _kind_of_pair(element))
            else self.value(element, path=inner_path, depth=depth, embedded=embedded)
            for element in elements
        ]

    def _pair(self, pair: Sequence[Any], kind: str, *, path: str) -> list[str]:
        name = self.text(pair[0], path=path, embedded=_MAX_EMBEDDED)
        return [name, self._redact(kind, _joined(path, name), pair[1])]

    def text(self, text: str, *, path: str, embedded: int) -> str:
        if embedded == _MAX_EMBEDDED:
            return self._plain_text(text, path=path)
        if _JSON.match(text):
            return self._plain_text(self._json(text, path=path, embedded=embedded + 1), path=path)
        if _ENCODED_DELIMITER.search(text):
            return self._decoded(text, path=path, embedded=embedded + 1)
        return self._plain_text(text, path=path)

    def _json(self, text: str, *, path: str, embedded: int) -> str:
        """Redact JSON in a string by its decoded value. It is encoded again only if it contained a secret."""
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return text
        inside = _Redactor()
        redacted = inside.value(value, path=path, depth=0, embedded=embedded)
        self._add(inside.found)
        return msgspec.json.encode(redacted).decode() if inside.found else text

    def _decoded(self, text: str, *, path: str, embedded: int) -> str:
        """Redact a text with percent-encoding by its decoded form, too: it stays decoded if that reveals more
        secrets."""
        as_sent, decoded = _Redactor(), _Redactor()
        texts = (
            as_sent._plain_text(text, path=path),
            decoded.text(_with_delimiters(text), path=path, embedded=embedded),
        )
        reveals_more = decoded.found.total() > as_sent.found.total()
        self._add((as_sent, decoded)[reveals_more].found)
        return texts[reveals_more]

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

    def _redact(self, kind: str, path: str, value: Any = None) -> str:
        """Return the placeholder of a value, and count it unless it is a placeholder already."""
        if isinstance(value, str) and value.startswith("[redacted:"):
            return value
        self._add({(path, kind): 1})
        return f"[redacted:{kind}]"

    def _add(self, found: Mapping[tuple[str, str], int]) -> None:
        """Count redactions; beyond `_MAX_PATHS` under the path `…`, since paths are user input."""
        for (path, kind), count in found.items():
            key = path, kind
            self.found[key if key in self.found or len(self.found) < _MAX_PATHS else ("…", kind)] += count


def _can_be_secret(value: Any) -> bool:
    """Whether a value can be a secret: booleans, null and empty values cannot."""
    return not isinstance(value, bool) and value not in (None, "", [], {}, ())


def _kind_of_label(mapping: Mapping[Any, Any]) -> str | None:
    """Return the kind of `value` by its label, as in headers of HAR: `{"name": "Cookie", "value": …}`."""
    if _LABELLED.isdisjoint(mapping) and not _is_typing(mapping):
        return None
    labels = (mapping.get(field) for field in _LABELS)
    return next((kind for label in labels if isinstance(label, str) and (kind := _kind_of_name(label))), None)


def _is_typing(mapping: Mapping[Any, Any]) -> bool:
    """Say whether it records that somebody typed `text`, rather than that they clicked on it."""
    return "text" in mapping and any(mapping.get(field) in _TYPING for field in ("type", "action", "event"))


def _kind_of_pair(element: Any) -> str | None:
    """Return the kind of the second of two texts by the first: headers are often a list of such pairs."""
    match element:
        case [str(name), str() | int() | float() as value] if _can_be_secret(value):
            return _kind_of_name(name)
    return None


def _kind_of_name(text: str) -> str | None:
    return secret_kind(text) if len(text) <= _MAX_NAME_LENGTH and " " not in text else None


def _with_delimiters(text: str) -> str:
    """Return the text with percent-encoded delimiters decoded, once."""
    for sign in _DELIMITERS + "%":
        text = text.replace(f"%{ord(sign):02X}", sign).replace(f"%{ord(sign):02x}", sign)
    return text


def _joined(path: str, name: str) -> str:
    """Return the path of a name, cut to a maximum length: both are user input."""
    short = name[:_MAX_NAME_LENGTH]
    return (f"{path}.{short}" if path else short)[:_MAX_PATH_LENGTH]


def _unused(name: str, names: Mapping[str, Any]) -> str:
    """Return a unique name: two names may be the same after redaction."""
    return name if name not in names else f"{name} {len(names)}"


_JSON: Final = re.compile(r"\s*+[\[{\"]")
# Delimiters of names and values. Other characters stay encoded inside values, which are redacted as a whole.
_DELIMITERS: Final = ":=&?#;,/@\"'{}[]\\ \n"
_ENCODED_DELIMITER: Final = re.compile(
    "%(?:25|" + "|".join(f"{ord(sign):02x}" for sign in _DELIMITERS) + ")", re.IGNORECASE
)
_LABELS: Final = (
    *("name", "key", "header", "field", "id", "type", "label", "selector", "target", "attribute", "element"),
    *("inputType", "input_type", "autocomplete", "Name", "Key", "Header"),
)
_TYPING: Final = ("input", "change", "type", "fill", "paste", "keydown", "keypress", "keyup")
_LABELLED: Final = frozenset({"value", "values", "val", "newValue", "oldValue", "Value", "Values"})
