"""What a domain runs in workers: tasks by name, and those that run by the clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Task: TypeAlias = Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class Periodic:
    """A task that runs by the clock (cron syntax), once however many workers there are."""

    cron: str
    task: Task


@dataclass(frozen=True)
class Tasks:
    """What a domain runs in workers: tasks by name, called with the platform and the arguments of the job."""

    by_name: Mapping[str, Task] = field(default_factory=dict)
    periodic: Mapping[str, Periodic] = field(default_factory=dict)
