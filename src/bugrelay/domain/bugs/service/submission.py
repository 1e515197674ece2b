"""What a report must pass before its transaction begins, since each asks somebody outside the database."""

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
    """Verify the token where one is asked for or given; gives the identity of the one that is used up by it.

    Raises:
        RecaptchaFailed, RecaptchaUnavailable
    """
    if token is None and viewer.signed_in:
        return None
    await captcha.verify(token, remote_address=remote_address)
    return token_identity(token) if token is not None and captcha.single_use else None


async def charge_new_application(limiter: Limiter, budget: Bucket | None, *, caller: str) -> None:
    """An address may name only so many applications a day that nobody has named before.

    Args:
        limiter: Counts what the caller has named.
        budget: How many; None for any number.
        caller: What `limit_identity` gives.

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
    """Whether the address of an anonymous report may be mailed a link now. A report is not refused for that: its
    receipt can ask again.

    Args:
        wanted: The report.
        viewer: Who reports.
        caller: What `limit_identity` gives.
        mail_limits: Counts the mails that the caller has asked for.
    """
    if viewer.signed_in or wanted.contact_email is None:
        return False
    return not await mail_limits.take(None, caller=caller)
