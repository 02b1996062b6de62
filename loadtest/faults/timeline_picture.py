"""Draw a row as plain SVG: how long answers took, and below, how many there were of each judgement."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import log10

from loadtest.faults.schema import Timeline

WIDTH, LEFT, RIGHT = 640, 34, 8
LATENCY_TOP, LATENCY_HEIGHT = 6, 52
COUNTS_TOP, COUNTS_HEIGHT = 66, 34
HEIGHT = COUNTS_TOP + COUNTS_HEIGHT + 16
LEAST_MS, MOST_MS = 1.0, 5000.0
TICKS_MS = (10, 100, 1000)
KINDS = ("wrong", "failed", "degraded", "good")
"""The order from the bottom up; what must not happen is where it is seen."""


def draw_timeline(timeline: Timeline, deadline_ms: float) -> str:
    """Return an SVG element; its colours come from the page."""
    parts = [
        *_fault_band(timeline),
        *_latency_grid(deadline_ms),
        *_latencies(timeline),
        *_counts(timeline),
        *_seconds(timeline),
    ]
    return (
        f'<svg class="timeline" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(_in_words(timeline))}">{"".join(parts)}</svg>'
    )


def _in_words(timeline: Timeline) -> str:
    counts = {kind: sum(getattr(timeline, kind)) for kind in reversed(KINDS)}
    told = ", ".join(f"{n:,} {kind}" for kind, n in counts.items())
    return f"fault from {timeline.fault_at:.1f} to {timeline.repaired_at:.1f} s; {told}"


def _fault_band(timeline: Timeline) -> Iterator[str]:
    start, end = _x(timeline, timeline.fault_at), _x(timeline, timeline.repaired_at)
    yield (
        f'<rect class="fault" x="{start:.1f}" y="0" width="{max(end - start, 1.0):.1f}" '
        f'height="{COUNTS_TOP + COUNTS_HEIGHT}"/>'
    )


def _latency_grid(deadline_ms: float) -> Iterator[str]:
    for ms, kind in (*((tick, "grid") for tick in TICKS_MS), (deadline_ms, "deadline")):
        y = _y(ms)
        yield f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        if kind == "grid":
            yield f'<text x="{LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{ms:,}</text>'
    yield f'<text x="{LEFT - 4}" y="{LATENCY_TOP + LATENCY_HEIGHT + 2}" text-anchor="end">ms</text>'


def _latencies(timeline: Timeline) -> Iterator[str]:
    """Draw the slowest answer of each slice as a dot, and the median as a line."""
    points = []
    for number, (p50_ms, max_ms) in enumerate(zip(timeline.p50_ms, timeline.max_ms, strict=True)):
        if not max_ms:
            continue
        x = _x(timeline, (number + 0.5) * timeline.slice_seconds)
        points.append(f"{x:.1f},{_y(p50_ms):.1f}")
        yield f'<circle class="slowest" cx="{x:.1f}" cy="{_y(max_ms):.1f}" r="1.4"/>'
    yield f'<polyline class="median" points="{" ".join(points)}"/>'


def _counts(timeline: Timeline) -> Iterator[str]:
    totals = [sum(getattr(timeline, kind)[number] for kind in KINDS) for number in range(len(timeline.good))]
    highest = max(totals, default=0) or 1
    width = (WIDTH - LEFT - RIGHT) / max(len(totals), 1)
    for number in range(len(totals)):
        bottom = float(COUNTS_TOP + COUNTS_HEIGHT)
        for kind in KINDS:
            n_answers = getattr(timeline, kind)[number]
            if n_answers:
                height = COUNTS_HEIGHT * n_answers / highest
                bottom -= height
                x = LEFT + number * width
                yield (
                    f'<rect class="{kind}" x="{x:.2f}" y="{bottom:.2f}" width="{max(width - 0.6, 0.4):.2f}" '
                    f'height="{height:.2f}"><title>{n_answers} {kind}</title></rect>'
                )


def _seconds(timeline: Timeline) -> Iterator[str]:
    length = len(timeline.good) * timeline.slice_seconds
    step = 5 if length > 12 else 2
    for second in range(0, int(length) + 1, step):
        x = _x(timeline, second)
        yield f'<text x="{x:.1f}" y="{HEIGHT - 4}" text-anchor="middle">{second} s</text>'


def _x(timeline: Timeline, seconds: float) -> float:
    length = max(len(timeline.good), 1) * timeline.slice_seconds
    return LEFT + (WIDTH - LEFT - RIGHT) * min(seconds / length, 1.0)


def _y(ms: float) -> float:
    """Map milliseconds to a logarithmic scale with slow answers at the top."""
    share = log10(min(max(ms, LEAST_MS), MOST_MS) / LEAST_MS) / log10(MOST_MS / LEAST_MS)
    return LATENCY_TOP + LATENCY_HEIGHT * (1 - share)
