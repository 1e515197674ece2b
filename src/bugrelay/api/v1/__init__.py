"""The JSON API under `/api/v1`, one module per resource, and pages at other addresses."""

from __future__ import annotations

from litestar import Controller

from bugrelay.api.v1.applications import ApplicationController
from bugrelay.api.v1.attachments import AttachmentController, UploadController
from bugrelay.api.v1.auth import AuthController
from bugrelay.api.v1.bugs import BugController
from bugrelay.api.v1.comments import BugCommentController, CommentController
from bugrelay.api.v1.companies.applications import CompanyApplicationController
from bugrelay.api.v1.companies.claims import ClaimController
from bugrelay.api.v1.companies.dashboard import DashboardController
from bugrelay.api.v1.companies.github import GitHubController
from bugrelay.api.v1.companies.profile import CompanyController
from bugrelay.api.v1.companies.team import TeamController
from bugrelay.api.v1.companies.webhooks import WebhookController
from bugrelay.api.v1.config import ConfigController
from bugrelay.api.v1.contact_pages import ContactPageController
from bugrelay.api.v1.credential_pages import AccountPageController
from bugrelay.api.v1.credentials import CredentialController
from bugrelay.api.v1.flags import FlagController
from bugrelay.api.v1.integrations import IntegrationController
from bugrelay.api.v1.invitation_pages import InvitationPageController
from bugrelay.api.v1.invitations import InvitationController
from bugrelay.api.v1.moderation.bugs import BugModerationController
from bugrelay.api.v1.moderation.comments import CommentModerationController
from bugrelay.api.v1.moderation.companies import CompanyModerationController
from bugrelay.api.v1.moderation.overview import OverviewController
from bugrelay.api.v1.moderation.users import UserModerationController
from bugrelay.api.v1.oauth import OAuthController
from bugrelay.api.v1.receipts import ReceiptController
from bugrelay.api.v1.similar import SimilarController
from bugrelay.api.v1.subscriptions import SubscriptionController
from bugrelay.api.v1.tags import TagController
from bugrelay.api.v1.unsubscribe_pages import UnsubscribePageController
from bugrelay.api.v1.users.me import MyController
from bugrelay.api.v1.users.notices import MyNoticeController
from bugrelay.api.v1.users.tenant_users import UserController
from bugrelay.api.v1.votes import VoteController

CONTROLLERS: tuple[type[Controller], ...] = (
    AuthController,
    CredentialController,
    OAuthController,
    AccountPageController,
    UnsubscribePageController,
    ClaimController,
    TeamController,
    BugController,
    SimilarController,
    ReceiptController,
    ContactPageController,
    TagController,
    VoteController,
    SubscriptionController,
    BugCommentController,
    CommentController,
    AttachmentController,
    UploadController,
    ConfigController,
    FlagController,
    OverviewController,
    BugModerationController,
    CommentModerationController,
    UserModerationController,
    CompanyModerationController,
    MyController,
    MyNoticeController,
    UserController,
    InvitationController,
    InvitationPageController,
    CompanyController,
    CompanyApplicationController,
    DashboardController,
    WebhookController,
    GitHubController,
    IntegrationController,
    ApplicationController,
)
