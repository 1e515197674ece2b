"""Reads the lines of a file of any size, plain or gzip, with line numbers from 1."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import Final, Protocol

# Some reports of real trackers contain a whole log; texts are cut to the board's limits later.
MAX_LINE_BYTES: Final = 8 * 1024 * 1024
_SKIP_BYTES: Final = 64 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Line:
    """A line that is not blank; `problem` says why its content cannot be read, or is None."""

    number: int
    content: bytes
    problem: str | None = None


class _Text(Protocol):
    def readline(self, size: int, /) -> bytes: ...


class Lines:
    """Iterates over the lines of an open file, once; `number` is that of the last line read."""

    def __init__(self, file: BufferedReader, *, size_bytes: int | None) -> None:
        """`size_bytes` is the size of the file as stored; None if it is unknown (a pipe)."""
        self.size_bytes = size_bytes
        self.number = 0
        self._file = file

    @property
    def position_bytes(self) -> int:
        """The number of bytes of the stored file that have been read; 0 if the size is unknown."""
        return 0 if self.size_bytes is None else self._file.tell()

    def __iter__(self) -> Iterator[Line]:
        packed = self._file.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
        text: _Text = gzip.GzipFile(fileobj=self._file) if packed else self._file
        try:
            while content := text.readline(MAX_LINE_BYTES + 1):
                self.number += 1
                too_long = len(content) > MAX_LINE_BYTES and not content.endswith(b"\n")
                if too_long:
                    _skip_to_line_end(text)
                    yield Line(self.number, b"", f"is longer than {MAX_LINE_BYTES:,} bytes")
                    continue
                content = content.removeprefix(_BYTE_ORDER_MARK) if self.number == 1 else content
                if content.strip():
                    yield Line(self.number, content)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            yield Line(self.number + 1, b"", "cannot be unpacked: the gzip file is damaged or cut off here")


def _skip_to_line_end(text: _Text) -> None:
    while (rest := text.readline(_SKIP_BYTES)) and not rest.endswith(b"\n"):
        pass
