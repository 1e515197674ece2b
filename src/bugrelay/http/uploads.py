"""Reading uploaded files: bounded before it starts, spooled to disk or passed on, never more than their limits."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
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

ENVELOPE_BYTES = 64 * 1024  # what headers and other small parts may add to the file
IN_MEMORY_BYTES = 256 * 1024
MAX_PARTS = 20


@dataclass(frozen=True)
class Upload:
    """The sender's name for the file and its type, as they were sent, and its bytes."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class FormField:
    """A part that a form may have.

    Attributes:
        name: Of the form field.
        max_bytes: The most that it may have.
        too_large: Raised when it has more.
        is_file: Whether it must come as a file, with a name.
    """

    name: str
    max_bytes: int
    too_large: BugRelayError
    is_file: bool = True


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
    parts = await read_form(request, [FormField(field, max_bytes, too_large)])
    if field not in parts:
        raise ValidationFailed.of(field, "is required, as a file")
    return parts[field]


async def read_form(request: ApiRequest, fields: Sequence[FormField]) -> dict[str, Upload]:
    """The parts of a multipart form that are asked for, by their names; those that are not there are left out.

    Of several parts of one name, the first one counts.

    Raises:
        UnsupportedMediaType, ValidationFailed, and what `fields` says
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
        try:
            with PushMultipartParser(options["boundary"], max_segment_count=MAX_PARTS) as parser:
                received, reader = 0, None
                async for chunk in request.stream():
                    received += len(chunk)
                    if received > most:
                        raise too_large
                    for event in parser.parse(chunk):
                        if isinstance(event, MultipartSegment):
                            reader = readers.get(event.name)
                        if reader is not None:
                            reader.take(event)
                parser.close()
        except ParserLimitReached as error:
            raise ValidationFailed.of("body", f"must have at most {MAX_PARTS} parts") from error
        except (MultipartError, UnicodeError) as error:
            raise ValidationFailed.of("body", "is no complete multipart form") from error
        return {name: reader.upload() for name, reader in readers.items() if reader.is_found}


async def body_chunks(request: ApiRequest) -> AsyncIterator[bytes]:
    """The body as it comes, for whoever passes it on: a chunk is held until the next one is asked for."""
    async for chunk in request.stream():
        yield chunk
        request.scope["state"]["release_body"](len(chunk))


class _PartReader:
    """Keeps the bytes of the first part that is what its field asks for, and lets others of its name pass."""

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
