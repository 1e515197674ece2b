"""Checks of a report before its transaction begins: they call Redis or the captcha's verifier."""

from __future__ import annotations

from bugrelay.domain.bugs.schemas import ReportBug
from bugrelay.errors import RateLimitExceeded
from bugrelay.infra.mail.limits import MailLimits
from bugrelay.infra.redis.rate_limits import Bucket, Limiter
from bugrelay.infra.security.captcha import CaptchaVerifier, token_identity
from bugrelay.infra.viewer import Viewer


async def check_captcha(
    captcha: CaptchaVerifier, viewer: Viewer, *, token: str | None, remote_address: str
) -> str | None:
    """Verify the token if one is required or given.

    Returns:
        The identity of a token that the report uses up; None without one.

    Raises:
        RecaptchaFailed, RecaptchaUnavailable
    """
    if token is None and viewer.signed_in:
        return None
    await captcha.verify(token, remote_address=remote_address)
    return token_identity(token) if token is not None and captcha.single_use else None


async def charge_new_application(limiter: Limiter, budget: Bucket | None, *, caller: str) -> None:
    """Charge a report that would create an application to the daily limit of its address.

    Args:
        limiter: Counts the new applications of the caller.
        budget: The limit; None for no limit.
        caller: The result of `limit_identity`.

    Raises:
        RateLimitExceeded
    """
    if budget is None:
        return
    decision = await limiter.hit([(budget, caller)])
    if not decision.allowed:
        raise RateLimitExceeded(
            "Too many new applications from this address today",
            headers={"Retry-After": str(decision.retry_after_seconds)},
        )


async def may_mail_contact(
    wanted: ReportBug, viewer: Viewer, *, caller: str, mail_limits: MailLimits
) -> bool:
    """Whether the contact address of an anonymous report may be mailed a link now, within the caller's mail limit.

    A report is accepted even if it may not: its receipt can request the mail later.

    Args:
        wanted: The report.
        viewer: Who reports.
        caller: The result of `limit_identity`.
        mail_limits: Counts the mails that the caller has requested.
    """
    if viewer.signed_in or wanted.contact_email is None:
        return False
    return not await mail_limits.take(None, caller=caller)
