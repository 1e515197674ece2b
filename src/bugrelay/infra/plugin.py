"""What a domain hands to the application in its `plugin.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bugrelay.infra.jobs.tasks import Tasks
from bugrelay.infra.platform import Platform

if TYPE_CHECKING:
    from bugrelay.domain.events.consumers import Consumer
    from bugrelay.domain.events.schemas import LogTable


@dataclass(frozen=True)
class DomainPlugin:
    """What a domain does beside answering.

    Attributes:
        subscribe: Subscribes it to facts.
        tasks: What it runs in workers.
        log: What its facts become in the event log.
        consumers: Gives those of it that follow the event log, in workers.
    """

    subscribe: Callable[[Platform], None] | None = None
    tasks: Tasks = field(default_factory=Tasks)
    log: LogTable = field(default_factory=dict)
    consumers: Callable[[Platform], Sequence[Consumer]] | None = None
