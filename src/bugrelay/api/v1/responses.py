"""The envelopes of responses: a resource under its name, and pages of lists."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field

from bugrelay.domain.accounts.schemas import Account, SessionOut
from bugrelay.domain.bugs.schemas import (
    AttachmentOut,
    BugDetail,
    BugItem,
    BugWithTechnical,
    CommentOut,
    HistoryEntry,
    Receipt,
    ReceiptSubscription,
    SubscriptionOut,
    TagCount,
    UserRef,
)
from bugrelay.domain.companies.schemas import FormerColleague, OpenedClaim, Role, RoleName, TeamMember
from bugrelay.domain.dashboards.schemas import ApplicationOut, CompanyItem, CompanyOut
from bugrelay.domain.github.schemas import GitHubConnectionOut, GitHubTestOut
from bugrelay.domain.moderation.schemas import AuditEntry, ModeratedBug, Stats
from bugrelay.domain.notifications.schemas import MySubscription, NoticeOut, NoticeSettingsOut
from bugrelay.domain.profiles.schemas import MyComment, MyVote, Profile, UserProfile
from bugrelay.domain.webhooks.schemas import DeliveryOut, WebhookOut
from bugrelay.http.responses import Message
from bugrelay.infra.pagination import CursorPagination, Pagination


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
    """Where an identity is proven, to be linked.

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


class TenantUserOut(Struct, kw_only=True):
    """A user of a tenant.

    Attributes:
        id: The user's id.
        email: The address.
        name: The name to show; the username where they have given none.
        username: The public name.
        role: What they may do in the tenant, by the name in the API that the request has named a role of, else in the
            ticket API.
        company_role: The same, by our name.
        avatar_url: The address of a picture.
        is_active: Whether they have rights in the tenant.
        created_at: When they registered.
        updated_at: When they last changed their account.
    """

    id: UUID
    email: str
    name: str
    username: str
    role: RoleName
    company_role: Role
    avatar_url: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


class InvitationOut(Struct, kw_only=True):
    """An invitation that can be accepted.

    Attributes:
        id: The invitation's id.
        email: The address that it was mailed to.
        role: The role that it gives, by the name in the API that the request has named a role of, else in the ticket
            API.
        company_role: The same, by our name.
        created_at: When it was sent.
        expires_at: Until when it can be accepted.
        inviter: Who sent it.
    """

    id: UUID
    email: str
    role: RoleName
    company_role: Role
    created_at: datetime
    expires_at: datetime
    inviter: UserRef


class InvitationList(Struct):
    """The invitations of a tenant that can be accepted.

    Attributes:
        invitations: Those of this page.
    """

    invitations: list[InvitationOut]
    pagination: Pagination


class UserAddedResponse(Message):
    """Who was added, or invited.

    Attributes:
        user: The user who was added; null where an invitation was sent.
        invitation: The invitation that was sent; null where a user was added.
    """

    user: TenantUserOut | None
    invitation: InvitationOut | None


class InvitationAcceptedResponse(Message):
    """Where one belongs from now on.

    Attributes:
        company_id: The company.
        domain: Its domain.
        role: What one may do there, by the name in the ticket API.
        company_role: The same, by our name.
    """

    company_id: UUID
    domain: str
    role: RoleName
    company_role: Role


class TenantUserList(Struct):
    """The users of a tenant.

    Attributes:
        users: Those of this page.
    """

    users: list[TenantUserOut]
    pagination: Pagination


class MyVoteList(Struct):
    """What I voted for.

    Attributes:
        votes: The votes of this page.
    """

    votes: list[MyVote]
    pagination: Pagination


class MyCommentList(Struct):
    """What I wrote.

    Attributes:
        comments: The comments of this page.
    """

    comments: list[MyComment]
    pagination: Pagination


class BugResponse(Struct):
    """One bug."""

    bug: BugDetail


class BugChangedResponse(Message):
    """A bug that was reported or changed."""

    bug: BugWithTechnical


