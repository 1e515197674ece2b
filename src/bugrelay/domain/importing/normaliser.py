"""Normalises one line of an import to the rules of the board.

Other trackers have other rules, so invalid values are cut, cleaned or replaced, and each change is counted; only a line
without usable content is refused. The limits are those of `POST /bugs`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from bugrelay.domain.bugs.models import PRIORITIES, RESOLVED_STATUSES, STATUSES
from bugrelay.domain.bugs.schemas import ReportBug
from bugrelay.infra.text.normalising import UnusableText, normalise
from bugrelay.infra.text.tags import MAX_TAGS, TAG_LENGTH, clean_tag
from bugrelay.infra.text.urls import valid_http_url
from bugrelay.infra.validation import text_limits

_NO_DESCRIPTION: Final = "(no description)"
_MAX_EXTERNAL_ID_LENGTH: Final = 255
_LIMITS: Final = {
    name: text_limits(ReportBug, name)
    for name in (
        "title",
        "description",
        "application_name",
        "application_url",
        "operating_system",
        "app_version",
    )
}
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_UNKEEPABLE = re.compile(r"[\x00\ud800-\udfff]")
_MAX_TAG_READ: Final = 200


class UnusableLine(ValueError):
    """A line that cannot become a bug; the message is the predicate for "line 7 …"."""


@dataclass(frozen=True)
class Draft:
    """A bug that is valid on the board; `changes` describes, for the summary, how values were changed."""

    external_id: str
    title: str
    description: str
    application_name: str
    application_url: str | None
    status: str
    priority: str
    tags: list[str]
    operating_system: str | None
    app_version: str | None
    created_at: datetime
    resolved_at: datetime | None
    changes: tuple[str, ...]


def shape(content: bytes, *, now: datetime) -> Draft:
    """The draft of one line.

    Args:
        content: The line: a JSON object in UTF-8.
        now: The time of the import, which is the latest time of a bug.

    Raises:
        UnusableLine: It is not such an object, has no application name, or has neither title nor description.
    """
    return _Shaping(_decoded(content), now).draft()


def _decoded(content: bytes) -> dict[str, Any]:
    """Decode a JSON object, with numbers as text, so that version 1.10 does not become 1.1.

    Raises:
        UnusableLine: It is not a JSON object in UTF-8.
    """
    try:
        value = json.loads(
            content.decode("utf-8"), parse_int=str, parse_float=str, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise UnusableLine("is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise UnusableLine("is not valid JSON") from error
    if not isinstance(value, dict):
        raise UnusableLine("is not a JSON object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class _Shaping:
    """Normalises the values of one line, and collects the changes."""

    def __init__(self, values: dict[str, Any], now: datetime) -> None:
        self._values = values
        self._now = now
        self._changes: list[str] = []

    def draft(self) -> Draft:
        application_name = self._application_name()
        title, description = self._title_and_description(application_name)
        status = self._option("status", STATUSES, "open")
        created_at = self._created_at()
        return Draft(
            external_id=self._external_id(),
            title=title,
            description=description,
            application_name=application_name,
            application_url=self._application_url(),
            status=status,
            priority=self._option("priority", PRIORITIES, "medium"),
            tags=self._tags(),
            operating_system=self._cut("operating_system", self._text("operating_system")),
            app_version=self._cut("app_version", self._text("app_version")),
            created_at=created_at,
            resolved_at=self._resolved_at(status, created_at),
            changes=tuple(self._changes),
        )

    def _text(self, name: str, *, one_line: bool = True) -> str | None:
        """The normalised text of a field; None if there is none."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self._changes.append(f"{name} that is no text: dropped")
            return None
        return self._normalised(name, value, one_line=one_line) or None

    def _normalised(self, name: str, value: str, *, one_line: bool) -> str:
        if _UNKEEPABLE.search(value):
            self._changes.append(f"{name} with NUL characters or lone surrogates: dropped from it")
            value = _UNKEEPABLE.sub("", value)
        return normalise(value, single_line=one_line)

    def _cut(self, name: str, text: str | None) -> str | None:
        """The text, cut to the field's maximum length."""
        longest = _longest(name)
        if text is None or len(text) <= longest:
            return text
        self._changes.append(f"{name} longer than {longest:,} characters: cut")
        return text[:longest].strip()

    def _application_name(self) -> str:
        name = self._cut("application_name", self._text("application_name"))
        if name is None:
            raise UnusableLine("has no application_name")
        return name

    def _title_and_description(self, application_name: str) -> tuple[str, str]:
        description = self._cut("description", self._text("description", one_line=False))
        title = self._cut("title", self._text("title"))
        if title is None:
            if description is None:
                raise UnusableLine("has neither title nor description")
            self._changes.append("title missing: the description's first line taken")
            title = normalise(description.partition("\n")[0], single_line=True)
            title = title[: _longest("title")].strip()
        shortest = _shortest("title")
        if len(title) < shortest:
            self._changes.append(f"title shorter than {shortest} characters: the application's name added")
            title = f"{title} ({application_name}"[: _longest("title") - 1] + ")"
        return title, self._description(description, title)

    def _description(self, description: str | None, title: str) -> str:
        shortest = _shortest("description")
        if description is None:
            self._changes.append("description missing: the title taken")
            description = title
        elif len(description) < shortest:
            self._changes.append(
                f"description shorter than {shortest} characters: the title put in front of it"
            )
            description = f"{title}\n\n{description}"
        return description if len(description) >= shortest else f"{description}\n\n{_NO_DESCRIPTION}"

    def _application_url(self) -> str | None:
        url = self._text("application_url")
        longest = _longest("application_url")
        if url is not None and not valid_http_url(url):
            self._changes.append("application_url that is no absolute http or https URL: dropped")
            return None
        if url is None or len(url) <= longest:
            return url
        # The host identifies the application, so the path is dispensable.
        self._changes.append(f"application_url longer than {longest} characters: cut to its host")
        scheme, _, rest = url.partition("//")
        origin = f"{scheme}//{re.split('[/?#]', rest, maxsplit=1)[0]}"
        return origin if len(origin) <= longest and valid_http_url(origin) else None

    def _option(self, name: str, known: tuple[str, ...], default: str) -> str:
        """The known option that the field has, in upper or lower case; else the default."""
        text = self._text(name)
        if text is None:
            return default
        if text.lower() in known:
            return text.lower()
        self._changes.append(f"{name} that is not known: {default} taken")
        return default

    def _tags(self) -> list[str]:
        value = self._values.get("tags")
        if value is None:
            return []
        if isinstance(value, str):
            self._changes.append("tags in one text: taken apart at the commas")
            value = [part for part in value.split(",") if part.strip()]
        if not isinstance(value, list):
            self._changes.append("tags that are no list: dropped")
            return []
        tags = list(dict.fromkeys(tag for item in value if (tag := self._tag(item)) is not None))
        self._changes += [f"tag beyond the first {MAX_TAGS}: dropped"] * len(tags[MAX_TAGS:])
        return tags[:MAX_TAGS]

    def _tag(self, item: Any) -> str | None:
        """A valid tag, in which invalid characters are replaced by spaces; None if nothing is left."""
        text = item if isinstance(item, str) else ""
        tag = _usable_tag(text)
        if tag is not None:
            return tag
        spaced = "".join(char if _usable_tag(char) else " " for char in text[:_MAX_TAG_READ])
        tag = _usable_tag(" ".join(spaced.split())[:TAG_LENGTH])
        self._changes.append(
            "tag that cannot be one: dropped"
            if tag is None
            else "tag that is too long or has signs that tags do not have: cleaned"
        )
        return tag

    def _created_at(self) -> datetime:
        text = self._text("created_at")
        if text is None:
            return self._now
        at = _moment(text)
        if at is None:
            self._changes.append("created_at that is no time: the time of the import taken")
            return self._now
        if at > self._now:
            self._changes.append("created_at in the future: the time of the import taken")
        return min(at, self._now)

    def _resolved_at(self, status: str, created_at: datetime) -> datetime | None:
        """A time between `created_at` and now if the status is a resolved one; else None."""
        text = self._text("resolved_at")
        at = _moment(text) if text is not None else None
        if text is not None and at is None:
            self._changes.append("resolved_at that is no time: dropped")
        if status not in RESOLVED_STATUSES:
            if at is not None:
                self._changes.append("resolved_at of a bug that is not resolved: dropped")
            return None
        if at is None:
            self._changes.append("resolved_at missing for a resolved bug: created_at taken")
            return created_at
        if not created_at <= at <= self._now:
            self._changes.append("resolved_at before created_at or in the future: moved to the nearest")
        return min(max(at, created_at), self._now)

    def _external_id(self) -> str:
        """The id that makes repeats idempotent; by default a hash of the line's values, whatever the order of keys."""
        given = self._text("external_id")
        if given is None:
            return _hashed(json.dumps(self._values, sort_keys=True))
        if len(given) > _MAX_EXTERNAL_ID_LENGTH:
            self._changes.append(
                f"external_id longer than {_MAX_EXTERNAL_ID_LENGTH} characters: its SHA-256 taken"
            )
            return _hashed(given)
        return given


def _shortest(name: str) -> int:
    return _LIMITS[name][0] or 0


def _longest(name: str) -> int:
    longest = _LIMITS[name][1]
    assert longest is not None, f"{name} has no upper limit"  # noqa: S101 - a fault of the schema, not of the line
    return longest


def _usable_tag(text: str) -> str | None:
    try:
        return clean_tag(text)
    except UnusableText:
        return None


def _hashed(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _moment(text: str) -> datetime | None:
    """The time in ISO 8601, in UTC by default; None for other texts and for times before 1970."""
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if at >= _EARLIEST else None
