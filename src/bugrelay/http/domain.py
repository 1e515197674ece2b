"""What a domain hands to the application in its `wiring.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from litestar import Controller

from bugrelay.infra.jobs import Tasks
from bugrelay.infra.platform import Platform


@dataclass(frozen=True)
class Domain:
    """Its controllers, the function that subscribes it to events, and what it runs in workers."""

    controllers: tuple[type[Controller], ...] = ()
    subscribe: Callable[[Platform], None] | None = None
    tasks: Tasks = field(default_factory=Tasks)