class ReceiptLink(Struct):
    """The receipt of an anonymous report; it is not shown again.

    Attributes:
        url: The link, whose holder owns the report.
    """

    url: str


class BugReportedResponse(BugChangedResponse):
    """A bug that was reported.

    Attributes:
        receipt: Present for anonymous reports only.
    """

    receipt: ReceiptLink | UnsetType = UNSET


class ReceiptResponse(Struct):
    """The state of an anonymous report."""

    receipt: Receipt


class ReceiptSubscriptionResponse(Message):
    """The changed subscription of a report's owner."""

    subscription: ReceiptSubscription


class WithdrawnResponse(Message):
    """A report that was withdrawn.

    Attributes:
        removed: Whether the bug was removed.
    """

    removed: bool


class BugList(Struct):
    """A page of bugs.

    Attributes:
        bugs: The bugs of this page.
        match: For a search: whether the first bug of the page has all of its words, or some.
        ranked: True if no bug has all words of a search, and the total counts the bugs with some of them.
    """

    bugs: list[BugItem]
    pagination: CursorPagination
    match: Literal["all", "some"] | UnsetType = UNSET
    ranked: bool | UnsetType = UNSET


class VoteResponse(Message):
    """A vote, cast or withdrawn.

    Attributes:
        voted: Whether I have a vote for the bug now.
        vote_count: The number of counted votes.
    """

    voted: bool
    vote_count: int


class CommentResponse(Message):
    """A comment that was written or edited."""

    comment: CommentOut


class CommentList(Struct):
    """A page of comments."""

    comments: list[CommentOut]
    pagination: Pagination


class AttachmentResponse(Message):
    """A picture that was added."""

    attachment: AttachmentOut


class TagList(Struct):
    """A page of tags.

    Attributes:
        tags: The tags of this page.
    """

    tags: list[TagCount]
    pagination: Pagination


class HistoryList(Struct):
    """A page of changes."""

    history: list[HistoryEntry]
    pagination: Pagination


class ClaimResponse(Message):
    """A claim that was opened."""

    claim: OpenedClaim


class MemberResponse(Message):
    """A member of a team, as they are now.

    Attributes:
        member: The member.
    """

    member: TeamMember


class MemberList(Struct):
    """A page of a team.

    Attributes:
        members: The members of this page.
        former_members: For the team's admins: the latest hundred of those who were on a team before.
    """

    members: list[TeamMember]
    pagination: Pagination
    former_members: list[FormerColleague] | UnsetType = UNSET


class CompanyResponse(Struct):
    """One company."""

    company: CompanyOut


class CompanyChangedResponse(Message):
    """A company that was changed."""

    company: CompanyOut


class CompanyList(Struct):
    """A page of companies."""

    companies: list[CompanyItem]
    pagination: Pagination


class ApplicationResponse(Struct):
    """One application."""

    application: ApplicationOut


class ApplicationChangedResponse(Message):
    """An application that was changed."""

    application: ApplicationOut


class ApplicationList(Struct):
    """A page of applications."""

    applications: list[ApplicationOut]
    pagination: Pagination


class FlagResponse(Message):
    """A flag.

    Attributes:
        flag_id: The flag's id.
        reason: The reason that was given.
    """

    flag_id: UUID
    reason: str


class ModeratedBugList(Struct):
    """A page of bugs, as moderators see them."""

    bugs: list[ModeratedBug]
    pagination: Pagination


class BugAct(Message):
    """An act of moderation on a bug.

    Attributes:
        bug_id: The bug.
        reason: The reason that was given.
    """

    bug_id: UUID
    reason: str


class BugRestoredAct(Message):
    """A bug that was restored.

    Attributes:
        bug_id: The bug.
    """

    bug_id: UUID


class MergeAct(Message):
    """A merge.

    Attributes:
        source_bug_id: The bug that was merged.
        target_bug_id: The bug that it was merged into.
        reason: The reason that was given.
    """

    source_bug_id: UUID
    target_bug_id: UUID
    reason: str


