"""Draw the report's plots as inline SVG, without scripts or extra files, and with text that can be selected.

Mappings are drawn in their order. Intervals are (low, high); where there is none, none is drawn.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from html import escape
from typing import Any, Concatenate, ParamSpec

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from training.quality.schema import ReliabilityBin

INK, ACCENT, MUTED = "#22303c", "#b5542b", "#9fb0bd"
PALETTE = (ACCENT, INK, "#4f8a8b", "#c99a2e", "#7d6b91", MUTED)
MARKERS = "os^Dvx"
WIDTH_INCHES = 5.2
STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name with two dollar signs is not a formula
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e7e3d9",
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
}

Interval = Sequence[float]
Point = tuple[float, Interval | None]
Arguments = ParamSpec("Arguments")


def drawn(
    draw: Callable[Concatenate[Figure, Arguments], str],
) -> Callable[Arguments, Markup]:
    """Turn a function that draws on a figure and returns its description into one that returns inline SVG."""

    def plot(*arguments: Arguments.args, **options: Arguments.kwargs) -> Markup:
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(WIDTH_INCHES, 3.0))
            description = draw(figure, *arguments, **options)
            return _svg(figure, description)

    plot.__doc__ = draw.__doc__
    return plot


@drawn
def bars(
    figure: Figure,
    values: Mapping[str, float],
    label: str,
    *,
    highlighted: Collection[str] = (),
    intervals: Mapping[str, Interval] | None = None,
    form: str = "{:.3f}",
) -> str:
    """Draw horizontal bars by name, from the top, with whiskers where there are intervals."""
    axes = _rows(figure, list(values))
    colours = [ACCENT if name in highlighted else MUTED for name in values]
    axes.barh(range(len(values)), list(values.values()), color=colours, height=0.72)
    spans = intervals or {}
    for row, (name, value) in enumerate(values.items()):
        low, high = spans.get(name, (value, value))
        if name in spans:
            axes.plot([low, high], [row, row], color=INK, linewidth=1.2, marker="|", markersize=5)
        axes.annotate(
            form.format(value), (max(high, value, 0.0), row), (4, 0), va="center", fontsize=8,
            textcoords="offset points",
        )  # fmt: skip
    if any(low < 0 for low, _ in (*spans.values(), *((value, value) for value in values.values()))):
        axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.margins(x=0.12)
    return label


@drawn
def differences(
    figure: Figure, intervals: Mapping[str, Interval], label: str, *, neutral: float = 0.0
) -> str:
    """Draw intervals by name beside a line at `neutral`; dark if they exclude it, pale if they do not."""
    axes = _rows(figure, list(intervals))
    for row, (low, high) in enumerate(intervals.values()):
        is_clear = low > neutral or high < neutral
        axes.plot(
            [low, high], [row, row], linewidth=4, solid_capstyle="round", color=ACCENT if is_clear else MUTED
        )
    axes.axvline(neutral, color=INK, linewidth=0.8)
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(label)
    return label


@drawn
def curves(
    figure: Figure,
    lines: Mapping[str, Mapping[str, Point]],
    x_label: str,
    y_label: str,
) -> str:
    """Draw one line per name over ordered, evenly spaced x values, with its interval as a band."""
    axes = figure.subplots()
    ticks = list(dict.fromkeys(x for line in lines.values() for x in line))
    for order, (name, line) in enumerate(lines.items()):
        colour = PALETTE[order % len(PALETTE)]
        places = [ticks.index(x) for x in line]
        axes.plot(
            places,
            [value for value, _ in line.values()],
            color=colour,
            marker=MARKERS[order % len(MARKERS)],
            markersize=4,
            linewidth=1.8,
            label=name,
        )
        banded = [
            (place, span) for place, (_, span) in zip(places, line.values(), strict=True) if span is not None
        ]
        if banded:
            at, spans = zip(*banded, strict=True)
            lows, highs = zip(*spans, strict=True)
            axes.fill_between(at, lows, highs, color=colour, alpha=0.14, linewidth=0)
    axes.set_xticks(range(len(ticks)), ticks)
    axes.grid(axis="y")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(loc="best")
    return f"{y_label} by {x_label}"


@drawn
def reliability(figure: Figure, lines: Mapping[str, Sequence[ReliabilityBin]]) -> str:
    """Draw observed over predicted rates, one line per name; on the diagonal both agree.

    lines: bins by name; the number of pairs in a bin sets the size of its point.
    """
    figure.set_size_inches(4.0, 3.6)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
    for order, (name, bins) in enumerate(lines.items()):
        predicted, observed = [each.predicted for each in bins], [each.observed for each in bins]
        largest = max((each.n for each in bins), default=1)
        colour = PALETTE[order % len(PALETTE)]
        axes.plot(predicted, observed, color=colour, linewidth=1.4, label=name)
        axes.scatter(predicted, observed, [10 + 30 * each.n / largest for each in bins], color=colour)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("observed share")
    axes.legend(loc="upper left")
    return "observed share by predicted probability"


@drawn
def trade_off(
    figure: Figure,
    points: Mapping[str, tuple[float, float]],
    x_label: str,
    y_label: str,
    *,
    highlighted: Collection[str] = (),
) -> str:
    """Draw one point (x, y) per name, x on a log scale; names are beside the points, alternately above and below."""
    axes = figure.subplots()
    for order, (name, (x, y)) in enumerate(sorted(points.items(), key=lambda item: item[1])):
        axes.scatter(x, y, s=60, color=ACCENT if name in highlighted else INK)
        axes.annotate(name, (x, y), (6, 6 if order % 2 == 0 else -13), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid()
    axes.set_xlabel(f"{x_label} (log)")
    axes.set_ylabel(y_label)
    axes.margins(0.25)
    return f"{y_label} by {x_label}"


@drawn
def columns(figure: Figure, counts: Mapping[str, float], x_label: str, y_label: str) -> str:
    """Draw vertical bars by name, from the left."""
    figure.set_size_inches(WIDTH_INCHES, 2.4)
    axes = figure.subplots()
    axes.bar(range(len(counts)), list(counts.values()), color=MUTED)
    axes.set_xticks(range(len(counts)), list(counts), rotation=40, ha="right")
    axes.grid(axis="y")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return f"{y_label} by {x_label}"


def _rows(figure: Figure, names: list[str]) -> Any:
    """Make axes with one row per name, the first on top."""
    figure.set_size_inches(WIDTH_INCHES, 0.3 * len(names) + 0.7)
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    return axes


def _svg(figure: Figure, description: str) -> Markup:
    """Return the figure's <svg> element. The same figure gives the same bytes; two figures share no element id."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "stillroom"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(
        r'<g id="[^"]*"', "<g", text
    )  # names of groups, alike in all figures and referred to by nothing
    own = sha256(text.encode()).hexdigest()[:8]
    text = re.sub(r'(id="|#)([mp][0-9a-f]{10})\b', rf"\1\g<2>{own}", text)  # of markers and clip paths
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{escape(description)}" ', 1))
