"""Reading one uploaded file: bounded before it starts, spooled to disk or passed on, never more than its limit."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
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

ENVELOPE_BYTES = 64 * 1024  # what headers and other small parts may add to the file
IN_MEMORY_BYTES = 256 * 1024
MAX_PARTS = 20


@dataclass(frozen=True)
class Upload:
    """The sender's name for the file and its type, as they were sent, and its bytes."""

    filename: str
    content_type: str
    content: bytes


async def read_upload(request: ApiRequest, *, field: str, max_bytes: int, too_large: BugRelayError) -> Upload:
    """The file of a multipart form.

    Args:
        request: Its body is read here, and not further than the limit.
        field: The name of the form field.
        max_bytes: The largest file; one of exactly this size is fine.
        too_large: Raised when it is larger.

    Raises:
        UnsupportedMediaType, ValidationFailed
    """
    request.require_media_type("multipart/form-data")
    _, options = parse_options_header(request.headers["content-type"])
    if not options.get("boundary"):
        raise UnsupportedMediaType("this address reads multipart/form-data")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > max_bytes + ENVELOPE_BYTES:
        raise too_large
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as file:
        reader = _PartReader(field, file, max_bytes=max_bytes, too_large=too_large)
        try:
            with PushMultipartParser(options["boundary"], max_segment_count=MAX_PARTS) as parser:
                received = 0
                async for chunk in request.stream():
                    received += len(chunk)
                    if received > max_bytes + ENVELOPE_BYTES:
                        raise too_large
                    for event in parser.parse(chunk):
                        reader.take(event)
                parser.close()
        except ParserLimitReached as error:
            raise ValidationFailed.of("body", f"must have at most {MAX_PARTS} parts") from error
        except (MultipartError, UnicodeError) as error:
            raise ValidationFailed.of("body", "is no complete multipart form") from error
        if reader.filename is None:
            raise ValidationFailed.of(field, "is required, as a file")
        file.seek(0)
        return Upload(reader.filename, reader.content_type, file.read())


async def body_chunks(request: ApiRequest) -> AsyncIterator[bytes]:
    """The body as it comes, for whoever passes it on: a chunk is held until the next one is asked for."""
    async for chunk in request.stream():
        yield chunk
        request.scope["state"]["release_body"](len(chunk))


class _PartReader:
    """Keeps the bytes of the wanted part and lets the others pass."""

    def __init__(self, field: str, file: IO[bytes], *, max_bytes: int, too_large: BugRelayError) -> None:
        self.filename: str | None = None
        self.content_type = ""
        self._field = field
        self._file = file
        self._left = max_bytes
        self._too_large = too_large
        self._wanted = False

    def take(self, event: Any) -> None:
        if isinstance(event, MultipartSegment):
            self._wanted = event.name == self._field and event.filename is not None and self.filename is None
            if self._wanted:
                self.filename = event.filename
                self.content_type = event.content_type or ""
        elif event and self._wanted:
            self._left -= len(event)
            if self._left < 0:
                raise self._too_large
            self._file.write(event)