class UnmergeAct(MergeAct):
    """A merge that was undone.

    Attributes:
        bug_id: The bug that is not merged any more.
    """

    bug_id: UUID


class CommentAct(Message):
    """An act of moderation on a comment.

    Attributes:
        comment_id: The comment.
        reason: The reason that was given.
    """

    comment_id: UUID
    reason: str


class UserAct(Message):
    """An act of moderation on a user.

    Attributes:
        user_id: The user.
        reason: The reason that was given.
    """

    user_id: UUID
    reason: str


class BanAct(UserAct):
    """A ban.

    Attributes:
        until: When it ends; null if it lasts until it is lifted.
    """

    until: datetime | None


class CompanyAct(Message):
    """An act of moderation on a company.

    Attributes:
        company_id: The company.
        reason: The reason that was given.
    """

    company_id: UUID
    reason: str


class ApplicationAct(Message):
    """An application that was reassigned.

    Attributes:
        application_id: The application.
        company_id: Its company now; null for none.
    """

    application_id: UUID
    company_id: UUID | None


class AuditList(Struct):
    """A page of the audit log."""

    logs: list[AuditEntry]
    pagination: Pagination


class ModerationDashboard(Struct):
    """Statistics of the board, and the latest acts of moderation.

    Attributes:
        recent_activity: The latest fifty entries of the audit log.
    """

    stats: Stats
    recent_activity: list[AuditEntry]


class SubscriptionResponse(Message):
    """A subscription that was changed.

    Attributes:
        subscription: My subscription to the bug; null if I do not follow it.
    """

    subscription: SubscriptionOut | None


class MySubscriptionList(Struct):
    """A page of my subscriptions.

    Attributes:
        subscriptions: The subscriptions of this page.
    """

    subscriptions: list[MySubscription]
    pagination: Pagination


class NoticeSettingsResponse(Struct):
    """The settings of my notifications."""

    notice_settings: NoticeSettingsOut


class NoticeSettingsChangedResponse(Message):
    """The changed settings of my notifications."""

    notice_settings: NoticeSettingsOut


class NoticeList(Struct):
    """A page of my notices.

    Attributes:
        notices: The notices of this page.
        unread: The number of unread notices on all pages.
    """

    notices: list[NoticeOut]
    unread: int
    pagination: Pagination


class NoticesReadResponse(Message):
    """Notices that were marked as read.

    Attributes:
        unread: The number of notices that are still unread.
    """

    unread: int


class WebhookResponse(Struct):
    """One webhook."""

    webhook: WebhookOut


class WebhookChangedResponse(Message):
    """A webhook that was changed."""

    webhook: WebhookOut


class WebhookSecretResponse(Message):
    """A webhook with its new secret, which is not shown again.

    Attributes:
        secret: The key of signatures, in the form that libraries of Standard Webhooks read.
    """

    webhook: WebhookOut
    secret: str


class WebhookList(Struct):
    """A page of webhooks.

    Attributes:
        webhooks: The webhooks of this page.
    """

    webhooks: list[WebhookOut]
    pagination: Pagination


class DeliveryResponse(Message):
    """A delivery that was queued."""

    delivery: DeliveryOut


class DeliveryList(Struct):
    """A page of deliveries.

    Attributes:
        deliveries: The deliveries of this page.
    """

    deliveries: list[DeliveryOut]
    pagination: CursorPagination


class GitHubConnectionResponse(Struct):
    """The company's connection to GitHub."""

    github: GitHubConnectionOut


class GitHubConnectionSetResponse(Message):
    """A connection that was made or changed.

    Attributes:
        webhook_secret: What GitHub is to sign deliveries with; null where the connection is not new.
    """

    github: GitHubConnectionOut
    webhook_secret: str | None


class GitHubTestResponse(Struct):
    """What GitHub says of the repository and the token."""

    test: GitHubTestOut
