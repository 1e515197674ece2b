"""Pages of lists: the parameters every list takes and the `pagination` every list gives."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

DEFAULT_LIMIT = 20
PageNumber = Annotated[int, Meta(ge=1, le=1_000_000)]
PageLimit = Annotated[int, Meta(ge=1, le=100)]


class PageQuery(Struct, kw_only=True):
    """`page` counts from 1; `limit` is rows a page."""

    page: PageNumber = 1
    limit: PageLimit = DEFAULT_LIMIT

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


class Pagination(Struct):
    """Where a page stands in its list. A page past the end is empty, with the true total."""

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
