"""Structs of GitHub: rows, arguments and results of use cases."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from bugrelay.domain.tickets.schemes import SCHEMES
from bugrelay.infra.db.query import Row
from bugrelay.infra.validation import Check, ListProblem, OneLine, Verbatim
from bugrelay.settings import GITHUB_REPOSITORY

CommentsIn = Literal["internal", "public", "off"]
SyncStatus = Literal["pending", "synced", "failed"]
SwitchedOffReason = Literal["unauthorized"]

MAX_LABELS = 20
MAX_LABEL_LENGTH = 50  # GitHub's


def _repository(value: str) -> str:
    if not GITHUB_REPOSITORY.fullmatch(value):
        raise ValueError("must be owner/name")
    return value


def _printable(value: str) -> str:
    """Check that the text can be sent in a header."""
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be ASCII without spaces")
    return value


def _labels(values: list[str]) -> list[str]:
    """Labels without duplicates; a comma would make two of one."""
    cleaned = [value.strip() for value in values]
    wrong = [
        (i, f"must have 1 to {MAX_LABEL_LENGTH} characters and no comma")
        for i, value in enumerate(cleaned)
        if not 1 <= len(value) <= MAX_LABEL_LENGTH or "," in value
    ]
    if wrong:
        raise ListProblem(wrong)
    return list(dict.fromkeys(cleaned))


def _schemes(values: list[str]) -> list[str]:
    sentence = f"must be one of {', '.join(SCHEMES)}"
    unknown = [(i, sentence) for i, value in enumerate(values) if value not in SCHEMES]
    if unknown:
        raise ListProblem(unknown)
    return [name for name in SCHEMES if name in values]


RepositoryName = Annotated[str, OneLine, Meta(max_length=141), Check(_repository)]
Token = Annotated[str, Verbatim, Meta(min_length=8, max_length=500), Check(_printable)]
Labels = Annotated[list[str], OneLine, Meta(max_length=MAX_LABELS), Check(_labels)]
SchemeNames = Annotated[list[str], Meta(min_length=1, max_length=10), Check(_schemes)]


class SetGitHubConnection(Struct, kw_only=True):
    """`PUT /companies/{id}/github`: fields that are left out get these defaults, except `token`, which keeps its value.

    Attributes:
        repo: The repository, as `owner/name`; left out with `use_default`.
        token: A token with write access to issues; it is never shown again.
        use_default: Whether the operator's repository is used.
        labels: Labels of each issue, besides those for category and severity.
        enabled: Whether anything is sent and received.
        schemes: The schemes whose tickets get issues.
        comments_out: Whether comments that reporters may read are sent.
        comments_in: What comments at GitHub become: `internal` or `public` ones, or nothing (`off`).
        status_in: Whether closing and reopening at GitHub change the ticket.
        status_out: Whether finishing and reopening a ticket close and reopen its issue.
        allow_public: Whether the repository may be public.
    """

    repo: RepositoryName | None = None
    token: Token | None = None
    use_default: bool = False
    labels: Labels = field(default_factory=list)
    enabled: bool = True
    schemes: SchemeNames = field(default_factory=lambda: ["support"])
    comments_out: bool = False
    comments_in: CommentsIn = "internal"
    status_in: bool = True
    status_out: bool = True
    allow_public: bool = False


class GitHubConnectionOut(Struct, kw_only=True):
    """A company's connection to GitHub, as its admins see it.

    Attributes:
        id: The connection's id, a part of `webhook_url`.
        company_id: The company.
        repo: The repository, `owner/name`; also where it is the operator's default.
        token: The last four characters of the company's own token; null where the default is used, or where the token
            cannot be decrypted any more.
        use_default: Whether the operator's repository is used.
        labels: Labels of each issue, besides those for category and severity.
        enabled: Whether anything is sent and received.
        switched_off_reason: `unauthorized` after GitHub has refused the token; else null.
        schemes: The schemes whose tickets get issues.
        comments_out: Whether comments that reporters may read are sent.
        comments_in: What comments at GitHub become: `internal` or `public` ones, or nothing (`off`).
        status_in: Whether closing and reopening at GitHub change the ticket.
        status_out: Whether finishing and reopening a ticket close and reopen its issue.
        allow_public: Whether the repository may be public.
        private: Whether the repository was private at `checked_at`; null before the first check.
        login: The GitHub login of the token's owner; null before the first check.
        checked_at: When the repository was last checked.
        pending: The number of tickets that wait to be sent.
        failed: The number of tickets that could not be sent.
        webhook_url: The payload URL of the webhook at GitHub, for `issues` and `issue_comment` as application/json.
        created_at: When the company was connected.
        updated_at: When an admin last changed the connection.
    """

    id: UUID
    company_id: UUID
    repo: str | None
    token: str | None
    use_default: bool
    labels: list[str]
    enabled: bool
    switched_off_reason: SwitchedOffReason | None
    schemes: list[str]
    comments_out: bool
    comments_in: CommentsIn
    status_in: bool
    status_out: bool
    allow_public: bool
    private: bool | None
    login: str | None
    checked_at: datetime | None
    pending: int
    failed: int
    webhook_url: str
    created_at: datetime
    updated_at: datetime


class GitHubTestOut(Struct, kw_only=True):
    """The result of a test of the connection.

    Attributes:
        ok: Whether issues can be created.
        repository: Whether the token can read the repository.
        issues: Whether issues are enabled in the repository.
        write: Whether the token's owner may write; null where GitHub does not say so.
        private: Whether the repository is private.
        login: The GitHub login of the token's owner.
        error: The problem, as a sentence; null where `ok`.
    """

    ok: bool
    repository: bool = False
    issues: bool = False
    write: bool | None = None
    private: bool | None = None
    login: str | None = None
    error: str | None = None


class GitHubSync(Row):
    """The synchronisation of a ticket with its issue.

    Attributes:
        ticket_id: The ticket.
        status: `pending` while there is something to send, `failed` where sending has failed, else `synced`.
        issue_id: The issue's id at GitHub.
        number: Its number in the repository.
        url: The URL of its page.
        error: The reason of `failed`, for the company's members.
        synced_at: When we last created or changed the issue.
    """

    ticket_id: UUID
    status: SyncStatus
    issue_id: int | None
    number: int | None
    url: str | None
    error: str | None
    synced_at: datetime | None


class DefaultRepository(Struct, frozen=True):
    """The operator's repository, for companies with `use_default`.

    Attributes:
        repo: Its name, `owner/name`.
        token: The operator's token.
        labels: Labels of each issue.
    """

    repo: str
    token: str
    labels: tuple[str, ...]


class ConnectionRow(Row):
    """A row of `github_connections`."""

    id: UUID
    company_id: UUID
    uses_default: bool
    repo: str | None
    token: bytes | None
    token_key: bytes | None
    secret: bytes
    labels: list[str]
    enabled: bool
    schemes: list[str]
    comments_out: bool
    comments_in: CommentsIn
    status_in: bool
    status_out: bool
    allow_public: bool
    switched_off_reason: SwitchedOffReason | None
    repository_id: int | None
    login: str | None
    is_private: bool | None
    checked_at: datetime | None
    issues_since: datetime
    comments_since: datetime
    created_at: datetime
    updated_at: datetime


class PushRow(Row):
    """A push that is due."""

    ticket_id: UUID
    may_create: bool
    revision: int
    attempts: int
    failing_since: datetime | None


class IssueRow(Row):
    """The issue of a ticket in one repository; `may_try_again`: whether `LOST_AFTER` has passed since the last
    attempt."""

    state: str
    creator: str
    first_tried_at: datetime
    tried_at: datetime
    may_try_again: bool
    issue_id: int | None
    number: int | None
    url: str | None
    issue_state: str
    pushed_state: str
    asked_state: str | None
    issue_updated_at: datetime | None


class CommentRow(Row):
    """A comment that has to be sent."""

    comment_id: UUID
    state: str
    content: str
    author: str | None
    first_tried_at: datetime | None
    tried_at: datetime | None
    may_try_again: bool | None


class TicketRow(Row):
    """What is sent of a ticket, and what facts about it need."""

    id: UUID
    project_id: UUID
    version: int
    scheme: str
    key: str
    kind: str
    title: str
    description: str
    status: str
    category: str
    priority: str
    created_at: datetime
    reporter: str


class IncomingFacts(Struct, kw_only=True):
    """What we need of a delivery, or of an item of the catch-up.

    Attributes:
        action: `closed`, `reopened`, `deleted`, `transferred` of an issue, `commented` of a comment.
        repository_id: The repository's id at GitHub.
        issue_id: The issue's id at GitHub; None for comments of the catch-up, which have the number only.
        number: The issue's number.
        at: GitHub's `updated_at` of the issue.
        reason: GitHub's `state_reason`.
        comment_id: The comment's id at GitHub.
        login: The author of the comment.
        body: The text of the comment.
    """

    action: str
    repository_id: int
    issue_id: int | None = None
    number: int | None = None
    at: datetime | None = None
    reason: str | None = None
    comment_id: int | None = None
    login: str | None = None
    body: str | None = None
