"""Jobs of accounts: mail links, delete old sign-in failures, links and sessions."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, or_, select

from bugrelay.domain.accounts.models import (
    RESET_PASSWORD,
    VERIFY_EMAIL,
    OAuthCode,
    OAuthRequest,
    OneTimeLink,
    RefreshToken,
    Session,
    SignInFailure,
)
from bugrelay.domain.accounts.service import links
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.mail.message import mail_id
from bugrelay.infra.platform import Platform

PAGES = {VERIFY_EMAIL: "/api/v1/auth/verify-email", RESET_PASSWORD: "/account/reset-password"}
KEPT_FOR = timedelta(days=30)
MAX_DELETED = (
    5000  # rows in a run, so that the statement keeps its deadline even on a table with years of rows
)


async def mail_link(platform: Platform, *, user_id: str | None, link_id: str, purpose: str) -> None:
    """Create a one-time link and mail it; idempotent. Without a user it does nothing."""
    if user_id is None:
        return
    async with platform.work() as work:
        made = await links.make_link(
            work,
            key=platform.settings.signing_key,
            user_id=UUID(user_id),
            link_id=UUID(link_id),
            purpose=purpose,
        )
    if made is None:
        return
    user, token = made
    link = f"{platform.settings.public_url}{PAGES[purpose]}?token={token}"
    mail = platform.mailer.write(
        purpose, mail_id=mail_id(purpose, link_id), to=user.email, username=user.username, link=link
    )
    await platform.mailer.send(mail)


async def clean_up(platform: Platform) -> None:
    """Delete failed sign-ins, links, sessions, refresh tokens and OAuth requests that ended or expired long ago."""
    month_ago = func.now() - KEPT_FOR
    last_use = month_ago - timedelta(days=platform.settings.refresh_token_days)
    for table, is_over in (
        (SignInFailure, SignInFailure.at < func.now() - timedelta(days=1)),
        (OneTimeLink, OneTimeLink.expires_at < month_ago),
        (Session, or_(Session.ended_at < month_ago, Session.last_used_at < last_use)),
        (RefreshToken, RefreshToken.expires_at < month_ago),
        (OAuthRequest, OAuthRequest.expires_at < func.now()),
        (OAuthCode, OAuthCode.expires_at < func.now()),
    ):
        async with platform.work() as work:
            over = select(table.id).where(is_over).limit(MAX_DELETED)
            await work.session.execute(delete(table).where(table.id.in_(over)))


TASKS = Tasks(
    by_name={links.MAIL_JOB: mail_link},
    periodic={"accounts.clean_up": Periodic("17 * * * *", clean_up)},
)
