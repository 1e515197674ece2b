"""A worker that runs rules and nothing else, to be killed: `python -m tests.domain.rules.rules_worker`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bugrelay.bootstrap import build
from bugrelay.domain.rules.plugin import consumers
from bugrelay.settings import load_settings
from bugrelay.worker import follow_events


async def work() -> None:
    platform = build(replace(load_settings(), workers=1))
    await platform.start()
    await follow_events(platform, consumers(platform))


if __name__ == "__main__":
    asyncio.run(work())
