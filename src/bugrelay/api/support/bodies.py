"""Reads the body of a report: JSON with the picture as base64, or a multipart form with JSON and picture."""

from __future__ import annotations

import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bugrelay.api.support.requests import SendReport
from bugrelay.domain.support.errors import ScreenshotTooLarge
from bugrelay.errors import PayloadTooLarge, ValidationFailed
from bugrelay.http.request import ApiRequest, decode_json
from bugrelay.http.uploads import FormField, read_form
from bugrelay.infra.media.image_exchange import NotAnImage
from bugrelay.infra.text.normalising import SURROGATE
from bugrelay.infra.validation import read_fields

MAX_REPORT_BYTES: Final = 2 * 1024 * 1024  # beside the picture
_DATA_URI: Final = re.compile(r"data:[a-z0-9.+/-]{0,100}(?:;[a-z0-9.+=-]{1,100}){0,5};base64,", re.IGNORECASE)
_encode = msgspec.json.Encoder(order="sorted").encode
_TYPED: Final = frozenset(
    ("title", "description", "steps_to_reproduce", "expected_behavior", "actual_behavior")
)
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_SPACE: Final = re.compile(r"\s++")


@dataclass(frozen=True)
class SentReport:
    """A report as it was sent.

    Attributes:
        fields: The JSON object.
        picture: The bytes of the picture; None without one.
        size_bytes: The size of the JSON without the picture.
    """

    fields: SendReport
    picture: bytes | None
    size_bytes: int


async def read_report(request: ApiRequest) -> SentReport:
    """
    Raises:
        UnsupportedMediaType, ValidationFailed, PayloadTooLarge, NotAnImage
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return await _of_form(request)
    request.require_media_type("application/json")
    return await _of_json(request)


def report_too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"The report is larger than {MAX_REPORT_BYTES // 1024**2} MiB beside its picture")


async def _of_form(request: ApiRequest) -> SentReport:
    most = request.platform.settings.max_screenshot_bytes
    parts = await read_form(
        request,
        [
            FormField("report", MAX_REPORT_BYTES, report_too_large(), is_file=False),
            FormField("screenshot", most, ScreenshotTooLarge.of(most)),
        ],
    )
    if "report" not in parts:
        raise ValidationFailed.of("report", "is required and must be JSON")
    picture = parts.get("screenshot")
    return _read(request, parts["report"].content, picture.content if picture else None)


async def _of_json(request: ApiRequest) -> SentReport:
    most = request.platform.settings.max_screenshot_bytes
    return _read(request, await _read_body(request, max_bytes=MAX_REPORT_BYTES + _base64_bytes(most)), None)


async def _read_body(request: ApiRequest, *, max_bytes: int) -> bytes:
    """Read the body up to the limit; a larger one cannot have an acceptable picture."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced[:20]) > max_bytes:
        raise report_too_large()
    chunks, left = [], max_bytes
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            raise report_too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def _base64_bytes(size_bytes: int) -> int:
    """The maximum length of a picture in base64, with line breaks and the prefix of a data URI."""
    return size_bytes * 4 // 3 * 78 // 76 + 1024


def _decoded(text: str, *, max_bytes: int) -> bytes:
    """
    Raises:
        NotAnImage: It is not base64.
        ScreenshotTooLarge
    """
    if found := _DATA_URI.match(text):
        text = text[found.end() :]
    text = _SPACE.sub("", text).rstrip("=")
    if len(text) * 3 // 4 > max_bytes:
        raise ScreenshotTooLarge.of(max_bytes)
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise NotAnImage("screenshot_data must be a picture in base64, or a data URI of one") from error


def _read(request: ApiRequest, report: bytes, picture: bytes | None) -> SentReport:
    """Parse the body, and give `Idempotency-Key` a hash of it."""
    values = _decode_report(report)
    if not isinstance(values, dict):
        raise ValidationFailed.of("body", "must be a JSON object")
    encoded = values.get("screenshot_data")
    size_bytes = len(report) - (len(encoded) if isinstance(encoded, str) else 0)
    if size_bytes > MAX_REPORT_BYTES:
        raise report_too_large()
    if isinstance(encoded, str) and encoded:
        if picture is not None:
            raise ValidationFailed.of("screenshot_data", "must not be sent with a picture")
        picture = _decoded(encoded, max_bytes=request.platform.settings.max_screenshot_bytes)
        del values["screenshot_data"]
    fields = read_fields(values, SendReport)
    if picture is not None and fields.screenshot_path is not None:
        raise ValidationFailed.of("screenshot_path", "must not be sent with a picture")
    request.raw_json = {"report": _digest(_canonical(values)), "screenshot": picture and _digest(picture)}
    return SentReport(fields, picture, size_bytes)


def _decode_report(report: bytes) -> Any:
    """Decode JSON, also with halves of characters in it: a browser's log that was cut at a length may end in one.

    What was recorded has U+FFFD in its place; what somebody typed is refused for it, as everywhere.

    Raises:
        ValidationFailed
    """
    try:
        return decode_json(report)
    except ValidationFailed:
        if not _HALF.search(report):
            raise
        try:
            values = json.loads(report)
            return {name: value if name in _TYPED else _mended(value) for name, value in values.items()}
        except (ValueError, RecursionError, AttributeError):
            pass
        raise


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [_mended(one) for one in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(one) for name, one in value.items()}
    return value


def _canonical(values: dict[str, Any]) -> bytes:
    """
    Raises:
        ValidationFailed: It is nested too deeply to be encoded again.
    """
    try:
        return _encode(values)
    except RecursionError as error:
        raise ValidationFailed.of("body", "is nested too deeply") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
