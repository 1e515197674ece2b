"""A client for seven calls of GitHub's REST API (version 2022-11-28; github.com and GitHub Enterprise Server).

GITHUB_API_URL is set by the operator, like the addresses of identity providers, so it may be inside our network; users
cannot name hosts. Redirects are not followed: a token is only sent to the host that was configured. Each call has a
deadline, and the size of a response is limited.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeVar

import msgspec
from msgspec import Meta, Struct

from bugrelay.domain.github.errors import Limited, Refused, Unavailable, Unreached
from bugrelay.infra.imports import Deferred

if TYPE_CHECKING:
    import httpx
else:
    httpx = Deferred("httpx")

CALL_SECONDS = 10.0
MAX_RESPONSE_BYTES = 16 * 1024 * 1024  # a page of issues with bodies of 65,536 escaped characters
PAGE_SIZE = 30
MAX_PAGES = 200
VERSION = "2022-11-28"

T = TypeVar("T")
State = Literal["open", "closed"]
GitHubId = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A bigint, as in our columns; GitHub documents int64."""
WebAddress = Annotated[str, Meta(max_length=2000, pattern=r"^https?://[^\s\x00]+$")]
"""A URL that is shown as a link: restricted to the web, whatever server answers as GitHub."""
Moment = Annotated[datetime, Meta(tz=True)]

_LIMIT_WORDS = ("rate limit", "abuse")


class Account(Struct):
    """A user of GitHub."""

    login: str


class Permissions(Struct):
    """The rights of the token's owner; GitHub leaves them out for some tokens."""

    push: bool = False
    triage: bool = False


class Repository(Struct):
    """The fields that we read of a repository."""

    id: GitHubId
    full_name: str
    private: bool
    has_issues: bool
    archived: bool = False
    permissions: Permissions | None = None


class Issue(Struct):
    """The fields that we read of an issue; lists of issues include pull requests."""

    id: GitHubId
    number: GitHubId
    html_url: WebAddress
    state: State
    updated_at: Moment
    state_reason: str | None = None
    body: str | None = None
    pull_request: dict[str, Any] | None = None


class Comment(Struct):
    """The fields that we read of a comment on an issue; `issue_url` ends in the issue's number."""

    id: GitHubId
    issue_url: str
    created_at: Moment
    updated_at: Moment
    body: str | None = None
    user: Account | None = None

    @property
    def issue_number(self) -> int | None:
        number = self.issue_url.rpartition("/")[2]
        return int(number) if number.isdecimal() and len(number) < 19 else None  # noqa: PLR2004 - digits of a bigint


@dataclass(frozen=True)
class _Response:
    status: int
    headers: httpx.Headers
    body: bytes


class Permit(Protocol):
    """Called before each call with a token; renews the lease (service/tokens.py)."""

    async def __call__(self, *, writes: bool) -> None:
        """
        Raises:
            LeaseLost
        """
        ...


async def _permitted(*, writes: bool) -> None:  # noqa: ARG001 - as the protocol has it
    return


