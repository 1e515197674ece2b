"""The ports of a process: stores, external services, the event bus. Created once and passed to everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bugrelay.infra.coalescing import Coalescer
from bugrelay.infra.db.database import Database
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import EventBus
from bugrelay.infra.incremental_counts import IncrementalCounts
from bugrelay.infra.jobs.queue import JobQueue
from bugrelay.infra.mail.limits import MailLimits
from bugrelay.infra.mail.mailer import Mailer
from bugrelay.infra.media.image_pool import ImageCleaner
from bugrelay.infra.redis.cache import Cache
from bugrelay.infra.redis.client import RedisClient
from bugrelay.infra.redis.rate_limits import Bucket, Limiter, LimitName
from bugrelay.infra.security.captcha import CaptchaVerifier, captcha_from
from bugrelay.infra.security.egress import Egress
from bugrelay.infra.security.encryption import Encryption
from bugrelay.infra.security.identity_providers.configured import identity_providers_from
from bugrelay.infra.security.identity_providers.port import IdentityProvider
from bugrelay.infra.security.passwords import Passwords
from bugrelay.infra.security.tokens import AccessTokens
from bugrelay.infra.storage.port import Storage
from bugrelay.infra.storage.url import storage_from
from bugrelay.infra.threads import BoundedThreads
from bugrelay.settings import Rate, Settings

COMPUTING_SECONDS = 3.0  # sums that would keep the event loop from everybody else


@dataclass(frozen=True)
class Platform:
    """Ports by name; `work()` begins a unit of work.

    `buckets` has every rate limit by its name, None for one that is turned off; `identity_providers` has those in the
    settings.
    """

    settings: Settings
    database: Database
    bus: EventBus
    redis: RedisClient
    cache: Cache
    limiter: Limiter
    buckets: Mapping[LimitName, Bucket | None]
    captcha: CaptchaVerifier
    identity_providers: Mapping[str, IdentityProvider]
    storage: Storage
    images: ImageCleaner
    jobs: JobQueue
    mailer: Mailer
    mail_limits: MailLimits
    reset_budget: MailLimits
    passwords: Passwords
    tokens: AccessTokens
    encryption: Encryption
    egress: Egress
    counts: IncrementalCounts
    coalescer: Coalescer
    computing: BoundedThreads

    def work(self) -> UnitOfWork:
        return UnitOfWork(self.database, self.bus)

    async def start(self) -> None:
        """Connect to Redis and keep the connection; PostgreSQL is connected to at first use."""
        await self.redis.start()

    async def close(self) -> None:
        await self.images.close()
        self.passwords.close()
        self.computing.close()
        await self.captcha.close()
        for provider in self.identity_providers.values():
            await provider.close()
        await self.redis.close()
        await self.database.close()


def open_platform(settings: Settings) -> Platform:
    """Create the ports; they connect at first use."""
    redis = RedisClient(settings.redis_url)
    cache, limiter, buckets = Cache(redis), Limiter(redis), _buckets(settings)
    database, bus, jobs = Database(settings), EventBus(), JobQueue(settings.database_url)

    async def count_soon(job: str, key: str) -> bool:
        async with UnitOfWork(database, bus) as work:
            is_served = await jobs.is_served(work)
            if is_served:
                await jobs.add(work.session, job, key=key)
        return is_served

    return Platform(
        settings=settings,
        database=database,
        bus=bus,
        redis=redis,
        cache=cache,
        limiter=limiter,
        buckets=buckets,
        captcha=captcha_from(settings),
        identity_providers=identity_providers_from(settings),
        storage=storage_from(settings.upload_url),
        images=ImageCleaner(),
        jobs=jobs,
        mailer=Mailer(settings),
        mail_limits=MailLimits(limiter, buckets["mail"]),
        reset_budget=MailLimits(limiter, buckets["password_reset"]),
        passwords=Passwords(memory_kib=settings.argon2_memory_kib, iterations=settings.argon2_iterations),
        tokens=AccessTokens(
            settings.signing_key, issuer=settings.public_url, minutes=settings.access_token_minutes
        ),
        encryption=Encryption(settings.secrets_keys),
        egress=Egress(),
        counts=IncrementalCounts(redis, count_soon),
        coalescer=Coalescer(),
        computing=BoundedThreads("computing", workers=2, waiting=32, deadline_seconds=COMPUTING_SECONDS),
    )


def _buckets(settings: Settings) -> dict[LimitName, Bucket | None]:
    """The rate limits by name; None for one that is switched off."""
    rates: dict[LimitName, Rate | None] = {
        "general": settings.rate_limit_general,
        "bug_submission": settings.rate_limit_bug_submission,
        "sign_in": settings.rate_limit_sign_in,
        "mail": settings.rate_limit_mail,
        # Separate limits: somebody who has other mails sent to an address must not use up its password resets.
        "password_reset": settings.rate_limit_mail,
        "similar": settings.rate_limit_similar,
        "feeds": settings.rate_limit_feeds,
        "issue_reports": settings.issue_report_rate_limit,
        "new_applications": settings.new_applications_per_day,
    }
    return {name: Bucket(name, rate) if rate else None for name, rate in rates.items()}
