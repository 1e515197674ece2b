"""How handlers answer: explicit structs, written once by msgspec."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar import Response

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


def to_json(content: Any) -> bytes:
    return _encode(content)


def answer(content: T, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[T]:
    """A JSON answer. It is written at once; the type says what was written."""
    return raw_answer(to_json(content), status=status, headers=headers)


def raw_answer(content: bytes, *, status: int = 200, headers: dict[str, Any] | None = None) -> Response[Any]:
    """An answer whose JSON is there already."""
    return Response(content, status_code=status, headers=headers, media_type="application/json")


class Message(msgspec.Struct):
    """An answer that only says that it was done."""

    message: str