class GitHubClient:
    """HTTP to GitHub's API; has no token of its own."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        """Made at the first call: with the list of authorities and the library it takes 3 MB."""
        return httpx.AsyncClient(
            timeout=httpx.Timeout(None),  # `send` ends each exchange as a whole
            follow_redirects=False,
            # Uncompressed, so that the limit holds for what is kept in memory.
            headers={
                "Accept": "application/vnd.github+json",
                "Accept-Encoding": "identity",
                "User-Agent": "BugRelay",
                "X-GitHub-Api-Version": VERSION,
            },
            limits=httpx.Limits(max_connections=40, max_keepalive_connections=5),
        )

    def as_user(self, token: str, permit: Permit = _permitted) -> GitHubUser:
        """The calls with this token."""
        return GitHubUser(self, token, permit)

    async def close(self) -> None:
        if "_client" in vars(self):
            await self._client.aclose()

    def is_api_url(self, url: str) -> bool:
        """Whether a URL belongs to the configured API: a token is sent to no other host."""
        try:
            asked, api = httpx.URL(url), httpx.URL(self._api_url)
        except httpx.InvalidURL:
            return False
        return (asked.scheme, asked.host, asked.port) == (
            api.scheme,
            api.host,
            api.port,
        ) and not asked.userinfo

    async def send(
        self, method: str, path: str, *, token: str, body: Any = None, query: Mapping[str, str] | None = None
    ) -> _Response:
        """One request and its whole response within `CALL_SECONDS`.

        Raises:
            Unreached, Unavailable
        """
        url = path if path.startswith("http") else f"{self._api_url}{path}"
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Authorization": f"Bearer {token}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                self._client.stream(method, url, content=content, headers=headers, params=query) as response,
            ):
                return _Response(response.status_code, response.headers, await _read(response))
        except httpx.ConnectError:
            raise Unreached("GitHub cannot be reached") from None
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise Unavailable(f"GitHub did not answer: {type(error).__name__}") from None


class GitHubUser:
    """The calls with one token.

    All of them raise Refused, Unavailable, Limited and LeaseLost.
    """

    def __init__(self, client: GitHubClient, token: str, permit: Permit) -> None:
        self._client = client
        self._token = token
        self._permit = permit

    async def account(self) -> Account:
        return await self._call("GET", "/user", Account)

    async def repository(self, repo: str) -> Repository:
        return await self._call("GET", f"/repos/{repo}", Repository)

    async def create_issue(self, repo: str, *, title: str, body: str, labels: Sequence[str]) -> Issue:
        wanted = {"title": title, "body": body, "labels": labels}
        return await self._call("POST", f"/repos/{repo}/issues", Issue, body=wanted)

    async def set_state(self, repo: str, number: int, *, state: State, reason: str) -> Issue:
        wanted = {"state": state, "state_reason": reason}
        return await self._call("PATCH", f"/repos/{repo}/issues/{number}", Issue, body=wanted)

    async def create_comment(self, repo: str, number: int, *, body: str) -> Comment:
        return await self._call(
            "POST", f"/repos/{repo}/issues/{number}/comments", Comment, body={"body": body}
        )

    def issues(
        self, repo: str, *, since: datetime, sort: str, creator: str | None = None
    ) -> AsyncIterator[list[Issue]]:
        """Pages of the issues, open and closed, that were changed since then, oldest first."""
        query = {"state": "all", "sort": sort, "direction": "asc", "since": _rfc3339(since)}
        if creator is not None:
            query["creator"] = creator
        return self._pages(f"/repos/{repo}/issues", query, list[Issue])

    def comments(self, repo: str, *, since: datetime) -> AsyncIterator[list[Comment]]:
        """Pages of the comments on all issues that were changed since then, oldest first."""
        query = {"sort": "updated", "direction": "asc", "since": _rfc3339(since)}
        return self._pages(f"/repos/{repo}/issues/comments", query, list[Comment])

    async def _pages(self, path: str, query: Mapping[str, str], kind: type[T]) -> AsyncIterator[T]:
        """Follow the `next` links, which may use page numbers or cursors.

        Raises:
            Unavailable: Also where a link leads to another host, or there are more than `MAX_PAGES`.
        """
        response = await self._exchange("GET", path, query={**query, "per_page": str(PAGE_SIZE)})
        for _ in range(MAX_PAGES):
            yield _decoded(response, kind)
            following = _next_page(response)
            if following is None:
                return
            if not self._client.is_api_url(following):
                raise Unavailable("GitHub's next page is on another host")
            response = await self._exchange("GET", following)
        raise Unavailable(f"GitHub's list has more than {MAX_PAGES} pages")

    async def _call(self, method: str, path: str, kind: type[T], *, body: Any = None) -> T:
        return _decoded(await self._exchange(method, path, body=body), kind)

    async def _exchange(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, str] | None = None
    ) -> _Response:
        """Make a call; returns a response with status 200 or 201."""
        await self._permit(writes=method != "GET")
        response = await self._client.send(method, path, token=self._token, body=body, query=query)
        if response.status not in (httpx.codes.OK, httpx.codes.CREATED):
            raise _error(response)
        return response


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise Unavailable("GitHub's response is too long")
    return bytes(body)


def _next_page(response: _Response) -> str | None:
    """The `next` link of the Link header (RFC 8288)."""
    link = httpx.Response(response.status, headers=response.headers).links.get("next", {})
    return link.get("url")


def _decoded(response: _Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(response.body, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Unavailable("GitHub's response is not the expected JSON") from None


def _error(response: _Response) -> Exception:
    """The error for a status other than 200 and 201.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """
    if response.status in (httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS) and _is_limit(response):
        return Limited(_pause(response.headers))
    if response.status >= httpx.codes.INTERNAL_SERVER_ERROR or response.status == httpx.codes.REQUEST_TIMEOUT:
        return Unavailable(f"GitHub answered {response.status}")
    if response.status == httpx.codes.UNAUTHORIZED:
        sentence = "GitHub refuses the token; an admin of the company has to enter another one"
        return Refused(sentence, is_unauthorized=True)
    return Refused(_REASONS.get(response.status) or f"GitHub answered {response.status}")


_MOVED = "The repository was renamed or moved at GitHub; an admin of the company has to enter its new name"
_REASONS: Mapping[int, str] = {
    301: _MOVED,
    302: _MOVED,
    307: _MOVED,
    308: _MOVED,
    403: "The token lacks the permission for this in the repository",
    404: "The repository or the issue does not exist, or the token cannot access it",
    410: "Issues are disabled in the repository, or this one was deleted",
    422: "GitHub refuses the content as invalid",
}


def _is_limit(response: _Response) -> bool:
    """Whether it is a rate limit; any other 403 is a missing permission."""
    headers = response.headers
    if response.status == httpx.codes.TOO_MANY_REQUESTS or "retry-after" in headers:
        return True
    words = response.body[:4096].decode("utf-8", "replace").lower()
    return headers.get("x-ratelimit-remaining") == "0" or any(word in words for word in _LIMIT_WORDS)


def _pause(headers: httpx.Headers) -> float | None:
    """The pause that GitHub asks for, in seconds; None where it does not say."""
    after = headers.get("retry-after", "")
    if after.isdecimal():
        return float(after[:9])
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(1.0, float(reset[:12]) - time.time() + 1)
    return None


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
