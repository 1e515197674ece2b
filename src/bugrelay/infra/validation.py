"""Validation of input, field by field, so that an error names every invalid field.

A request struct is plain msgspec: types, `Meta` limits and defaults. Two things are added here. Every text is
normalised before its limits are checked (docs/api/conventions.md, "Text that people send"), unless the field is marked
`Verbatim`; and an optional field takes `""` for null. A field may have a `Check`, a function that runs last; texts in
a list are normalised by the check of the list.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from email_validator import EmailNotValidError, validate_email

from bugrelay.errors import FieldProblem, ValidationFailed
from bugrelay.infra.text.normalising import UnusableText, normalise, refuse_unusable
from bugrelay.infra.text.tags import MAX_TAGS, clean_tag
from bugrelay.infra.text.urls import valid_http_url

T = TypeVar("T", bound=msgspec.Struct)
_TYPE_NAMES = {  # of msgspec, in words
    "str": "text",
    "array": "a list",
    "object": "an object",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "uuid": "a UUID",
    "datetime": "a time like 2026-01-31T12:00:00Z",
    "date": "a day like 2026-01-31",
}
_SENTENCES = {  # msgspec's, as patterns, and ours
    r"Object missing required field `(.+)`": "must have the field {}",
    r"Object contains unknown field `(.+)`": "must not have the field {}",
    r"Invalid UUID": f"must be {_TYPE_NAMES['uuid']}",
    r"Invalid RFC3339 encoded datetime": f"must be {_TYPE_NAMES['datetime']}",
    r"Invalid RFC3339 encoded date": f"must be {_TYPE_NAMES['date']}",
    r"Expected `.+` with a timezone component": "must have a time zone, like 2026-01-31T12:00:00Z",
    r"Expected `.+` <= (.+)": "must be at most {}",
    r"Expected `.+` >= (.+)": "must be at least {}",
    r"Expected `array` of length <= (.+)": "must have at most {} items",
    r"Expected `array` of length >= 1": "must not be empty",
    r"Expected `str` matching regex '(.+)'": "must match the pattern {}",
}
_STEP = re.compile(r"\.([^.\[]+)|\[[^\]]*\]")  # in a path: a field by its name, or an item of a list
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
_MAX_ITEMS_NAMED = 100  # no list may be longer


class Verbatim:
    """Marks a text that is taken as typed: passwords and tokens."""


class OneLine:
    """Marks a text without line breaks: titles and names."""


@dataclass(frozen=True)
class Check:
    """The last step of a field: returns the value to use, raises ValueError with "must …"."""

    run: Callable[[Any], Any]


@dataclass(frozen=True)
class _Field:
    name: str
    attribute: str
    type: Any
    required: bool
    optional: bool
    verbatim: bool
    one_line: bool
    max_length: int | None
    checks: tuple[Check, ...]


@lru_cache
def _fields_of(struct: type[msgspec.Struct]) -> tuple[_Field, ...]:
    hints = get_type_hints(struct, include_extras=True)
    return tuple(_describe(info, hints[info.name]) for info in msgspec.structs.fields(struct))


def _describe(info: msgspec.structs.FieldInfo, hint: Any) -> _Field:
    marks = _marks(hint)
    return _Field(
        name=info.encode_name,
        attribute=info.name,
        type=info.type,
        required=info.required,
        optional=type(None) in get_args(_bare(hint)),
        verbatim=Verbatim in marks,
        one_line=OneLine in marks,
        max_length=_limits(_inspected(info.type))[1],
        checks=tuple(mark for mark in marks if isinstance(mark, Check)),
    )


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _marks(hint: Any) -> list[Any]:
    """The annotations of a field, also those inside `… | None`."""
    marks = list(get_args(hint)[1:]) if get_origin(hint) is Annotated else []
    bare = _bare(hint)
    if get_origin(bare) in (Union, types.UnionType):
        for option in get_args(bare):
            marks += _marks(option)
    return marks


def read_fields(values: Mapping[str, Any], struct: type[T], *, strict: bool = True) -> T:
    """Create the struct from a mapping; unknown keys are ignored, unless the struct forbids them.

    Args:
        values: Decoded JSON, or the parameters of a query.
        struct: The struct to create.
        strict: False reads whole numbers and booleans from text, as in a query.

    Raises:
        ValidationFailed: Names every invalid field.
    """
    kept: dict[str, Any] = {}
    problems: list[FieldProblem] = []
    if struct.__struct_config__.forbid_unknown_fields:
        known = {field.name for field in _fields_of(struct)}
        problems += [FieldProblem(name, "is not a known field") for name in values if name not in known]
    for field in _fields_of(struct):
        if field.name not in values:
            if field.required:
                problems.append(FieldProblem(field.name, "is required"))
            continue
        try:
            kept[field.attribute] = _read(field, values[field.name], strict)
        except _FieldProblems as found:
            problems += found.problems
    if problems:
        raise ValidationFailed(problems)
    return struct(**kept)


class _FieldProblems(Exception):
    def __init__(self, problems: list[FieldProblem]) -> None:
        self.problems = problems


def _read(field: _Field, value: Any, strict: bool) -> Any:
    if isinstance(value, str):
        value = _usable(field, value)
    if value == "" and field.optional:
        value = None
    if value is None and field.required and not field.optional:
        raise _FieldProblems([FieldProblem(field.name, "is required")])
    if not strict and isinstance(value, str):
        value = _from_text(field, value)
    try:
        value = msgspec.convert(value, field.type)
    except msgspec.ValidationError as error:
        problem = _problem(field, error)
        in_an_item = problem.field != field.name
        raise _FieldProblems((in_an_item and _item_problems(field, value)) or [problem]) from error
    if value is not None:
        value = _checked(field, value)
    return value


def _from_text(field: _Field, text: str) -> Any:
    """The number or boolean in the text of a query. msgspec's own lax mode also takes `1e2`, `5.0` and `null`."""
    kinds = _inspected(field.type)
    if any(isinstance(kind, msgspec.inspect.IntType) for kind in kinds) and _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if any(isinstance(kind, msgspec.inspect.BoolType) for kind in kinds):
        return {"true": True, "false": False, "1": True, "0": False}.get(text.lower(), text)
    return text


