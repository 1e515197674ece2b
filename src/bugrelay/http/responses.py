"""Responses of handlers: explicit structs, serialised by msgspec, with the markup in people's texts defused.

Domains return texts as they were typed; this is the one place where they become JSON. Every text in a struct is defused
unless its field is `Rendered`, so no new field can be forgotten (docs/adr/0010-text.md).
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from operator import is_not
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from litestar import Response

from bugrelay.http.asgi import as_asgi, send_response
from bugrelay.infra.text.markdown import Rendered
from bugrelay.infra.text.markup import defuse

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode
_NEVER_TEXT = frozenset({UUID, int, float, bool, datetime, NoneType, msgspec.UnsetType})


def to_json(content: Any) -> bytes:
    """The content as JSON, without active markup.

    Args:
        content: Structs, and the lists and mappings in them, as msgspec encodes them.
    """
    body = _encode(content)
    # Most responses have `<` only in rendered texts: counting those costs a fraction of searching all texts.
    marks = body.count(b"<")
    if marks and marks > _rendered_marks(content) and (harmless := defused(content)) is not content:
        body = _encode(harmless)
    return body


def _rendered_marks(content: Any) -> int:
    """The number of `<` in `Rendered` fields; a lower bound, since some types do not say what they contain."""
    if isinstance(content, list):
        return sum(map(_rendered_marks, content))
    if not isinstance(content, msgspec.Struct):
        return 0
    count = 0
    for name in _rendered_fields(type(content)):
        value = getattr(content, name)
        count += value.count("<") if isinstance(value, str) else _rendered_marks(value)
    return count


def defused(content: Any) -> Any:
    """The content with its texts defused; the same object if nothing had to be defused. The argument is not changed."""
    if isinstance(content, str):
        return defuse(content)
    if isinstance(content, msgspec.Struct):
        return _defused_struct(content)
    if isinstance(content, list):
        items = [defused(item) for item in content]
        return items if any(map(is_not, items, content)) else content
    if isinstance(content, dict):
        return {defused(key): defused(value) for key, value in content.items()}
    if type(content) in _NEVER_TEXT:
        return content
    return defused(msgspec.to_builtins(content))


def _defused_struct(content: msgspec.Struct) -> msgspec.Struct:
    changes = {}
    for name in _text_fields(type(content)):
        value = getattr(content, name)
        if _has_mark(value) and (harmless := defused(value)) is not value:
            changes[name] = harmless
    return msgspec.structs.replace(content, **changes) if changes else content


def _has_mark(value: Any) -> bool:
    """Whether the value contains a `<`, rendered or not; encoding a value costs a fraction of searching it."""
    if type(value) is str:
        return "<" in value
    return type(value) not in _NEVER_TEXT and b"<" in _encode(value)


@cache
def _rendered_fields(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields that are `Rendered`, or contain structs with such fields."""
    hints = get_type_hints(struct, include_extras=True)
    return tuple(name for name in struct.__struct_fields__ if _holds_rendered(hints[name]))


def _holds_rendered(hint: Any) -> bool:
    """Whether the type is a `Rendered` text, or contains structs that have some."""
    origin = get_origin(hint)
    if origin is Annotated:
        return Rendered in hint.__metadata__
    if origin in (Union, UnionType):
        return all(_holds_rendered(one) or one is NoneType for one in get_args(hint))
    if origin is list:
        return all(map(_holds_rendered, get_args(hint)))
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct) and bool(_rendered_fields(hint))


@cache
def _text_fields(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields that may contain a text to defuse, also inside a list, a mapping or another struct."""
    hints = get_type_hints(struct, include_extras=True)
    return tuple(name for name in struct.__struct_fields__ if _may_hold_text(hints[name]))


def _may_hold_text(hint: Any) -> bool:
    origin = get_origin(hint)
    if origin is Annotated:
        return Rendered not in hint.__metadata__ and _may_hold_text(hint.__origin__)
    if origin in (Union, UnionType):
        return any(map(_may_hold_text, get_args(hint)))
    return origin is not Literal and hint not in _NEVER_TEXT


def json_response(content: T, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[T]:
    """A JSON response, serialised at once; the type parameter documents the content."""
    return raw_json_response(to_json(content), status=status, headers=headers)


def raw_json_response(
    content: bytes, *, status: int = 200, headers: dict[str, Any] | None = None
) -> Response[Any]:
    """A response with JSON that was serialised already."""
    return SerialisedResponse(content, status_code=status, headers=headers, media_type="application/json")


class SerialisedResponse(Response[Any]):
    """A response whose body is bytes, of a type that is not text, without cookies; its status is set.

    Litestar would pass it through its serialiser and look for cookies, which takes a twentieth of the CPU time of a
    small request. The length is added by the response middleware.
    """

    def to_asgi_response(self, *_arguments: Any, **_defaults: Any) -> Any:
        status = cast("int", self.status_code)
        headers = as_asgi({**self.headers, "content-type": self.media_type})

        async def respond(_scope: Any, _receive: Any, send: Any) -> None:
            await send_response(send, status=status, headers=headers, body=self.content)

        return respond


class Message(msgspec.Struct):
    """A response that says what was done.

    Attributes:
        message: What was done, in a sentence.
    """

    message: str
