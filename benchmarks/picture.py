"""The picture for the documentation: latency by hits, and throughput by design, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from statistics import median
from typing import Any

WIDTH, HEIGHT = 960, 380
PANEL = (70, 50, 360, 270)  # left, top, width, height of the plot on the left
BARS_LEFT, BARS_WIDTH = 650, 270
OURS, OTHER, GRID, TEXT = "#0f766e", "#b45309", "#d4d4d4", "#262626"

Series = list[list[tuple[float, float]]]  # hits and milliseconds, by kind of word
Scale = Callable[[float], float]


def drawn(raw: Mapping[str, Any], *, bugs: int) -> str:
    """The picture as SVG.

    Args:
        raw: The raw numbers of a run: `words` and the turns over HTTP.
        bugs: The size of the board.
    """
    words = raw["words"]
    naive = [[(word["hits"], word["naive_ms"]) for word in kind] for kind in _by_kind(words)]
    ours = [[(word["hits"], word["ours_ms"]) for word in kind] for kind in _by_kind(words)]
    rates = {name: median(one["per_second"] for one in found) for name, found in raw["http"].items()}
    parts = [
        _text(WIDTH / 2, 22, f"{bugs:,} bugs", size=15, anchor="middle"),
        *_latencies(naive, ours),
        *_throughputs(
            [
                ("baseline, mix", rates["baseline mix"], OTHER),
                ("BugRelay, mix, uncached", rates["uncached mix"], OURS),
                ("BugRelay, mix, with caches", rates["mix with caches"], OURS),
                ("BugRelay, one list", rates["cached list"], OURS),
                ("plain bytes", rates["plain list"], OTHER),
            ]
        ),
    ]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


def _by_kind(words: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Words of one kind have a similar number of hits; the rarest kind is first."""
    kinds = dict.fromkeys(word["kind"] for word in words)
    return [[word for word in words if word["kind"] == kind] for kind in kinds]


def _latencies(naive: Series, ours: Series) -> Iterable[str]:
    """Both axes are logarithmic; a dot is a word, the line connects the centres of the kinds."""
    left, top, width, height = PANEL
    points = [point for series in (naive, ours) for kind in series for point in kind]
    to_x, x_ticks = _scale([hits for hits, _ in points], left, left + width)
    to_y, y_ticks = _scale([ms for _, ms in points], top + height, top)
    yield _text(left + width / 2, top - 8, "search by relevance, with total: ms by hits", anchor="middle")
    for value in x_ticks:
        x = to_x(value)
        yield _line(x, top, x, top + height)
        yield _text(x, top + height + 18, f"{value:,.0f}", anchor="middle")
    for value in y_ticks:
        y = to_y(value)
        yield _line(left, y, left + width, y)
        yield _text(left - 8, y + 4, f"{value:g}", anchor="end")
    for row, (name, series, color) in enumerate((("naive SQL", naive, OTHER), ("BugRelay", ours, OURS))):
        middles = [(median(hits for hits, _ in kind), median(ms for _, ms in kind)) for kind in series]
        path = " ".join(f"{to_x(hits):.1f},{to_y(ms):.1f}" for hits, ms in middles)
        yield f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        for hits, ms in (point for kind in series for point in kind):
            yield f'<circle cx="{to_x(hits):.1f}" cy="{to_y(ms):.1f}" r="3" fill="{color}"/>'
        yield _text(left + 10, top + 20 + 18 * row, name, color=color)


def _throughputs(rows: Sequence[tuple[str, float, str]]) -> Iterable[str]:
    """Requests per second, on a logarithmic axis."""
    top = PANEL[1]
    to_x, ticks = _scale([rate for _, rate, _ in rows], BARS_LEFT, BARS_LEFT + BARS_WIDTH)
    bottom = top + 50 * len(rows)
    yield _text(BARS_LEFT + BARS_WIDTH / 2, top - 8, "answers a second, one process", anchor="middle")
    for value in ticks:
        yield _line(to_x(value), top, to_x(value), bottom)
        yield _text(to_x(value), bottom + 18, f"{value:,.0f}", anchor="middle")
    for i, (name, rate, color) in enumerate(rows):
        y = top + 50 * i + 12
        width = to_x(rate) - BARS_LEFT
        yield f'<rect x="{BARS_LEFT}" y="{y}" width="{width:.1f}" height="26" fill="{color}"/>'
        yield _text(BARS_LEFT - 8, y + 17, name, anchor="end")
        inside = width > 60  # noqa: PLR2004 - room for the number
        x = BARS_LEFT + width + (-6 if inside else 6)
        yield _text(
            x, y + 17, f"{rate:,.0f}", anchor="end" if inside else "start", color="white" if inside else TEXT
        )


def _scale(values: Iterable[float], start: float, end: float) -> tuple[Scale, list[float]]:
    """A logarithmic axis over whole powers of ten, and these powers."""
    logs = [log10(max(value, 0.001)) for value in values]
    low, high = floor(min(logs)), max(ceil(max(logs)), floor(min(logs)) + 1)

    def place(value: float) -> float:
        return start + (end - start) * (log10(max(value, 0.001)) - low) / (high - low)

    return place, [10.0**power for power in range(low, high + 1)]


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", color: str = TEXT) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{color}">'
        f"{escape(text)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GRID}"/>'
