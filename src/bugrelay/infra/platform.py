"""What a process stands on: the stores, the ports to the outside, the event bus. Made once, handed to all."""

from __future__ import annotations

from dataclasses import dataclass

from bugrelay.infra.batches import Batches
from bugrelay.infra.cache import Cache
from bugrelay.infra.captcha import CaptchaVerifier, captcha_from
from bugrelay.infra.db import Database
from bugrelay.infra.events import EventBus
from bugrelay.infra.image_pool import ImageCleaner
from bugrelay.infra.jobs import JobQueue
from bugrelay.infra.limits import Bucket, Limiter
from bugrelay.infra.mail import Mailer
from bugrelay.infra.mail_budget import MailBudget
from bugrelay.infra.passwords import Passwords
from bugrelay.infra.redis import RedisGate
from bugrelay.infra.storage import Storage, storage_from
from bugrelay.infra.tokens import AccessTokens
from bugrelay.infra.totals import Totals
from bugrelay.infra.unit_of_work import UnitOfWork
from bugrelay.settings import Settings


@dataclass(frozen=True)
class Platform:
    """Ports by name; `work()` begins a change of the database."""

    settings: Settings
    database: Database
    bus: EventBus
    redis: RedisGate
    cache: Cache
    limiter: Limiter
    buckets: dict[str, Bucket]
    captcha: CaptchaVerifier
    storage: Storage
    images: ImageCleaner
    jobs: JobQueue
    mailer: Mailer
    mail_budget: MailBudget
    reset_budget: MailBudget
    passwords: Passwords
    tokens: AccessTokens
    totals: Totals
    batches: Batches

    def work(self) -> UnitOfWork:
        return UnitOfWork(self.database, self.bus)

    async def start(self) -> None:
        """Begin to keep a connection to Redis; PostgreSQL is connected to when it is first asked."""
        await self.redis.start()

    async def close(self) -> None:
        await self.images.close()
        self.passwords.close()
        await self.captcha.close()
        await self.redis.close()
        await self.database.close()


def open_platform(settings: Settings) -> Platform:
    """Make the ports; nothing connects before it is used."""
    redis = RedisGate(settings.redis_url)
    cache = Cache(redis)
    rates = {
        "general": settings.rate_limit_general,
        "bug_submission": settings.rate_limit_bug_submission,
        "sign_in": settings.rate_limit_sign_in,
        "mail": settings.rate_limit_mail,
        # Of their own: whoever makes an account's address get other mails must not use up those that rescue it.
        "password_reset": settings.rate_limit_mail,
        "new_applications": settings.new_applications_per_day,
    }
    buckets = {name: Bucket(name, rate) for name, rate in rates.items() if rate is not None}
    limiter = Limiter(redis)
    database, bus, jobs = Database(settings), EventBus(), JobQueue(settings.database_url)

    async def count_soon(job: str, key: str) -> bool:
        async with UnitOfWork(database, bus) as work:
            is_served = await jobs.is_served(work.reader)
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
        storage=storage_from(settings.upload_url),
        images=ImageCleaner(),
        jobs=jobs,
        mailer=Mailer(settings),
        mail_budget=MailBudget(limiter, buckets.get("mail")),
        reset_budget=MailBudget(limiter, buckets.get("password_reset")),
        passwords=Passwords(memory_kib=settings.argon2_memory_kib, iterations=settings.argon2_iterations),
        tokens=AccessTokens(
            settings.signing_key, issuer=settings.public_url, minutes=settings.access_token_minutes
        ),
        totals=Totals(redis, count_soon),
        batches=Batches(),
    )
