"""The summary of an import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

UNUSABLE_SHOWN = 20


@dataclass
class Summary:
    """Counts of lines; `changes` counts the changes of imported bugs' values by their descriptions."""

    imported: int = 0
    already_there: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    unusable: int = 0
    first_unusable: list[tuple[int, str]] = field(default_factory=list)

    @property
    def anything_usable(self) -> bool:
        return self.imported + self.already_there > 0

    def refuse(self, number: int, reason: str) -> None:
        """Count an unusable line; the first ones are kept with their numbers."""
        self.unusable += 1
        if len(self.first_unusable) < UNUSABLE_SHOWN:
            self.first_unusable.append((number, reason))

    def lines(self) -> Iterator[str]:
        """The summary as text: most frequent changes first, unusable lines by number."""
        yield f"{self.imported:,} imported, {self.already_there:,} already there, {self.unusable:,} unusable"
        if self.changes:
            yield "brought into shape:"
        for change, count in sorted(self.changes.items(), key=lambda item: (-item[1], item[0])):
            yield f"  {count:>9,}  {change}"
        if self.unusable:
            yield "unusable lines:"
        for number, reason in self.first_unusable:
            yield f"  line {number:,} {reason}"
        if self.unusable > len(self.first_unusable):
            yield f"  and {self.unusable - len(self.first_unusable):,} more"
