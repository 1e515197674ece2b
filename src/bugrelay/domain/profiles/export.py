"""The export of all data about a person, as one JSON document with a list of rows for each table.

Secrets (hashes of passwords and tokens) are left out. Columns are listed explicitly, so that a new one is not exported
by accident; a test fails for a table that is missing here.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from msgspec import defstruct
from msgspec.structs import asdict
from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from bugrelay.domain.accounts.models import (
    Identity,
    OneTimeLink,
    Session,
    SignInFailure,
    User,
    account_hash,
)
from bugrelay.domain.bugs.models import (
    Attachment,
    Bug,
    BugEdit,
    BugMerge,
    BugText,
    Comment,
    StatusChange,
    Vote,
)
from bugrelay.domain.companies.models import Company, CompanyClaim, FormerMember, Invitation, Member
from bugrelay.domain.companies.visibility import EFFECTIVE, ON_TEAM, claims_visible_to
from bugrelay.domain.moderation.models import AuditLog, Flag
from bugrelay.domain.notifications.models import (
    Notice,
    NoticeMail,
    NoticeSettings,
    Subscription,
    TicketSubscription,
)
from bugrelay.domain.rules.models import WorkflowRule
from bugrelay.domain.support.models import Screenshot, SupportReport
from bugrelay.domain.tickets.models import Ticket, TicketAssignee, TicketAttachment, TicketComment
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.db.query import Query, Reader, Row

_me: BindParameter[Any] = bindparam("user_id")
Columns = tuple[InstrumentedAttribute[Any], ...]

_my_companies = (
    select(Member.company_id)
    .join(Company, Company.id == Member.company_id)
    .join(User, User.id == Member.user_id)
    .where(Member.user_id == _me, Company.verified, EFFECTIVE)
)
"""The companies that the person belongs to; what they wrote for others that they have left belongs to those."""

SECTIONS: dict[str, tuple[ColumnElement[bool], Columns]] = {
    "account": (
        User.id == _me,
        (
            User.id, User.email, User.username, User.display_name, User.avatar_url, User.auth_provider,
            User.is_email_verified, User.is_admin, User.banned_at, User.banned_until, User.password_set_at,
            User.created_at, User.updated_at, User.last_active_at,
        ),
    ),
    "sessions": (
        Session.user_id == _me,
        (
            Session.id, Session.created_at, Session.last_used_at, Session.ended_at, Session.ip_address,
            Session.user_agent,
        ),
    ),
    "identities": (
        Identity.user_id == _me,
        (
            Identity.provider, Identity.issuer, Identity.subject, Identity.email, Identity.created_at,
            Identity.last_used_at,
        ),
    ),
    "one_time_links": (
        OneTimeLink.user_id == _me,
        (
            OneTimeLink.purpose, OneTimeLink.email, OneTimeLink.created_at, OneTimeLink.expires_at,
            OneTimeLink.used_at,
        ),
    ),
    "sign_in_failures": (
        and_(
            SignInFailure.account_hash == bindparam("account_hash"),
            SignInFailure.under_way.is_(False),
            # Earlier failures were for an address without an account.
            SignInFailure.at >= select(User.created_at).where(User.id == _me).scalar_subquery(),
        ),
        (SignInFailure.at, SignInFailure.ip_address),
    ),
    "company_memberships": (
        Member.user_id == _me,
        (Member.id, Member.company_id, Member.role, Member.added_at, Member.is_active),
    ),
    "former_company_memberships": (
        FormerMember.user_id == _me,
        (FormerMember.company_id, FormerMember.role, FormerMember.added_at, FormerMember.ended_at),
    ),
    "company_invitations_sent": (
        Invitation.inviter_id == _me,
        (Invitation.id, Invitation.company_id, Invitation.role, Invitation.created_at, Invitation.expires_at),
    ),
    "company_invitations": (
        Invitation.email_key
        == select(User.email_key).where(User.id == _me, User.is_email_verified).scalar_subquery(),
        (
            Invitation.id, Invitation.company_id, Invitation.email, Invitation.role, Invitation.created_at,
            Invitation.expires_at,
        ),
    ),
    "company_claims": (
        claims_visible_to(_me),
        (
            CompanyClaim.id, CompanyClaim.company_id, CompanyClaim.method, CompanyClaim.email, CompanyClaim.created_at,
            CompanyClaim.expires_at, CompanyClaim.checked_at, CompanyClaim.used_at,
        ),
    ),
    "bugs": (
        Bug.reporter_id == _me,
        (
            Bug.id, Bug.title, Bug.status, Bug.priority, Bug.tags, Bug.application_id, Bug.assigned_company_id,
            Bug.created_at, Bug.updated_at, Bug.resolved_at, Bug.removed_at, Bug.merged_into_id,
        ),
    ),
    "bug_texts": (
        BugText.bug_id.in_(select(Bug.id).where(Bug.reporter_id == _me)),
        (
            BugText.bug_id, BugText.description, BugText.operating_system, BugText.device_type, BugText.app_version,
            BugText.browser_version, BugText.contact_email,
        ),
    ),
    "bug_edits": (BugEdit.user_id == _me, (BugEdit.bug_id, BugEdit.before, BugEdit.at)),
    "votes": (Vote.user_id == _me, (Vote.bug_id, Vote.created_at, Vote.counted)),
    "comments": (
        Comment.user_id == _me,
        (
            Comment.id, Comment.bug_id, Comment.content, Comment.is_company_response, Comment.created_at,
            Comment.edited_at, Comment.removed_at,
        ),
    ),
    "attachments": (
        Attachment.user_id == _me,
        (
            Attachment.id, Attachment.bug_id, Attachment.filename, Attachment.file_size, Attachment.mime_type,
            Attachment.uploaded_at,
        ),
    ),
    "tickets": (
        and_(Ticket.reporter_id == _me, Ticket.removed_at.is_(None), Ticket.company_id.in_(_my_companies)),
        (
            Ticket.id, Ticket.company_id, Ticket.key, Ticket.title, Ticket.description, Ticket.status, Ticket.priority,
            Ticket.department, Ticket.tags, Ticket.created_at, Ticket.updated_at, Ticket.resolved_at,
        ),
    ),
    "ticket_comments": (
        and_(
            TicketComment.author_id == _me,
            TicketComment.removed_at.is_(None),
            TicketComment.company_id.in_(_my_companies),
            or_(
                TicketComment.is_internal.is_(False), TicketComment.company_id.in_(_my_companies.where(ON_TEAM))
            ),
        ),
        (
            TicketComment.id, TicketComment.company_id, TicketComment.ticket_id, TicketComment.content,
            TicketComment.is_internal, TicketComment.created_at, TicketComment.updated_at,
        ),
    ),
    "ticket_assignees": (
        and_(TicketAssignee.user_id == _me, TicketAssignee.company_id.in_(_my_companies)),
        (TicketAssignee.company_id, TicketAssignee.ticket_id),
    ),
    "ticket_attachments": (
        and_(TicketAttachment.user_id == _me, TicketAttachment.company_id.in_(_my_companies)),
        (
            TicketAttachment.id, TicketAttachment.company_id, TicketAttachment.ticket_id, TicketAttachment.filename,
            TicketAttachment.mime_type, TicketAttachment.file_size, TicketAttachment.created_at,
        ),
    ),
    "support_reports": (
        and_(SupportReport.user_id == _me, SupportReport.company_id.in_(_my_companies)),
        (
            SupportReport.company_id, SupportReport.ticket_id, SupportReport.steps_to_reproduce,
            SupportReport.expected_behavior, SupportReport.actual_behavior, SupportReport.browser_info,
            SupportReport.page_url, SupportReport.page_title, SupportReport.viewport_size,
            SupportReport.screen_resolution, SupportReport.screenshot_annotations, SupportReport.capture,
            SupportReport.truncated, SupportReport.email_sent_at, SupportReport.created_at,
        ),
    ),
    "support_screenshots": (
        and_(Screenshot.user_id == _me, Screenshot.company_id.in_(_my_companies)),
        (
            Screenshot.id, Screenshot.company_id, Screenshot.ticket_id, Screenshot.name, Screenshot.mime_type,
            Screenshot.file_size, Screenshot.created_at,
        ),
    ),
    # Only that they created it: its content may be another admin's by now.
    "workflow_rules": (
        WorkflowRule.created_by == _me,
        (WorkflowRule.id, WorkflowRule.company_id, WorkflowRule.created_at),
    ),
    "status_changes": (
        StatusChange.user_id == _me,
        (StatusChange.bug_id, StatusChange.from_status, StatusChange.to_status, StatusChange.at),
    ),
    "bug_merges": (
        BugMerge.user_id == _me,
        (BugMerge.kind, BugMerge.source_bug_id, BugMerge.target_bug_id, BugMerge.reason, BugMerge.at),
    ),
    "flags": (Flag.user_id == _me, (Flag.bug_id, Flag.comment_id, Flag.reason, Flag.note, Flag.created_at)),
    "bug_subscriptions": (
        Subscription.user_id == _me,
        (Subscription.bug_id, Subscription.level, Subscription.chosen_at),
    ),
    "ticket_subscriptions": (
        and_(TicketSubscription.user_id == _me, TicketSubscription.company_id.in_(_my_companies)),
        (TicketSubscription.ticket_id, TicketSubscription.level, TicketSubscription.chosen_at),
    ),
    "notice_settings": (
        NoticeSettings.user_id == _me,
        (NoticeSettings.mail, NoticeSettings.default_level, NoticeSettings.updated_at),
    ),
    "notices": (
        Notice.user_id == _me,
        (Notice.id, Notice.fan_out_id, Notice.mail_id, Notice.created_at, Notice.read_at),
    ),
    "notice_mails": (
        NoticeMail.user_id == _me,
        (NoticeMail.id, NoticeMail.kind, NoticeMail.made_at, NoticeMail.due_at, NoticeMail.closed_at),
    ),
    "audit_logs": (
        AuditLog.user_id == _me,
        (
            AuditLog.id, AuditLog.action, AuditLog.resource, AuditLog.resource_id, AuditLog.details,
            AuditLog.ip_address, AuditLog.user_agent, AuditLog.created_at,
        ),
    ),
}  # fmt: skip
_QUERIES = {
    name: Query(
        select(*columns).where(mine), defstruct(name, [column.key for column in columns], bases=(Row,))
    )
    for name, (mine, columns) in SECTIONS.items()
}


async def export_of(reader: Reader, user_id: UUID, *, email: str) -> dict[str, Any]:
    """The export: lists of rows by the names of `SECTIONS`; `account` is a single row, or None."""
    parameters = {"user_id": user_id, "account_hash": account_hash(email)}
    document: dict[str, Any] = {}
    for name, query in _QUERIES.items():
        document[name] = [asdict(row) for row in await reader.rows(query, parameters)]
    document["account"] = document["account"][0] if document["account"] else None
    _leave_out_strangers(document)
    return document


def _leave_out_strangers(document: dict[str, Any]) -> None:
    """Remove the network addresses of failed sign-ins, which may be other people's, except those from which the owner
    has had a session."""
    own = {limit_identity(session["ip_address"]) for session in document["sessions"] if session["ip_address"]}
    for failure in document["sign_in_failures"]:
        if failure["ip_address"] not in own:
            failure["ip_address"] = None
