"""What a domain hands to the application in its `plugin.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bugrelay.infra.jobs.tasks import Tasks
from bugrelay.infra.platform import Platform


@dataclass(frozen=True)
class DomainPlugin:
    """The function that subscribes it to events, and what it runs in workers."""

    subscribe: Callable[[Platform], None] | None = None
    tasks: Tasks = field(default_factory=Tasks)
