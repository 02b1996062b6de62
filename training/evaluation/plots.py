"""The report's plots, as inline SVG: no script, no file beside the page."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

INK, ACCENT, MUTED = "#22303c", "#b5542b", "#9fb0bd"

mpl.rcParams.update(
    {
        "svg.hashsalt": "stillroom",  # the same figures make the same bytes
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.edgecolor": MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
)


def bars(values: dict[str, float], label: str, *, highlighted: set[str]) -> str:
    """Horizontal bars by name, in the order given, from the top."""
    figure = Figure(figsize=(5.2, 0.33 * len(values) + 0.7))
    axes = figure.subplots()
    names = list(values)[::-1]
    colours = [ACCENT if name in highlighted else MUTED for name in names]
    drawn = axes.barh(names, [values[name] for name in names], color=colours)
    axes.bar_label(drawn, fmt="%.3f", padding=3, fontsize=8)
    axes.set_xlabel(label)
    return _svg(figure)


def trade_off(serving: dict[str, dict[str, float]], quality: dict[str, float], label: str) -> str:
    """Quality over median latency, one point a model, latency on a log scale."""
    figure = Figure(figsize=(5.2, 3.0))
    axes = figure.subplots()
    for name, figures in serving.items():
        latency = figures["latency_p50_ms"]
        axes.scatter(latency, quality[name], s=60, color=INK if name == "ensemble" else ACCENT)
        axes.annotate(name, (latency, quality[name]), xytext=(6, 6), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("median latency of one request, ms (log)")
    axes.set_ylabel(label)
    axes.margins(0.25)
    return _svg(figure)


def intervals(differences: dict[str, list[float]], label: str) -> str:
    """95 % intervals by name; an interval that excludes zero is a difference."""
    figure = Figure(figsize=(5.2, 0.33 * len(differences) + 0.8))
    axes = figure.subplots()
    for row, (name, (low, high)) in enumerate(reversed(differences.items())):
        axes.plot([low, high], [row, row], color=ACCENT, linewidth=3, solid_capstyle="round")
        axes.text(low, row + 0.18, name, fontsize=8)
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_yticks([])
    axes.set_ylim(-0.5, len(differences) - 0.2)
    axes.set_xlabel(label)
    return _svg(figure)


def weights(values: dict[str, float], label: str, *, n_shown: int = 14) -> str:
    """The largest weights by magnitude, signed."""
    largest = sorted(values.items(), key=lambda item: -abs(item[1]))[:n_shown]
    figure = Figure(figsize=(5.2, 0.28 * len(largest) + 0.7))
    axes = figure.subplots()
    names = [name for name, _ in reversed(largest)]
    axes.barh(
        names,
        [values[name] for name in names],
        color=[ACCENT if values[name] > 0 else MUTED for name in names],
    )
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_xlabel(label)
    return _svg(figure)


def history_lengths(lengths: list[int]) -> str:
    """How many events people have."""
    figure = Figure(figsize=(5.2, 2.2))
    axes = figure.subplots()
    spans = list(pairwise([1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000]))
    counts = [sum(low <= length < high for length in lengths) for low, high in spans]
    shown = [f"{low}–{high - 1}" if high - low > 1 else str(low) for low, high in spans]
    axes.bar(shown, counts, color=MUTED)
    axes.set_ylabel("people")
    axes.set_xlabel("events of a person")
    axes.tick_params(axis="x", rotation=40)
    return _svg(figure)


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
