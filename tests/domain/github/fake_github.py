"""GitHub on loopback, as far as BugRelay uses it: a real HTTP server that limits, hangs, lies and pages on request.

Requests and responses are checked against GitHub's own description (rest_api.json says which); deviations are in
`problems`, and the fixture fails for them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jsonschema_rs

DESCRIPTION = json.loads((Path(__file__).parent / "rest_api.json").read_text())
MARK = re.compile(r"<!-- bugrelay:([0-9a-f-]{36}) -->\s*\Z")
TOKEN = "ghp_a-token-that-must-be-seen-nowhere-abcd"
LOGIN = "paper-bot"
_NOT_FOUND = 404, {"message": "Not Found"}, dict[str, str]()


@dataclass
class Repository:
    """A repository with its issues and comments, the oldest first."""

    id: int
    full_name: str
    private: bool = True
    has_issues: bool = True
    archived: bool = False
    issues: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Plan:
    """What happens with the next request that it matches.

    Attributes:
        request: How method and path begin, in full: `POST /repos/paper/reports/issues`.
        status: Answered in place of the true answer; None for that.
        applied: Whether the request has its effect all the same.
        headers: Of the answer.
        body: Of the answer, where it is not the true one.
        held: `before` or `after` its effect: until released, or until the other side has gone.
    """

    request: str
    status: int | None = None
    applied: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"message": "as planned"}'
    held: str | None = None


class Gone(Exception):
    """The caller is not there any more."""


@dataclass
class FakeGitHub:
    """`url` is for GITHUB_API_URL. `requests` are method and path of all that came, in order."""

    url: str = ""
    logins: dict[str, str] = field(default_factory=lambda: {TOKEN: LOGIN})
    repositories: dict[str, Repository] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    held: int = 0
    page: int = 30
    most_at_once: int = 0
    _at_once: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _ids: int = 1000
    _now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    # --- for tests ----------------------------------------------------------------------------------------------

    def add(self, full_name: str = "paper/reports", **changes: Any) -> Repository:
        self._ids += 1
        made = Repository(self._ids, full_name, **changes)
        self.repositories[full_name] = made
        return made

    def plan(self, request: str, **changes: Any) -> Plan:
        made = Plan(request, **changes)
        self.plans.append(made)
        return made

    def release(self) -> None:
        """Continue what is held, and hold nothing more."""
        self._released.set()

    def hold(self) -> None:
        self._released.clear()

    def count(self, request: str) -> int:
        return sum(one.startswith(request) for one in self.requests)

    def marks(self, full_name: str = "paper/reports") -> list[str]:
        """The tickets that the issues of a repository are of, one for each issue."""
        bodies = [issue["body"] or "" for issue in self.repositories[full_name].issues]
        return [found[1] for found in map(MARK.search, bodies) if found]

    def open_issue(self, repository: Repository, *, login: str, **changes: Any) -> dict[str, Any]:
        """Somebody opens an issue at GitHub."""
        issue = self._issue(repository, {"title": "By hand", "body": "", "labels": []}, login=login)
        issue.update(changes)
        return issue

    def close(self, issue: dict[str, Any], *, reason: str = "completed") -> dict[str, Any]:
        """Somebody closes an issue at GitHub."""
        issue.update(state="closed", state_reason=reason, updated_at=self.tick())
        return issue

    def reopen(self, issue: dict[str, Any]) -> dict[str, Any]:
        issue.update(state="open", state_reason="reopened", updated_at=self.tick())
        return issue

    def comment(self, issue: dict[str, Any], *, login: str, body: str) -> dict[str, Any]:
        """Somebody comments at GitHub."""
        repository = next(one for one in self.repositories.values() if issue in one.issues)
        return self._comment(repository, issue, body, login=login)

    def tick(self) -> str:
        """GitHub's clock has whole seconds, and here each change has one of its own."""
        self._now = max(self._now + timedelta(seconds=1), datetime.now(UTC).replace(microsecond=0))
        return f"{self._now:%Y-%m-%dT%H:%M:%SZ}"

    def delivery(
        self, kind: str, issue: dict[str, Any], *, secret: str, delivery_id: str = "", **more: Any
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of a delivery, as `issues-closed` or `issue-comment-created`, of the issue as it is now."""
        repository = next((one for one in self.repositories.values() if issue in one.issues), None)
        event, _, action = kind.rpartition("-")
        content = {
            "action": action,
            "issue": issue,
            "repository": {
                "id": repository.id if repository else 0,
                "full_name": repository.full_name if repository else "gone/away",
            },
            "sender": {"login": "octocat", "id": 1},
            **more,
        }
        self._check(DESCRIPTION["webhooks"][kind], content, f"delivery {kind}")
        body = json.dumps(content).encode()
        self._ids += 1
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event.replace("-", "_"),
            "X-GitHub-Delivery": delivery_id or f"72d3162e-cc78-11e3-81ab-{self._ids:012}",
            "X-Hub-Signature-256": signature(secret, body),
        }
        return headers, body

    # --- what is answered -----------------------------------------------------------------------------------------

    def _true_answer(self, method: str, path: str, query: dict[str, str], body: Any, login: str) -> Any:
        """Status, content and headers."""
        if method == "GET" and path == "/user":
            return 200, {"login": login, "id": 7}, {}
        found = re.fullmatch(r"/repos/([^/]+/[^/]+)(/issues)?(?:/(\d+|comments))?(/comments)?", path)
        if found is not None and found[1] in self.moved:
            return 301, {"message": "Moved"}, {"Location": f"{self.url}/repositories/{self.moved[found[1]]}"}
        repository = self.repositories.get(found[1]) if found else None
        if found is None or repository is None:
            return _NOT_FOUND
        if not found[2]:
            return 200, _shown(repository), {}
        return self._of_issues(method, path, query, body, login, repository=repository, found=found)

    def _of_issues(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Any,
        login: str,
        *,
        repository: Repository,
        found: re.Match[str],
    ) -> Any:
        if not repository.has_issues:
            return 410, {"message": "Issues are disabled for this repo"}, {}
        if method == "GET":
            return self._listed(repository, path, query, comments=found[3] == "comments")
        if found[3] is None:
            return 201, self._issue(repository, body, login=login), {}
        issue = next((one for one in repository.issues if one["number"] == int(found[3])), None)
        if issue is None:
            return _NOT_FOUND
        if found[4]:
            return 201, self._comment(repository, issue, body["body"], login=login), {}
        issue.update(body, updated_at=self.tick())
        return 200, issue, {}

    def _issue(self, repository: Repository, body: Any, *, login: str) -> dict[str, Any]:
        self._ids += 1
        number, now = len(repository.issues) + 1, self.tick()
        issue = {
            "id": self._ids,
            "number": number,
            "html_url": f"https://github.example/{repository.full_name}/issues/{number}",
            "state": "open",
            "state_reason": None,
            "title": body["title"],
            "body": body.get("body"),
            "labels": [{"name": label} for label in body.get("labels", [])],
            "user": {"login": login, "id": 7},
            "created_at": now,
            "updated_at": now,
        }
        repository.issues.append(issue)
        return issue

    def _comment(
        self, repository: Repository, issue: dict[str, Any], body: str, *, login: str
    ) -> dict[str, Any]:
        self._ids += 1
        now = self.tick()
        address = f"{self.url}/repos/{repository.full_name}/issues/{issue['number']}"
        comment = {
            "id": self._ids,
            "issue_url": address,
            "html_url": f"{issue['html_url']}#issuecomment-{self._ids}",
            "body": body,
            "user": {"login": login, "id": 8},
            "created_at": now,
            "updated_at": now,
        }
        issue["updated_at"] = now
        repository.comments.append(comment)
        return comment

    def _listed(self, repository: Repository, path: str, query: dict[str, str], *, comments: bool) -> Any:
        """A page, and the Link to the next one, which names the repository by its id as GitHub does."""
        things = repository.comments if comments else repository.issues
        wanted = [one for one in things if one["updated_at"] >= query.get("since", "")]
        if "creator" in query:
            wanted = [one for one in wanted if one["user"]["login"] == query["creator"]]
        wanted.sort(key=lambda one: one["updated_at" if query.get("sort") == "updated" else "created_at"])
        size, page = min(int(query.get("per_page", 30)), self.page), int(query.get("page", 1))
        headers = {}
        if len(wanted) > size * page:
            following = urlencode({**query, "page": page + 1})
            headers["Link"] = f'<{self.url}{path}?{following}>; rel="next", <{self.url}{path}>; rel="first"'
        return 200, wanted[size * (page - 1) :][:size], headers

    def _check(self, schema: Any, content: Any, what: str) -> None:
        for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(content):
            self.problems.append(f"{what}: {error.message} at {list(error.instance_path)}")

    # --- the server -----------------------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._exchange(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, Gone):
            return  # the other side has had enough
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, headers, content = await _read(reader)
        parts = urlsplit(target)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        asked = f"{method} {parts.path}"
        self.requests.append(asked)
        body = json.loads(content) if content else None
        self.bodies.append(body)
        schema = self._operation(method, parts.path)
        self._check_request(asked, schema, query, body, headers)
        plan = next((one for one in self.plans if asked == one.request), None)
        if plan is not None:
            self.plans.remove(plan)
        self._at_once[token] += 1
        self.most_at_once = max(self.most_at_once, self._at_once[token])
        try:
            status, answer, more = await self._answered(
                plan, reader, lambda: self._true(method, parts.path, query, body, token)
            )
        finally:
            self._at_once[token] -= 1
        if schema is not None and status == schema["status"] and not isinstance(answer, bytes):
            self._check(schema["answer"], answer, f"answer to {asked}")
        sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        head = "".join(f"{name}: {value}\r\n" for name, value in more.items())
        writer.write(
            f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\n{head}"
            f"Content-Length: {len(sent)}\r\nConnection: close\r\n\r\n".encode()
            + sent
        )
        await writer.drain()

    async def _answered(
        self, plan: Plan | None, reader: asyncio.StreamReader, true: Callable[[], Any]
    ) -> tuple[int, Any, dict[str, str]]:
        if plan is None:
            answer: tuple[int, Any, dict[str, str]] = true()
            return answer
        if plan.held == "before":
            await self._wait(reader)
        answer = true() if plan.status is None or plan.applied else (0, None, {})
        if plan.held == "after":
            await self._wait(reader)
        return answer if plan.status is None else (plan.status, plan.body, plan.headers)

    async def _wait(self, reader: asyncio.StreamReader) -> None:
        """Wait until a test continues; a request whose sender has gone has no effect any more.

        Raises:
            Gone
        """
        self.held += 1
        waiting = asyncio.create_task(self._released.wait())
        gone = asyncio.create_task(reader.read())
        try:
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise Gone
        finally:
            waiting.cancel()
            gone.cancel()
            self.held -= 1

    def _true(self, method: str, path: str, query: dict[str, str], body: Any, token: str) -> Any:
        login = self.logins.get(token)
        if login is None:
            return 401, {"message": "Bad credentials"}, {}
        return self._true_answer(method, path, query, body, login)

    def _operation(self, method: str, path: str) -> Any:
        for template, schema in DESCRIPTION["operations"].items():
            wanted, _, pattern = template.partition(" ")
            literal = re.sub(r"\\{[a-z_]+\\}", "([^/]+)", re.escape(pattern))
            if wanted == method and re.fullmatch(literal, path):
                return schema
        return None

    def _check_request(
        self, asked: str, schema: Any, query: dict[str, str], body: Any, headers: dict[str, str]
    ) -> None:
        if schema is None:
            self.problems.append(f"{asked} is none of the calls that are described")
            return
        numbers = {name: int(value) if value.isdecimal() else value for name, value in query.items()}
        self._check(schema["query"], numbers, f"query of {asked}")
        if "body" in schema or body is not None:
            self._check(schema.get("body", False), body, f"body of {asked}")
        if headers.get("x-github-api-version") != "2022-11-28" or not headers.get("user-agent"):
            self.problems.append(f"{asked} names no version of the API, or no user agent")


def _shown(repository: Repository) -> dict[str, Any]:
    return {
        "id": repository.id,
        "full_name": repository.full_name,
        "private": repository.private,
        "has_issues": repository.has_issues,
        "archived": repository.archived,
        "permissions": {"admin": False, "push": True, "triage": True, "pull": True},
    }


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    method, target, _ = first.split(" ")
    return method, target, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def signature(secret: str, body: bytes) -> str:
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def in_seconds(seconds: int) -> str:
    """For X-RateLimit-Reset."""
    return str(int(time.time()) + seconds)


@asynccontextmanager
async def fake_github() -> AsyncIterator[FakeGitHub]:
    fake = FakeGitHub()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        fake.release()
        server.close()
    assert fake.problems == []