def _item_problems(field: _Field, value: Any) -> list[FieldProblem]:
    """The problems of the items of a list of texts of which some are not texts; none for other lists."""
    if not isinstance(value, list) or len(value) > _MAX_ITEMS_NAMED or _is_of_structs(field.type):
        return []
    texts = {position: item for position, item in enumerate(value) if isinstance(item, str)}
    problems = {position: "must be text" for position in range(len(value)) if position not in texts}
    try:
        for check in field.checks:
            check.run(list(texts.values()))
    except ListProblem as error:
        positions = list(texts)
        problems |= {positions[i]: sentence for i, sentence in error.items}
    except ValueError:
        pass  # about the list as a whole, which matters only once all items are texts
    return [FieldProblem(f"{field.name}[{position}]", problems[position]) for position in sorted(problems)]


def _checked(field: _Field, value: Any) -> Any:
    try:
        for check in field.checks:
            value = check.run(value)
    except ListProblem as error:
        raise _FieldProblems([FieldProblem(f"{field.name}[{i}]", text) for i, text in error.items]) from error
    except ValueError as error:
        raise _FieldProblems([FieldProblem(field.name, str(error))]) from error
    return value


class ListProblem(ValueError):
    """A check of a list found invalid items: their positions and sentences."""

    def __init__(self, items: list[tuple[int, str]]) -> None:
        self.items = items
        super().__init__("has items that do not fit")


def _usable(field: _Field, value: str) -> str:
    """The text as its limits count it; one that is far too long is refused without being normalised."""
    try:
        if not field.verbatim:
            return normalise(value, single_line=field.one_line, max_length=field.max_length)
        refuse_unusable(value)
    except UnusableText as error:
        raise _FieldProblems([FieldProblem(field.name, str(error))]) from error
    return value


def _problem(field: _Field, error: msgspec.ValidationError) -> FieldProblem:
    """The field that an error of msgspec is about, by its path, and a sentence of ours for it.

    msgspec says which type or limit was violated, and where, only in the text of the error (docs/dependencies.md).
    """
    text, _, path = str(error).partition(" - at `$")
    path = path.rstrip("`")
    return FieldProblem(field.name + path, _sentence(_inspected_at(field.type, path), text))


def _sentence(infos: list[msgspec.inspect.Type], text: str) -> str:
    """What a value of one of these types must be, where msgspec says `text`."""
    if options := _options(infos):
        return one_of(options)
    if text.startswith("Expected `str` of length"):
        return _length(*_limits(infos))
    for pattern, sentence in _SENTENCES.items():
        if found := re.fullmatch(pattern, text, re.DOTALL):
            return sentence.format(*found.groups())
    if wrong_type := re.fullmatch(r"Expected `(.+)`, got `.+`", text):
        return f"must be {_named(wrong_type[1])}"
    return text[:1].lower() + text[1:]


