"""Responses about accounts, sessions and what a user has done."""

from __future__ import annotations

from msgspec import Struct, field

from bugrelay.domain.accounts.schemas import Account, SessionOut
from bugrelay.domain.profiles.schemas import MyComment, MyVote, Profile, UserProfile
from bugrelay.http.responses import Message
from bugrelay.infra.pagination import Pagination


class TokensResponse(Message, kw_only=True):
    """A session, opened or renewed; the last four say it again in the ticket API's keys.

    Attributes:
        access_token: For the `Authorization` header.
        refresh_token: For the next `POST /auth/refresh`, once.
        token_type: The scheme of the header.
        expires_in: The access token's life, in seconds.
        ticket_access_token: As `access_token`.
        ticket_refresh_token: As `refresh_token`.
        ticket_token_type: As `token_type`.
        ticket_expires_in: As `expires_in`.
    """

    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name (RFC 6750)
    expires_in: int
    ticket_access_token: str = field(default="", name="accessToken")
    ticket_refresh_token: str = field(default="", name="refreshToken")
    ticket_token_type: str = field(default="", name="tokenType")
    ticket_expires_in: int = field(default=0, name="expiresIn")

    def __post_init__(self) -> None:
        self.ticket_access_token, self.ticket_refresh_token = self.access_token, self.refresh_token
        self.ticket_token_type, self.ticket_expires_in = self.token_type, self.expires_in


class SignedInResponse(TokensResponse, kw_only=True):
    """A session that was opened just now, and whose it is."""

    user: Account


class LinkStartedResponse(Message):
    """The address at the provider where an identity is linked.

    Attributes:
        authorization_url: Where to send the browser, once, within a minute.
    """

    authorization_url: str


class VerifiedResponse(Message):
    """An address that is proven."""

    user: Account


class SessionList(Struct):
    """A page of sessions."""

    sessions: list[SessionOut]
    pagination: Pagination


class ProfileResponse(Struct):
    """An account."""

    user: Profile


class ProfileChangedResponse(Message):
    """An account that was changed."""

    user: Profile


class UserProfileResponse(Struct):
    """A user's profile."""

    user: UserProfile


class UserProfileChangedResponse(Message):
    """A user's profile that was changed."""

    user: UserProfile


class MyVoteList(Struct):
    """The bugs that I voted for.

    Attributes:
        votes: The votes of this page.
    """

    votes: list[MyVote]
    pagination: Pagination


class MyCommentList(Struct):
    """My comments.

    Attributes:
        comments: The comments of this page.
    """

    comments: list[MyComment]
    pagination: Pagination
