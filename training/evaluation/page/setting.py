"""Views of the sections by which a reader can judge and repeat the run: the data, the protocol, the settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from training.data.columns import column_lines
from training.evaluation import plots
from training.evaluation.page.tables import Column, View, seconds, size, table
from training.quality.schema import Quality, StageCosts

SIMULATED = {"experiments": "whether experiments decide rightly", "monitoring": "what the monitor finds"}
"""Parts of a report that `make simulate` adds."""
LENGTH_EDGES = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000, 10**9)


def portrait(quality: Quality) -> View:
    """Show the data's size, span, losses and shape."""
    data = quality.data
    if data is None:
        return {}
    drawn = []
    if data.people_by_history_length:
        lengths = people_by_length(data.people_by_history_length)
        drawn.append(plots.columns(lengths, "events of a person", "people"))
    if data.event_share_of_top_items:
        named = {f"{float(top):.0%}": value for top, value in data.event_share_of_top_items.items()}
        drawn.append(plots.columns(named, "most popular items", "share of all events"))
    return {"data": data, "plots": drawn, "columns": column_lines(data.columns)}


def people_by_length(counts: Mapping[str, int]) -> dict[str, int]:
    """Count people in ranges of history length, from the shortest to the longest that anybody has."""
    lengths = {int(length): n for length, n in counts.items()}
    spans = [(low, high) for low, high in pairwise(LENGTH_EDGES) if low <= max(lengths)]
    return {
        (f"{low}–{high - 1}" if high - low > 1 else str(low))
        if high < LENGTH_EDGES[-1]
        else f"{low:,}+": sum(n for length, n in lengths.items() if low <= length < high)
        for low, high in spans
    }


def protocol(quality: Quality) -> View:
    """Show which protocols were run, with how many questions each, and where time was cut."""
    splits = {name: part.split for name, part in quality.protocols.items()}
    return {
        "splits": splits,
        "n_new_people": {name: split.n_new_people for name, split in splits.items() if split.n_new_people},
        "seed": quality.seed,
    }


def again(quality: Quality) -> View:
    """Show the command, the settings as a file that it takes, and where time and memory went."""
    stages = quality.stages or StageCosts()
    rows = {
        name: {
            "seconds": took,
            "cpu": stages.cpu_seconds.get(name),
            "peak": stages.peak_memory_bytes.get(name),
        }
        for name, took in stages.seconds.items()
    }
    columns = [
        Column("seconds", "took", seconds),
        Column("cpu", "CPU time", seconds),
        Column("peak", "peak memory", size),
    ]
    return {
        "command": quality.command,
        "seed": quality.seed,
        "settings": as_toml(quality.settings) if quality.settings else None,
        "stages": table("stage", columns, rows) if rows else None,
        "total_seconds": sum(stages.seconds.values()),
        "machine": quality.machine,
        "not_simulated": [words for part, words in SIMULATED.items() if getattr(quality, part) is None],
    }


def as_toml(settings: Mapping[str, Any]) -> str:
    """Write settings as the TOML file that `--settings` reads; values of a table come before the tables in it.

    A setting without a value is left out, because TOML has no null.
    """
    return "\n".join(_toml_lines(settings, "")) + "\n"


def _toml_lines(values: Mapping[str, Any], name: str) -> list[str]:
    own = [f"{key} = {_toml_value(value)}" for key, value in values.items() if _is_plain(value)]
    lines = ([f"\n[{name}]"] if name and own else []) + own
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += _toml_lines(value, f"{name}.{key}" if name else key)
    return lines


def _is_plain(value: Any) -> bool:
    return value is not None and not isinstance(value, Mapping)


def _toml_value(value: Any) -> str:
    """Write a value as JSON: its strings, numbers, booleans and lists of them are also valid TOML."""
    return json.dumps(value)