def _length(low: int | None, high: int | None) -> str:
    if low and high:
        return f"must have {low} to {high} characters"
    return f"must have at most {high} characters" if high else f"must have at least {low} characters"


def _named(kinds: str) -> str:
    """`uuid | null` in words."""
    words = " or ".join(_TYPE_NAMES.get(kind, kind) for kind in kinds.split(" | "))
    return words.replace(" or ", ", ", words.count(" or ") - 1)  # "true, false or null"


def one_of(options: Sequence[Any]) -> str:
    """The sentence for a field that takes only these values."""
    names = ", ".join(str(option) for option in options)
    return f"must be one of {names}" if len(options) > 1 else f"must be {names}"


def text_limits(struct: type[msgspec.Struct], name: str) -> tuple[int | None, int | None]:
    """The minimum and the maximum length of a text field, in characters."""
    field = next(field for field in _fields_of(struct) if field.name == name)
    return _limits(_inspected(field.type))


@lru_cache
def _inspected(kind: Any) -> list[msgspec.inspect.Type]:
    """The types that a value may have."""
    return _alternatives(msgspec.inspect.type_info(kind))


def _alternatives(info: msgspec.inspect.Type) -> list[msgspec.inspect.Type]:
    return list(info.types) if isinstance(info, msgspec.inspect.UnionType) else [info]


def _inspected_at(kind: Any, path: str) -> list[msgspec.inspect.Type]:
    """The types that a value inside of a field may have.

    Args:
        kind: The type of the field.
        path: Where the value is in the field, as msgspec writes it: `[0].type`, or nothing for the field itself.
    """
    infos = _inspected(kind)
    for name in _STEP.findall(path):
        infos = [inner for info in infos for inner in _inner(info, name)]
    return infos


def _inner(info: msgspec.inspect.Type, name: str) -> list[msgspec.inspect.Type]:
    """The types of a field of an object, or without a name of an item of a list."""
    if isinstance(info, msgspec.inspect.StructType):
        return [
            one for field in info.fields if field.encode_name == name for one in _alternatives(field.type)
        ]
    if isinstance(info, msgspec.inspect.ListType) and not name:
        return _alternatives(info.item_type)
    return []


def _limits(infos: list[msgspec.inspect.Type]) -> tuple[int | None, int | None]:
    """The minimum and the maximum length of a text."""
    for info in infos:
        if isinstance(info, msgspec.inspect.StrType):
            return info.min_length, info.max_length
    return None, None


def _is_of_structs(kind: Any) -> bool:
    """Whether it is a list of objects, for which msgspec names the invalid field."""
    lists = (info for info in _inspected(kind) if isinstance(info, msgspec.inspect.ListType))
    return any(isinstance(info.item_type, msgspec.inspect.StructType) for info in lists)


def _options(infos: list[msgspec.inspect.Type]) -> tuple[Any, ...]:
    """The values of an enumeration."""
    for info in infos:
        if isinstance(info, msgspec.inspect.LiteralType):
            return info.values
    return ()


def email_address(value: str) -> str:
    """A check: an e-mail address, as the library normalises it; there is no DNS lookup."""
    try:
        return validate_email(value, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError("must be an e-mail address") from error


def utc_time(value: datetime) -> datetime:
    """A check: the same time in UTC. With an offset it may be outside of the years of a datetime and of RFC 3339:
    PostgreSQL would store it, and reading it would fail.
    """
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be in the years 1 to 9999 in UTC") from error


def web_address(value: str) -> str:
    """A check: an absolute http or https URL."""
    if not valid_http_url(value):
        raise ValueError("must be an absolute http or https URL")
    return value


def _tags(values: list[str]) -> list[str]:
    """Clean tags without duplicates, in the order of their first use."""
    cleaned: list[str] = []
    problems: list[tuple[int, str]] = []
    for position, value in enumerate(values):
        try:
            cleaned.append(clean_tag(value))
        except UnusableText as error:
            problems.append((position, str(error)))
    if problems:
        raise ListProblem(problems)
    folded = list(dict.fromkeys(cleaned))
    if len(folded) > MAX_TAGS:
        raise ValueError(f"must have at most {MAX_TAGS} tags")
    return folded


Tags = Annotated[list[str], OneLine, msgspec.Meta(max_length=_MAX_ITEMS_NAMED), Check(_tags)]
"""The tags of a bug or a ticket."""
