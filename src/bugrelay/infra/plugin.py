"""What a domain registers with the application in its `plugin.py`."""

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
    """The parts of a domain besides its use cases.

    Attributes:
        subscribe: Subscribes it to facts.
        tasks: Its jobs.
        log: Maps its facts to events of the log.
        consumers: Returns its consumers of the event log, which run in workers.
    """

    subscribe: Callable[[Platform], None] | None = None
    tasks: Tasks = field(default_factory=Tasks)
    log: LogTable = field(default_factory=dict)
    consumers: Callable[[Platform], Sequence[Consumer]] | None = None
