"""What a domain runs in workers: tasks by name, and those that run by the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Task: TypeAlias = Callable[..., Awaitable[None]]
Continuous: TypeAlias = Callable[[Any, asyncio.Event], Awaitable[None]]
"""Runs in each worker until the event is set; called with the platform."""


@dataclass(frozen=True)
class Periodic:
    """A task that runs by the clock (cron syntax), once however many workers there are."""

    cron: str
    task: Task


@dataclass(frozen=True)
class Tasks:
    """What a domain runs in workers: tasks by name, called with the platform and the arguments of the job; tasks that
    run by the clock; and those that run all the time."""

    by_name: Mapping[str, Task] = field(default_factory=dict)
    periodic: Mapping[str, Periodic] = field(default_factory=dict)
    continuous: Mapping[str, Continuous] = field(default_factory=dict)
