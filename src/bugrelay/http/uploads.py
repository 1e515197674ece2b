"""Uploaded files: their size is limited before they are read; they are spooled to disk or passed on in chunks."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from bugrelay.errors import BugRelayError, UnsupportedMediaType, ValidationFailed
from bugrelay.http.request import ApiRequest

ENVELOPE_BYTES = 64 * 1024  # allowed for headers and small parts, besides the file
IN_MEMORY_BYTES = 256 * 1024
MAX_PARTS = 20


@dataclass(frozen=True)
class Upload:
    """An uploaded file: its name and type as they were sent, and its content."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class FormField:
    """A part that a form may have.

    Attributes:
        name: The name of the form field.
        max_bytes: The maximum size.
        too_large: Raised if it is larger.
        is_file: Whether it must be a file, with a file name.
    """

    name: str
    max_bytes: int
    too_large: BugRelayError
    is_file: bool = True


async def read_upload(request: ApiRequest, *, field: str, max_bytes: int, too_large: BugRelayError) -> Upload:
    """The file of a multipart form.

    Args:
        request: The request, whose body is read here, up to the limit.
        field: The name of the form field.
        max_bytes: The maximum size of the file, inclusive.
        too_large: Raised if it is larger.

    Raises:
        UnsupportedMediaType, ValidationFailed
    """
    parts = await read_form(request, [FormField(field, max_bytes, too_large)])
    if field not in parts:
        raise ValidationFailed.of(field, "is required and must be a file")
    return parts[field]


async def read_form(request: ApiRequest, fields: Sequence[FormField]) -> dict[str, Upload]:
    """These parts of a multipart form, by name, without missing ones; of several parts with one name, the first.

    Raises:
        UnsupportedMediaType, ValidationFailed, and `too_large` of a field
    """
    request.require_media_type("multipart/form-data")
    _, options = parse_options_header(request.headers["content-type"])
    if not options.get("boundary"):
        raise UnsupportedMediaType("this address reads multipart/form-data")
    most = sum(field.max_bytes for field in fields) + ENVELOPE_BYTES
    too_large = fields[-1].too_large
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced[:20]) > most:
        raise too_large
    with ExitStack() as files:
        readers = {
            field.name: _PartReader(
                field, files.enter_context(tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES))
            )
            for field in fields
        }
        await _read_parts(_bounded(request, most, too_large), options["boundary"], readers)
        return {name: reader.upload() for name, reader in readers.items() if reader.is_found}


async def _bounded(request: ApiRequest, max_bytes: int, too_large: BugRelayError) -> AsyncIterator[bytes]:
    """The chunks of the body; raises `too_large` when there are more bytes."""
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes:
            raise too_large
        yield chunk


async def _read_parts(
    chunks: AsyncIterator[bytes], boundary: str, readers: Mapping[str, _PartReader]
) -> None:
    """Pass each part of a multipart body to the reader of its name; parts without one are dropped.

    Raises:
        ValidationFailed
    """
    reader = None
    try:
        with PushMultipartParser(boundary, max_segment_count=MAX_PARTS) as parser:
            async for chunk in chunks:
                for event in parser.parse(chunk):
                    if isinstance(event, MultipartSegment):
                        reader = readers.get(event.name)
                    if reader is not None:
                        reader.take(event)
            parser.close()
    except ParserLimitReached as error:
        raise ValidationFailed.of("body", f"must have at most {MAX_PARTS} parts") from error
    except (MultipartError, UnicodeError) as error:
        raise ValidationFailed.of("body", "must be a complete multipart form") from error


async def body_chunks(request: ApiRequest) -> AsyncIterator[bytes]:
    """The body in chunks as they are received; each stays in memory until the next one is requested."""
    async for chunk in request.stream():
        yield chunk
        request.scope["state"]["release_body"](len(chunk))


class _PartReader:
    """Spools the first part that fits its field, and skips others with the same name."""

    def __init__(self, field: FormField, file: IO[bytes]) -> None:
        self.is_found = False
        self._field = field
        self._file = file
        self._filename = self._content_type = ""
        self._left = field.max_bytes
        self._wanted = False

    def take(self, event: Any) -> None:
        if isinstance(event, MultipartSegment):
            is_file = event.filename is not None
            self._wanted = not self.is_found and (is_file or not self._field.is_file)
            if self._wanted:
                self.is_found = True
                self._filename = event.filename or ""
                self._content_type = event.content_type or ""
        elif event and self._wanted:
            self._left -= len(event)
            if self._left < 0:
                raise self._field.too_large
            self._file.write(event)

    def upload(self) -> Upload:
        self._file.seek(0)
        return Upload(self._filename, self._content_type, self._file.read())
