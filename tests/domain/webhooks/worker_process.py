"""`python -m tests.domain.webhooks.worker_process`: a worker whose egress guard lets it through to receivers of a test.

Its settings come from the environment, as every worker's; RESOLVER_PORT is the name service's, AUTHORITY the file of the
certificate authority.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import replace

from dns.asyncresolver import Resolver

from bugrelay.bootstrap import build
from bugrelay.infra.jobs.worker import run_worker
from bugrelay.infra.security.egress import Egress
from bugrelay.settings import load_settings
from bugrelay.worker import all_consumers, all_tasks, follow_events


def _egress() -> Egress:
    resolver = Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], int(os.environ["RESOLVER_PORT"])
    trusting = ssl.create_default_context(cafile=os.environ["AUTHORITY"])
    return Egress(permitted=lambda address: str(address) == "127.0.0.1", resolver=resolver, tls=trusting)


async def work() -> None:
    settings = load_settings(os.environ)
    platform = replace(build(replace(settings, workers=1)), egress=_egress())
    await platform.start()
    await asyncio.gather(
        run_worker(settings.database_url, all_tasks(), platform, stopping=asyncio.Event()),
        follow_events(platform, all_consumers(platform)),
    )


if __name__ == "__main__":
    asyncio.run(work())
