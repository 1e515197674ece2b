"""ETag and If-Match: optimistic locking by versions."""

from __future__ import annotations

import re

from bugrelay.domain.tickets.service.locking import Expected
from bugrelay.http.request import ApiRequest

_TAG = re.compile(r'"([0-9]{1,9})"')


def etag(version: int) -> dict[str, str]:
    return {"ETag": f'"{version}"'}


def expected_versions(request: ApiRequest, version: int | None) -> Expected:
    """The versions that both `If-Match` and the `version` in the body allow; None if neither was sent.

    Weak tags, and tags that are not ours, match no version (RFC 9110, section 13.1.1).
    """
    sent = ",".join(request.headers.getall("if-match", []))
    named = None if version is None else frozenset({version})
    if not sent or sent.strip() == "*":
        return named
    tags = (_TAG.fullmatch(tag.strip()) for tag in sent.split(","))
    allowed = frozenset(int(tag[1]) for tag in tags if tag)
    return allowed if named is None else allowed & named
