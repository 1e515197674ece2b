"""The envelopes of answers: what a resource is wrapped in on its way out, and pages of lists."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from bugrelay.domain.accounts.schemas import Account, SessionOut
from bugrelay.domain.bugs.schemas import (
    AttachmentOut,
    BugDetail,
    BugItem,
    BugWithTechnical,
    CommentOut,
    HistoryEntry,
    TagCount,
)
from bugrelay.domain.companies.schemas import FormerColleague, OpenedClaim, TeamMember
from bugrelay.domain.dashboards.schemas import ApplicationOut, CompanyItem, CompanyOut
from bugrelay.domain.moderation.schemas import AuditEntry, ModeratedBug, Stats
from bugrelay.domain.profiles.schemas import MyComment, MyVote, Profile, PublicProfile
from bugrelay.http.responses import Message
from bugrelay.infra.pagination import CursorPagination, Pagination


class TokensResponse(Message, kw_only=True):
    """`expires_in` is the access token's life, in seconds."""

    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name (RFC 6750)
    expires_in: int


class SignedInResponse(TokensResponse, kw_only=True):
    user: Account


class VerifiedResponse(Message):
    user: Account


class SessionList(Struct):
    sessions: list[SessionOut]
    pagination: Pagination


class ProfileResponse(Struct):
    user: Profile


class ProfileChangedResponse(Message):
    user: Profile


class PublicProfileResponse(Struct):
    user: PublicProfile


class MyVoteList(Struct):
    votes: list[MyVote]
    pagination: Pagination


class MyCommentList(Struct):
    comments: list[MyComment]
    pagination: Pagination


class BugResponse(Struct):
    bug: BugDetail


class BugChangedResponse(Message):
    bug: BugWithTechnical


class BugList(Struct):
    """A page of bugs; `match` only beside a search."""

    bugs: list[BugItem]
    pagination: CursorPagination
    match: Literal["all", "some"] | UnsetType = UNSET


class VoteResponse(Message):
    voted: bool
    vote_count: int


class CommentResponse(Message):
    comment: CommentOut


class CommentList(Struct):
    comments: list[CommentOut]
    pagination: Pagination


class AttachmentResponse(Message):
    attachment: AttachmentOut


class TagList(Struct):
    tags: list[TagCount]
    pagination: Pagination


class HistoryList(Struct):
    history: list[HistoryEntry]
    pagination: Pagination


class ClaimResponse(Message):
    claim: OpenedClaim


class MemberResponse(Message):
    member: TeamMember


class MemberList(Struct):
    """`former_members` are told to the team's admins: the latest hundred."""

    members: list[TeamMember]
    pagination: Pagination
    former_members: list[FormerColleague] | UnsetType = UNSET


class CompanyResponse(Struct):
    company: CompanyOut


class CompanyChangedResponse(Message):
    company: CompanyOut


class CompanyList(Struct):
    companies: list[CompanyItem]
    pagination: Pagination


class ApplicationResponse(Struct):
    application: ApplicationOut


class ApplicationChangedResponse(Message):
    application: ApplicationOut


class ApplicationList(Struct):
    applications: list[ApplicationOut]
    pagination: Pagination


class FlagResponse(Message):
    flag_id: UUID
    reason: str


class ModeratedBugList(Struct):
    bugs: list[ModeratedBug]
    pagination: Pagination


class BugAct(Message):
    bug_id: UUID
    reason: str


class BugRestoredAct(Message):
    bug_id: UUID


class MergeAct(Message):
    source_bug_id: UUID
    target_bug_id: UUID
    reason: str


class UnmergeAct(MergeAct):
    bug_id: UUID


class CommentAct(Message):
    comment_id: UUID
    reason: str


class UserAct(Message):
    user_id: UUID
    reason: str


class BanAct(UserAct):
    until: datetime | None


class CompanyAct(Message):
    company_id: UUID
    reason: str


class ApplicationAct(Message):
    application_id: UUID
    company_id: UUID | None


class AuditList(Struct):
    logs: list[AuditEntry]
    pagination: Pagination


class ModerationDashboard(Struct):
    stats: Stats
    recent_activity: list[AuditEntry]
