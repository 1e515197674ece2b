"""Schemes: the workflows of projects, as data. No other code names a status.

The scheme of a project cannot be changed. Each of the three APIs uses its own scheme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Category = Literal["todo", "doing", "done"]
DONE: Category = "done"
PRIORITIES = ("critical", "high", "medium", "low")
"""Of all schemes, the most urgent first."""


def any_move(*targets: str, of: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Transitions from each status to any of the targets."""
    return {status: tuple(target for target in targets if target != status) for status in of}


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """The statuses, transitions, kinds and keys of a project's tickets.

    Attributes:
        name: The value of `projects.scheme`.
        statuses: Each status with its category, in the order of the workflow; new tickets get the first.
        moves: The allowed transitions from each status, in order.
        kinds: The kinds of tickets; the first is the default.
        project_key: The key of the default project.
        project_name: The name of the default project.
        first_number: The first number of a project, and of each year if `by_year`.
        by_year: Whether numbers restart each UTC year, which is then part of the key: `BUG-2026-0001`.
        number_width: The minimum number of digits in a key.
        resumed_status: The status of a ticket that is reopened; of category `doing`.
        declined_status: The status of a ticket that is declined; of category `done`.
    """

    name: str
    statuses: Mapping[str, Category]
    moves: Mapping[str, tuple[str, ...]]
    kinds: tuple[str, ...]
    project_key: str
    project_name: str
    resumed_status: str
    declined_status: str
    first_number: int = 1
    by_year: bool = False
    number_width: int = 1

    @property
    def initial_status(self) -> str:
        return next(iter(self.statuses))

    def category_of(self, status: str) -> Category:
        return self.statuses[status]

    def status_like(self, category: Category) -> str:
        """The first status of a category, for tickets that come from a project of another scheme."""
        return next(status for status, its in self.statuses.items() if its == category)


_SUPPORT: dict[str, Category] = {
    "new": "todo",
    "in_review": "todo",
    "assigned": "doing",
    "in_progress": "doing",
    "resolved": "done",
    "closed": "done",
}
_ISSUES: dict[str, Category] = {"OPEN": "todo", "TRIAGED": "todo", "IN_PROGRESS": "doing", "DONE": "done"}

SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme(
            name="support",
            statuses=_SUPPORT,
            moves=any_move(*list(_SUPPORT)[1:], of=_SUPPORT),
            kinds=("bug", "feature_request", "help", "other"),
            project_key="BUG",
            project_name="Support reports",
            resumed_status="in_progress",
            declined_status="closed",
            by_year=True,
            number_width=4,
        ),
        Scheme(
            name="issues",
            statuses=_ISSUES,
            moves=any_move(*_ISSUES, of=_ISSUES),
            kinds=("issue",),
            project_key="ISS",
            project_name="Issues",
            resumed_status="IN_PROGRESS",
            declined_status="DONE",
        ),
        Scheme(
            name="tickets",
            statuses={"open": "todo", "in_progress": "doing", "blocked": "doing", "closed": "done"},
            moves={
                "open": ("in_progress", "closed"),
                "in_progress": ("open", "closed", "blocked"),
                "blocked": ("in_progress", "open"),
                "closed": ("open", "in_progress"),
            },
            kinds=("ticket",),
            project_key="TSK",
            project_name="Tasks",
            resumed_status="in_progress",
            declined_status="closed",
            first_number=1001,
        ),
    )
}


def known_statuses() -> tuple[str, ...]:
    """The statuses of all schemes, each once."""
    return tuple(dict.fromkeys(status for scheme in SCHEMES.values() for status in scheme.statuses))


def as_rows() -> list[dict[str, Any]]:
    """The values of each scheme that a statement needs to create a ticket in a project that only the database knows."""
    return [
        {
            "name": scheme.name,
            "status": scheme.initial_status,
            "category": scheme.category_of(scheme.initial_status),
            "kind": scheme.kinds[0],
            "first_number": scheme.first_number,
            "by_year": scheme.by_year,
            "number_width": scheme.number_width,
        }
        for scheme in SCHEMES.values()
    ]
