"""How many mails of one kind an address may get: who asks for one is charged first, by the address it goes to."""

from __future__ import annotations

import hashlib

from bugrelay.infra.redis.rate_limits import Bucket, Charge, Limiter
from bugrelay.settings import Rate

MAILS_AN_HOUR = Rate(20, 3600)


class MailLimits:
    """Counts mails by the address they go to: by `RATE_LIMIT_MAIL`, and at most `MAILS_AN_HOUR`.

    Args:
        limiter: What counts.
        short: At the rate of `RATE_LIMIT_MAIL`, also counts by the caller; None (`off`) counts nothing here either.
            Its name tells the kinds of mails apart: each kind has counts of its own.
    """

    def __init__(self, limiter: Limiter, short: Bucket | None) -> None:
        self._limiter = limiter
        self._short = short
        self._hourly = Bucket(f"{short.name}_to_address" if short else "", MAILS_AN_HOUR)

    async def take(self, address: str | None, *, caller: str | None = None) -> int:
        """Count a mail that is about to be asked for.

        Args:
            address: Where it goes; kept as a hash, for whoever can read the counts shall not read addresses. None
                counts the caller alone.
            caller: Who asks for it, as limits count them, besides the client address that the route is counted by.

        Returns:
            0, or the seconds to wait: the mail must not be sent, and nothing was counted.
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
