"""Tables as CSV (RFC 4180), safe from formula injection in spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

MEDIA_TYPE = "text/csv"

# Characters that begin a formula in spreadsheets, also after spaces and as fullwidth forms.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """The table in UTF-8. None becomes an empty cell; a text that would be a formula gets an apostrophe before it."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return written.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and (value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA)):
        return "'" + value
    return value
