"""Our seven calls of GitHub's REST API (version 2022-11-28, of github.com and of GitHub Enterprise Server).

GITHUB_API_URL is the operator's word, as the addresses of identity providers are, so it may be inside our networks; no
user names a host. No redirect is followed: a token goes nowhere that nobody has entered. Each call ends in time, and
what is read of an answer is bounded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Protocol, TypeVar

import httpx
import msgspec
from msgspec import Meta, Struct

from bugrelay.domain.github.errors import Limited, Refused, Unavailable, Unreached

CALL_SECONDS = 10.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024  # a page of issues with bodies of 65,536 characters, each of them escaped
PAGE = 30
MAX_PAGES = 200
VERSION = "2022-11-28"

T = TypeVar("T")
State = Literal["open", "closed"]
GitHubId = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""As our columns keep it; GitHub says int64."""
WebAddress = Annotated[str, Meta(max_length=2000, pattern=r"^https?://[^\s\x00]+$")]
"""What is shown as a link, whatever answers in GitHub's name."""
Moment = Annotated[datetime, Meta(tz=True)]

_LIMIT_WORDS = ("rate limit", "abuse")


class Account(Struct):
    """Whose token it is."""

    login: str


class Permissions(Struct):
    """What the token's owner may do; GitHub leaves it out for some tokens."""

    push: bool = False
    triage: bool = False


class Repository(Struct):
    """What we need to know of a repository."""

    id: GitHubId
    full_name: str
    private: bool
    has_issues: bool
    archived: bool = False
    permissions: Permissions | None = None


class Issue(Struct):
    """What we read of an issue; the list of a repository has its pull requests as well."""

    id: GitHubId
    number: GitHubId
    html_url: WebAddress
    state: State
    updated_at: Moment
    state_reason: str | None = None
    body: str | None = None
    pull_request: dict[str, Any] | None = None


class Comment(Struct):
    """What we read of a comment on an issue; `issue_url` ends in the issue's number."""

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
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes


class Permit(Protocol):
    """Says before each call whether it may be made with this token now (service/tokens.py)."""

    async def __call__(self, *, writes: bool) -> None:
        """
        Raises:
            LeaseLost
        """
        ...


async def _permitted(*, writes: bool) -> None:  # noqa: ARG001 - as the protocol has it
    return


class GitHubClient:
    """HTTP to GitHub's API. One for each process; it keeps no token."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(None),  # `send` ends each exchange as a whole
            follow_redirects=False,
            # Uncompressed, so that the bound on the answer is a bound on what it unpacks to.
            headers={
                "Accept": "application/vnd.github+json",
                "Accept-Encoding": "identity",
                "User-Agent": "BugRelay",
                "X-GitHub-Api-Version": VERSION,
            },
            limits=httpx.Limits(max_connections=40, max_keepalive_connections=5),
        )

    def as_user(self, token: str, permit: Permit = _permitted) -> GitHubUser:
        """The API with this token."""
        return GitHubUser(self, token, permit)

    async def close(self) -> None:
        await self._client.aclose()

    def is_ours(self, url: str) -> bool:
        """Whether an address is of the API that we call: a token is sent to no other."""
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
    ) -> _Answer:
        """One exchange, to its end within `CALL_SECONDS`.

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
                return _Answer(response.status_code, response.headers, await _read(response))
        except httpx.ConnectError:
            raise Unreached("GitHub cannot be reached") from None
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise Unavailable(f"GitHub did not answer: {type(error).__name__}") from None


class GitHubUser:
    """The calls, each with one token.

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
        """Pages of the issues that were changed since then, in whatever state, the oldest first."""
        query = {"state": "all", "sort": sort, "direction": "asc", "since": _written(since)}
        if creator is not None:
            query["creator"] = creator
        return self._pages(f"/repos/{repo}/issues", query, list[Issue])

    def comments(self, repo: str, *, since: datetime) -> AsyncIterator[list[Comment]]:
        """Pages of the comments on all issues that were changed since then, the oldest first."""
        query = {"sort": "updated", "direction": "asc", "since": _written(since)}
        return self._pages(f"/repos/{repo}/issues/comments", query, list[Comment])

    async def _pages(self, path: str, query: Mapping[str, str], kind: type[T]) -> AsyncIterator[T]:
        """As GitHub links them: it may go on by page or by cursor.

        Raises:
            Unavailable: Also where it links to somewhere else, or without end.
        """
        answer = await self._answer("GET", path, query={**query, "per_page": str(PAGE)})
        for _ in range(MAX_PAGES):
            yield _decoded(answer, kind)
            following = _next_page(answer)
            if following is None:
                return
            if not self._client.is_ours(following):
                raise Unavailable("GitHub's next page is somewhere else")
            answer = await self._answer("GET", following)
        raise Unavailable("GitHub's pages have no end")

    async def _call(self, method: str, path: str, kind: type[T], *, body: Any = None) -> T:
        return _decoded(await self._answer(method, path, body=body), kind)

    async def _answer(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, str] | None = None
    ) -> _Answer:
        """An answer of 200 or 201."""
        await self._permit(writes=method != "GET")
        answer = await self._client.send(method, path, token=self._token, body=body, query=query)
        if answer.status not in (httpx.codes.OK, httpx.codes.CREATED):
            raise _error(answer)
        return answer


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise Unavailable("GitHub's answer is too long")
    return bytes(body)


def _next_page(answer: _Answer) -> str | None:
    """The `next` of its Link header (RFC 8288)."""
    link = httpx.Response(answer.status, headers=answer.headers).links.get("next", {})
    return link.get("url")


def _decoded(answer: _Answer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Unavailable("GitHub's answer is not the JSON that was asked for") from None


def _error(answer: _Answer) -> Exception:
    """What an answer that is none of ours means.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """
    if answer.status in (httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS) and _is_limit(answer):
        return Limited(_pause(answer.headers))
    if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR or answer.status == httpx.codes.REQUEST_TIMEOUT:
        return Unavailable(f"GitHub answered {answer.status}")
    if answer.status == httpx.codes.UNAUTHORIZED:
        sentence = "GitHub refuses the token; an admin of the company has to enter another one"
        return Refused(sentence, is_unauthorized=True)
    return Refused(_SENTENCES.get(answer.status) or f"GitHub answered {answer.status}")


_MOVED = "The repository has another address at GitHub; an admin of the company has to enter it"
_SENTENCES: Mapping[int, str] = {
    301: _MOVED,
    302: _MOVED,
    307: _MOVED,
    308: _MOVED,
    403: "The token may not do this in the repository",
    404: "The token sees no such repository, or no such issue in it",
    410: "The repository has no issues, or this one was deleted",
    422: "GitHub does not take it as it is",
}


def _is_limit(answer: _Answer) -> bool:
    """Whether it limits; another 403 says that the token may not do what was asked."""
    headers = answer.headers
    if answer.status == httpx.codes.TOO_MANY_REQUESTS or "retry-after" in headers:
        return True
    words = answer.body[:4096].decode("utf-8", "replace").lower()
    return headers.get("x-ratelimit-remaining") == "0" or any(word in words for word in _LIMIT_WORDS)


def _pause(headers: httpx.Headers) -> float | None:
    """For how long GitHub wants no call, in seconds; None where it does not say."""
    after = headers.get("retry-after", "")
    if after.isdecimal():
        return float(after[:9])
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(1.0, float(reset[:12]) - time.time() + 1)
    return None


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
