"""The bars: ratios that BugRelay must reach, and the table that says whether it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SMALL, LARGE = 100_000, 1_000_000


@dataclass(frozen=True)
class Bar:
    """A ratio with its bars: `floor` must be reached, `ambitious` is the goal.

    Attributes:
        key: Its name in the results.
        at_most: Lower is better.
        bugs: The board size for which the bar counts; None for any.
    """

    key: str
    title: str
    floor: float
    ambitious: float
    at_most: bool = False
    bugs: int | None = None
    unit: str = "x"

    def verdict(self, value: float, bugs: int) -> str:
        if self.bugs is not None and bugs != self.bugs:
            return f"counts at {self.bugs:,}"
        if self._reached(value, self.ambitious):
            return "ambitious"
        return "floor" if self._reached(value, self.floor) else "BELOW"

    def _reached(self, value: float, wanted: float) -> bool:
        return value <= wanted if self.at_most else value >= wanted


@dataclass(frozen=True)
class Measured:
    """A ratio by throughput or latency; `by_cpu` is the same ratio by CPU time per request.

    The bar uses the first. The second does not depend on how client and servers shared the cores.
    """

    value: float
    by_cpu: float | None = None
    note: str = ""


BARS = (
    Bar("cached_list", "cached list ÷ plain bytes", 0.75, 0.90),
    Bar("cached_detail", "cached detail ÷ plain bytes", 0.75, 0.90),
    Bar("redis_hit", "Redis hit without in-process copy ÷ plain bytes", 0.45, 0.60),
    Bar("uncached_mix", "uncached mix ÷ baseline", 10, 40),
    Bar("cached_mix", "mix with caches ÷ baseline", 300, 800, bugs=LARGE),
    Bar("whole_titles", "searches of whole titles ÷ of one word, uncached", 1.0, 1.5, bugs=LARGE),
    Bar("common_search", "relevance search of common words, naive ÷ ours", 15, 100, bugs=LARGE),
    Bar("flatness", "p95 common ÷ p95 medium", 8, 2, at_most=True),
    Bar("top_20", "top 20 identical to the full ranking", 100, 100, unit="%"),
    Bar("exact_total", "total = count(*) under six writers", 100, 100, unit="%"),
    Bar("page_cpu", "client CPU of a page ÷ raw psycopg", 2.0, 1.2, at_most=True),
    Bar("hot_bug", "hot-bug toggles ÷ plain row-lock counter", 0.9, 8),
    Bar("drift", "drift after races", 0, 0, at_most=True, unit=""),
    Bar("create", "create with ÷ without search index", 0.5, 0.7),
    Bar("logged_create", "create with ÷ without event log", 0.9, 0.95),
    Bar("logged_comment", "comment with ÷ without event log", 0.9, 0.95),
    Bar("logged_votes", "votes with ÷ without event log", 0.97, 0.99),
    Bar("deep_page", "deepest page ÷ page 1", 15, 5, at_most=True, bugs=LARGE),
    Bar("similar_report", "similar to a report, p95 over HTTP", 50, 25, at_most=True, bugs=LARGE, unit=" ms"),
    Bar("similar_title", "similar to a title, p95 over HTTP", 50, 25, at_most=True, bugs=LARGE, unit=" ms"),
    Bar("similar_bug", "similar to a bug, p95 over HTTP", 50, 25, at_most=True, bugs=LARGE, unit=" ms"),
    Bar("detail_cpu", "cold detail, CPU of the server", 1.5, 1.0, at_most=True, unit=" ms"),
    Bar("detail", "cold detail ÷ baseline with joined loading", 1, 3),
    Bar("vote_cpu", "vote over HTTP, CPU of the server", 1.0, 0.8, at_most=True, unit=" ms"),
    Bar("vote", "votes over HTTP ÷ baseline", 1, 3),
    Bar("report_cpu", "report, signed in, CPU of the server", 4.0, 3.0, at_most=True, unit=" ms"),
    Bar("report", "reports, signed in ÷ baseline", 1, 2),
    Bar("anonymous_cpu", "report with a captcha, CPU of the server", 4.0, 3.0, at_most=True, unit=" ms"),
    Bar("anonymous", "reports with a captcha ÷ baseline", 1, 2),
    Bar("create_similar", "create with ÷ without the index of similar bugs", 0.9, 0.95),
    Bar("fold", "folding a report, CPU of PostgreSQL", 2, 1, at_most=True, unit=" ms"),
    Bar(
        "server_memory", "memory of a server process after start and demo", 150, 135, at_most=True, unit=" MB"
    ),
    Bar("worker_memory", "memory of a worker", 100, 95, at_most=True, unit=" MB"),
    Bar("growth", "p95 of the uncached mix at 1 M ÷ at 100 k", 3, 1.5, at_most=True),
)


def table(measured: Mapping[str, Measured], bugs: int) -> str:
    """The bars in Markdown, aligned for a terminal; bars that were not measured are left out."""
    rows = [("bar", "measured", "by CPU", "floor", "ambitious", "verdict", "")]
    for bar in BARS:
        found = measured.get(bar.key)
        if found is None:
            continue
        by_cpu = _number(found.by_cpu, bar.unit) if found.by_cpu is not None else ""
        sign = "≤ " if bar.at_most else ""
        rows.append(
            (
                bar.title,
                _number(found.value, bar.unit),
                by_cpu,
                sign + _number(bar.floor, bar.unit),
                sign + _number(bar.ambitious, bar.unit),
                bar.verdict(found.value, bugs),
                found.note,
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [f"| {' | '.join(map(str.ljust, row, widths))} |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _number(value: float, unit: str) -> str:
    if unit in ("%", ""):
        return f"{value:g} {unit}".strip()
    digits = 0 if value >= 100 else 1 if value >= 10 else 2  # noqa: PLR2004 - three significant digits
    return f"{value:.{digits}f}{unit}"
