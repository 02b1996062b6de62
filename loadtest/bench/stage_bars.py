"""Draw one stacked bar per size that shows where an answer's time goes, as plain SVG for a self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from loadtest.bench.stages import TOTAL

WIDTH, BAR_HEIGHT, GAP, LABEL_WIDTH, LEGEND_HEIGHT = 900, 28, 14, 70, 30
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#edc948", "#9c755f", "#bab0ac")
OTHER = "other"


def draw_stage_bars(stages: Mapping[str, Mapping[str, float]]) -> str:
    """Return an SVG element.

    stages: by size, mean microseconds by stage with their total; time that belongs to no stage is drawn as "other".
    All bars have the same length, whatever their total; the figure beside each bar is its total.
    """
    claimed = dict.fromkeys(name for each in stages.values() for name in each if name != TOTAL)
    names = [*claimed, OTHER]
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    height = len(stages) * (BAR_HEIGHT + GAP) + LEGEND_HEIGHT
    parts = [_bar(size, each, colours, row) for row, (size, each) in enumerate(stages.items())]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="sans-serif" font-size="13">{"".join(parts)}{_legend(colours, height)}</svg>'
    )


def shares(stages: Mapping[str, float]) -> dict[str, float]:
    """Return shares of the total by stage, the rest as "other". By rounding, stages may slightly exceed the total."""
    parts = {name: value for name, value in stages.items() if name != TOTAL}
    total = max(stages.get(TOTAL, 0.0), sum(parts.values()))
    if total <= 0:
        return {}
    parts[OTHER] = total - sum(parts.values())
    return {name: value / total for name, value in parts.items()}


def _bar(size: str, stages: Mapping[str, float], colours: Mapping[str, str], row: int) -> str:
    top, left = row * (BAR_HEIGHT + GAP), float(LABEL_WIDTH)
    full_width = WIDTH - 2 * LABEL_WIDTH
    drawn = [f'<text x="0" y="{top + 19}">{escape(size)}</text>']
    for name, share in shares(stages).items():
        width = share * full_width
        title = f"{name}: {stages.get(name, share * stages.get(TOTAL, 0.0)):.1f} µs, {share:.0%}"
        drawn.append(
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{BAR_HEIGHT}" fill="{colours[name]}">'
            f"<title>{escape(title)}</title></rect>"
        )
        left += width
    total = f"{stages.get(TOTAL, 0.0):,.0f} µs"
    return "".join([*drawn, f'<text x="{WIDTH - LABEL_WIDTH + 6}" y="{top + 19}">{total}</text>'])


def _legend(colours: Mapping[str, str], height: int) -> str:
    drawn, left = [], LABEL_WIDTH
    for name, colour in colours.items():
        drawn.append(f'<rect x="{left}" y="{height - 20}" width="12" height="12" fill="{colour}"/>')
        drawn.append(f'<text x="{left + 16}" y="{height - 10}">{escape(name)}</text>')
        left += 30 + 8 * len(name)
    return "".join(drawn)
