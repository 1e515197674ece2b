"""Rate limits of mails by kind and address, counted before a mail is requested."""

from __future__ import annotations

import hashlib

from bugrelay.infra.redis.rate_limits import Bucket, Charge, Limiter
from bugrelay.settings import Rate

MAILS_AN_HOUR = Rate(20, 3600)


class MailLimits:
    """Limits the mails to an address, by `RATE_LIMIT_MAIL` and by `MAILS_AN_HOUR`.

    Args:
        limiter: The rate limiter.
        short: The bucket with the rate of `RATE_LIMIT_MAIL`, which counts callers, too; None (`off`) switches both
            limits off. Its name identifies the kind of mails: each kind has separate counts.
    """

    def __init__(self, limiter: Limiter, short: Bucket | None) -> None:
        self._limiter = limiter
        self._short = short
        self._hourly = Bucket(f"{short.name}_to_address" if short else "", MAILS_AN_HOUR)

    async def take(self, address: str | None, *, caller: str | None = None) -> int:
        """Count a mail that is about to be requested.

        Args:
            address: The recipient, counted under a hash, so that the counts reveal no addresses. None counts only the
                caller.
            caller: The identity of the caller in rate limits; the client address is limited by the route already.

        Returns:
            0, or the seconds to wait; then the mail must not be sent, and nothing was counted.
        """
        if self._short is None:
            return 0
        charges: list[Charge] = []
        if address is not None:
            identity = "address:" + hashlib.sha256(address.casefold().encode("utf-8", "replace")).hexdigest()
            charges += [(self._short, identity), (self._hourly, identity)]
        if caller is not None:
            charges.append((self._short, caller))
        if not charges:
            return 0
        return (await self._limiter.hit(charges)).retry_after_seconds
