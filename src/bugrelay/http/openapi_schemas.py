"""Schemas of the OpenAPI document, from msgspec structs.

The description of a field is in the `Attributes` of its struct's docstring, or of the class that it is inherited from.
Without one, a field that holds another struct has that struct's description.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UnsetType

_REFERENCE = "#/components/schemas/{name}"
_FIELD = re.compile(r"^    (\w+): (.*(?:\n        .*)*)", re.MULTILINE)
_SECTION = re.compile(r"^(?:Attributes|Raises|Args):$", re.MULTILINE)

Schema = dict[str, Any]


def schemas_of(
    requests: Collection[Any], responses: Collection[Any]
) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """The schemas of bodies.

    Args:
        requests: The types that bodies are read as.
        responses: The types that responses are written from.

    Returns:
        The schema of each type, and the components that they refer to.
    """
    types = list(dict.fromkeys([*requests, *responses]))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    structs = {struct.__name__: struct for struct in _structs_in(types)}
    for name, component in components.items():
        _complete(component, structs[name], always_all=structs[name] not in requests)
    return dict(zip(types, schemas, strict=True)), components


def field_schemas(struct: type[msgspec.Struct]) -> Iterator[tuple[msgspec.structs.FieldInfo, Schema, str]]:
    """The fields of a struct of scalars, such as a query: the field, its schema and its description."""
    hints = get_type_hints(struct, include_extras=True)
    descriptions = descriptions_of(struct)
    for field in msgspec.structs.fields(struct):
        (schema,), _ = msgspec.json.schema_components([hints[field.name]])
        schema = _without_null(schema)
        _add_types(schema, hints[field.name])
        if field.default is not msgspec.NODEFAULT and field.default is not None:
            schema["default"] = field.default
        yield field, schema, descriptions[field.name]


def descriptions_of(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The description of each field, empty without one."""
    hints = get_type_hints(struct)
    found: dict[str, str] = {}
    for ancestor in reversed(struct.__mro__):
        found |= _attributes(ancestor)
    return {
        name: found.get(name) or next((summary_of(inner) for inner in _structs_in([hints[name]])), "")
        for name in struct.__struct_fields__
    }


def summary_of(struct: type) -> str:
    """The docstring without its sections; a struct without one has no summary."""
    written = inspect.cleandoc(struct.__dict__.get("__doc__") or "")
    return _plain(_SECTION.split(written)[0])


def _attributes(struct: type) -> dict[str, str]:
    written = inspect.cleandoc(struct.__dict__.get("__doc__") or "")
    _, _, section = written.partition("Attributes:\n")
    return {name: _plain(text) for name, text in _FIELD.findall(section)}


def _plain(text: str) -> str:
    """Paragraphs, each in one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))


def _structs_in(types: Collection[Any]) -> list[type[msgspec.Struct]]:
    """Every struct that these types are made of, outermost first."""
    found: list[type[msgspec.Struct]] = []
    waiting = list(types)
    while waiting:
        kind = waiting.pop(0)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if kind not in found:
                found.append(kind)
                waiting += get_type_hints(kind).values()
        else:
            waiting += get_args(kind)
    return found


def _complete(component: Schema, struct: type[msgspec.Struct], *, always_all: bool) -> None:
    """Add what msgspec does not know: descriptions, and that a response has all fields that cannot be UNSET."""
    component.pop("description", None)
    if summary := summary_of(struct):
        component["description"] = summary
    hints = get_type_hints(struct, include_extras=True)
    descriptions = descriptions_of(struct)
    for field in msgspec.structs.fields(struct):
        schema = component["properties"][field.encode_name]
        _add_types(schema, hints[field.name])
        schema["description"] = descriptions[field.name]
        if always_all:
            schema.pop("default", None)
    if always_all:
        component["required"] = [
            field.encode_name
            for field in msgspec.structs.fields(struct)
            if UnsetType not in get_args(hints[field.name])
        ]


def _add_types(schema: Schema, hint: Any) -> None:
    """Say `date-time` of a time, and that the values of an enumeration are texts."""
    for option in schema.get("anyOf", [schema]):
        if "enum" in option:
            option["type"] = "string"
        elif option.get("type") == "string" and _holds_time(hint):
            option["format"] = "date-time"


def _holds_time(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _holds_time(get_args(hint)[0])
    return hint is datetime or any(_holds_time(option) for option in get_args(hint))


def _without_null(schema: Schema) -> Schema:
    """A parameter that is absent has no value at all."""
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        if len(options) == 1:
            return dict(options[0])
    if isinstance(schema.get("enum"), list):
        return {**schema, "enum": [value for value in schema["enum"] if value is not None]}
    return dict(schema)
