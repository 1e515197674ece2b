"""Pages of lists: the parameters and the `pagination` that every list has, and cursors for long lists."""

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
        limit: Rows per page.
    """

    page: PageNumber = 1
    limit: PageLimit = DEFAULT_LIMIT

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


class Pagination(Struct):
    """The position of a page in its list. A page past the end is empty, with the correct total.

    Attributes:
        page: This page, counted from 1.
        limit: Rows per page.
        total: Rows of all pages.
        total_pages: The number of pages.
        has_next: Whether there is a next page.
        has_prev: Whether there is a previous page.
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
    """The position of a page in a list that has cursors.

    Attributes:
        next_cursor: The cursor of the next page, as fast at any depth; null on the last page.
    """

    next_cursor: str | None


class Cursor(Struct, array_like=True):
    """The last row before a page, by the keys of its list's order (keyset pagination).

    It is neither secret nor signed: a made-up cursor gives a page of the same list.

    Attributes:
        order: The name of the list's order, which the keys belong to.
        page: The number of the page, counted from 1.
        keys: The row's values.
    """

    order: str
    page: Annotated[int, Meta(ge=2, le=1_000_000_000)]
    keys: list[Any]

    def keys_of(self, order: str, types: Sequence[type]) -> list[Any]:
        """The keys, for a list in this order.

        Raises:
            ValidationFailed: The cursor belongs to a list in another order, or is made up.
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
    """The text of `next_cursor`."""
    text = msgspec.json.encode(Cursor(order, page, list(keys)))
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decoded_cursor(text: str) -> Cursor:
    """
    Raises:
        ValueError: It is not a cursor.
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
    """Parameters of a list that returns `next_cursor`.

    Attributes:
        cursor: The `next_cursor` of a page, for the page after it; it replaces `page`.
    """

    cursor: Annotated[str, Meta(max_length=500), Check(_a_cursor)] | None = None

    @property
    def page_number(self) -> int:
        """The number of the page, also if a cursor leads to it."""
        return self.page if self.cursor is None else decoded_cursor(self.cursor).page
