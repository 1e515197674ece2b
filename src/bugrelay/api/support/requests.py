"""Requests of the support API."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from bugrelay.api.support.responses import SCREENSHOTS
from bugrelay.domain.support.schemas import SCHEME, BrowserRecord, NewReport
from bugrelay.domain.support.service.captures import MAX_DEPTH
from bugrelay.domain.tickets.schemas import Priority, Title
from bugrelay.infra.pagination import DEFAULT_LIMIT, PageLimit, PageNumber, PageQuery
from bugrelay.infra.text.urls import valid_http_url
from bugrelay.infra.validation import Check, ListProblem, OneLine, Verbatim


def _one_kind(value: str) -> str:
    if value not in SCHEME.kinds:
        raise ValueError(f"must be one of {', '.join(SCHEME.kinds)}")
    return value


def _one_status(value: str) -> str:
    if value not in SCHEME.statuses:
        raise ValueError(f"must be one of {', '.join(SCHEME.statuses)}")
    return value


def _objects(values: list[Any]) -> list[Any]:
    """A check: all entries are objects, of any form."""
    wrong = [index for index, value in enumerate(values) if not isinstance(value, dict)]
    if wrong:
        raise ListProblem([(index, "must be an object") for index in wrong[:_MAX_NAMED]])
    return values


def _annotations(values: list[Any]) -> list[Any]:
    if _is_deeper_than(MAX_DEPTH, values):
        raise ValueError(f"must have at most {MAX_DEPTH} levels")
    if len(msgspec.json.encode(values)) > MAX_ANNOTATION_BYTES:
        raise ValueError(f"must have at most {MAX_ANNOTATION_BYTES // 1024} KiB as JSON")
    return values


def _is_deeper_than(levels: int, value: Any) -> bool:
    if not isinstance(value, list | dict):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper_than(levels - 1, one) for one in inner)


def _web_address_or_none(value: str) -> str | None:
    return value if valid_http_url(value) else None


def _own_upload(value: str) -> str:
    """The name of an upload, without the folder of its `path`."""
    name = value.removeprefix(SCREENSHOTS)
    if not _UPLOAD_NAME.fullmatch(name):
        raise ValueError("must be the `path` from the response to an upload")
    return name


_MAX_NAMED = 100
MAX_ANNOTATION_BYTES = 16 * 1024
_UPLOAD_NAME = re.compile(r"temp_[A-Za-z0-9_-]{43}\.png")

Category = Annotated[str, OneLine, Meta(max_length=50), Check(_one_kind)]
ReportStatus = Annotated[str, OneLine, Meta(max_length=50), Check(_one_status)]
Typed = Annotated[str, Meta(max_length=10_000)]
Recorded = Annotated[list[Any], Check(_objects)]
PageUrl = Annotated[str, OneLine, Check(_web_address_or_none)]
SentLine = Annotated[str, OneLine]


class SendReport(Struct, kw_only=True):
    """`POST /api/support/report`.

    Attributes:
        title: A summary in one line.
        description: The description in Markdown.
        category: `bug`, `feature_request`, `help` or `other`; `bug` where nothing is said.
        severity: The severity; `medium` by default.
        steps_to_reproduce: Steps to reproduce the problem.
        expected_behavior: What should have happened.
        actual_behavior: What happened.
        browser_info: Facts about the browser: `name`, `version`, `platform`, `user_agent`, `language` and more.
        page_url: The page's URL; at most 500 characters are kept, and only http and https URLs.
        page_title: The page's title; at most 255 characters are kept.
        viewport_size: The size of the viewport; at most 50 characters are kept.
        screen_resolution: The resolution of the screen; at most 50 characters are kept.
        console_errors: Errors of the console, as objects, newest last; the newest 200 are kept.
        api_history: Requests and their responses, as objects, newest last; the newest 200 are kept.
        user_actions: Clicks and inputs of the person, as objects, newest last; the newest 500 are kept.
        local_storage_data: Names and values; 200 are kept.
        session_storage_data: Names and values; 200 are kept.
        screenshot_data: A picture in base64, or a data URI of one.
        screenshot_path: The `path` of an own upload, instead of `screenshot_data`.
        screenshot_annotations: Drawings on the screenshot; at most 100 entries, 8 levels and 16 KiB.
    """

    title: Title
    description: Annotated[str, Meta(min_length=1, max_length=20_000)]
    category: Category | None = None
    severity: Priority | None = None
    steps_to_reproduce: Typed | None = None
    expected_behavior: Typed | None = None
    actual_behavior: Typed | None = None
    browser_info: dict[str, Any] | None = None
    page_url: PageUrl | None = None
    page_title: SentLine | None = None
    viewport_size: SentLine | None = None
    screen_resolution: SentLine | None = None
    console_errors: Recorded | None = None
    api_history: Recorded | None = None
    user_actions: Recorded | None = None
    local_storage_data: dict[str, Any] | None = None
    session_storage_data: dict[str, Any] | None = None
    screenshot_data: Annotated[str, Verbatim] | None = None
    screenshot_path: Annotated[str, OneLine, Meta(max_length=255), Check(_own_upload)] | None = None
    screenshot_annotations: Annotated[list[Any], Meta(max_length=100), Check(_annotations)] | None = None

    def wanted(self) -> NewReport:
        return NewReport(
            title=self.title,
            description=self.description,
            category=self.category or SCHEME.kinds[0],
            severity=self.severity or "medium",
            steps_to_reproduce=self.steps_to_reproduce,
            expected_behavior=self.expected_behavior,
            actual_behavior=self.actual_behavior,
            screenshot_annotations=self.screenshot_annotations,
            screenshot_name=self.screenshot_path,
        )

    def record(self) -> BrowserRecord:
        return BrowserRecord(**{name: getattr(self, name) for name in BrowserRecord.__struct_fields__})


class ListReports(Struct, kw_only=True):
    """`GET /api/support/reports`.

    Attributes:
        page: The page, from 1.
        per_page: The number of rows of a page.
        status: Reports with this status.
    """

    page: PageNumber = 1
    per_page: PageLimit = DEFAULT_LIMIT
    status: ReportStatus | None = None

    def wanted(self) -> PageQuery:
        return PageQuery(page=self.page, limit=self.per_page)


class ListReportComments(Struct, kw_only=True):
    """`GET /api/support/report/{ticket_number}/comments`.

    Attributes:
        page: The page, from 1.
        per_page: The number of rows of a page.
    """

    page: PageNumber = 1
    per_page: PageLimit = DEFAULT_LIMIT

    def wanted(self) -> PageQuery:
        return PageQuery(page=self.page, limit=self.per_page)
