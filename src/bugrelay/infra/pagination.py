"""Pages of lists: the parameters every list takes and the `pagination` every list gives; cursors, for long ones."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from bugrelay.errors import ValidationFailed
from bugrelay.infra.validation import Check

DEFAULT_LIMIT = 20
PageNumber = Annotated[int, Meta(ge=1, le=1_000_000)]
PageLimit = Annotated[int, Meta(ge=1, le=100)]


class PageQuery(Struct, kw_only=True):
    """A page of a list.

    Attributes:
        page: The page, counted from 1.
        limit: Rows a page.
    """

    page: PageNumber = 1
    limit: PageLimit = DEFAULT_LIMIT

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


class Pagination(Struct):
    """Where a page stands in its list. A page past the end is empty, with the true total.

    Attributes:
        page: This page, counted from 1.
        limit: Rows a page.
        total: Rows of all pages.
        total_pages: How many pages there are.
        has_next: Whether there is a page behind this one.
        has_prev: Whether there is a page before it.
    """

    page: int
    limit: int
    total: int
    total_pages: int
    has_next: bool
    has_prev: bool

    @classmethod
    def of(cls, query: PageQuery, total: int) -> Pagination:
        pages = -(-total // query.limit)
        return cls(query.page, query.limit, total, pages, query.page < pages, query.page > 1)


class CursorPagination(Pagination):
    """Where a page stands in a list that can be walked by cursors.

    Attributes:
        next_cursor: Leads to the page behind this one, as fast however far; null on the last.
    """

    next_cursor: str | None


class Cursor(Struct, array_like=True):
    """The row that a page begins behind, by the keys of its list's order.

    It is no secret and not signed: whoever makes one up gets a page of the same public list.

    Attributes:
        order: The list's order by name; keys of another one mean nothing to it.
        page: The number of the page that it leads to, counted from the first.
        keys: The row's values.
    """

    order: str
    page: Annotated[int, Meta(ge=2, le=1_000_000_000)]
    keys: list[Any]

    def keys_of(self, order: str, types: Sequence[type]) -> list[Any]:
        """The keys, for a list in this order.

        Raises:
            ValidationFailed: The cursor is of another list, or made up.
        """
        if self.order != order or len(self.keys) != len(types):
            raise ValidationFailed.of("cursor", "belongs to a list in another order; start without a cursor")
        try:
            return [
                msgspec.convert(key, Annotated[int, _INTEGER] if kind is int else kind)
                for key, kind in zip(self.keys, types, strict=True)
            ]
        except msgspec.ValidationError as error:
            raise ValidationFailed.of("cursor", NO_CURSOR) from error


NO_CURSOR = "must be a cursor that a list has returned"
_INTEGER = Meta(ge=-(2**31), le=2**31 - 1)  # of PostgreSQL
_decode = msgspec.json.Decoder(Cursor).decode


def encoded_cursor(order: str, page: int, keys: Sequence[Any]) -> str:
    """The text that `next_cursor` gives."""
    text = msgspec.json.encode(Cursor(order, page, list(keys)))
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decoded_cursor(text: str) -> Cursor:
    """
    Raises:
        ValueError: It is none.
    """
    try:
        return _decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (
        binascii.Error,
        ValueError,
    ) as error:  # msgspec's errors are ValueErrors, and so is a lone surrogate
        raise ValueError(NO_CURSOR) from error


def _a_cursor(value: str) -> str:
    decoded_cursor(value)
    return value


class CursorQuery(PageQuery, kw_only=True):
    """Parameters of a list that gives `next_cursor`.

    Attributes:
        cursor: What `next_cursor` gave; it leads to the page behind, in place of `page`.
    """

    cursor: Annotated[str, Meta(max_length=500), Check(_a_cursor)] | None = None

    @property
    def page_number(self) -> int:
        """Also of a page that a cursor leads to."""
        return self.page if self.cursor is None else decoded_cursor(self.cursor).page
