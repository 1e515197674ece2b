"""What a report must pass before its transaction begins, since each asks somebody outside the database."""

from __future__ import annotations

from bugrelay.domain.bugs.schemas import ReportBug
from bugrelay.domain.companies.domains import application_domain
from bugrelay.domain.companies.repository import application_exists
from bugrelay.errors import RateLimitExceeded
from bugrelay.infra.db.query import Reader
from bugrelay.infra.redis.rate_limits import Bucket, Limiter
from bugrelay.infra.security.captcha import CaptchaVerifier, token_identity
from bugrelay.infra.text.names import name_key
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


async def check_new_application(
    wanted: ReportBug, *, caller: str, reader: Reader, limiter: Limiter, budget: Bucket | None
) -> None:
    """An address may name only so many applications a day that nobody has named before.

    Args:
        wanted: The report.
        caller: What `limit_identity` gives.
        reader: Knows the applications.
        limiter: Counts what the caller has named.
        budget: How many; None for any number.

    Raises:
        RateLimitExceeded
    """
    domain = (application_domain(wanted.application_url) if wanted.application_url else None) or ""
    key = name_key(wanted.application_name)
    if budget is None or await application_exists(reader, name_key=key, domain=domain):
        return
    decision = await limiter.hit([(budget, caller)])
    if not decision.allowed:
        raise RateLimitExceeded(
            "Too many new applications from this address today",
            headers={"Retry-After": str(decision.retry_after_seconds)},
        )
