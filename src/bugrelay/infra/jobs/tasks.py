"""The tasks of a domain, which workers run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Task: TypeAlias = Callable[..., Awaitable[None]]
Continuous: TypeAlias = Callable[[Any, asyncio.Event], Awaitable[None]]
"""A task that runs in each worker until the event is set; called with the platform and the event."""


@dataclass(frozen=True)
class Periodic:
    """A task that runs periodically (cron syntax), once for all workers; called with the platform."""

    cron: str
    task: Task


@dataclass(frozen=True)
class Tasks:
    """The tasks of a domain.

    Attributes:
        by_name: Tasks of jobs, called with the platform and the arguments of the job.
        periodic: Periodic tasks by name.
        continuous: Tasks that run all the time, by name.
        former_names: For a renamed task, by its name, the one under which the previous release queues its jobs.
    """

    by_name: Mapping[str, Task] = field(default_factory=dict)
    periodic: Mapping[str, Periodic] = field(default_factory=dict)
    continuous: Mapping[str, Continuous] = field(default_factory=dict)
    former_names: Mapping[str, str] = field(default_factory=dict)
