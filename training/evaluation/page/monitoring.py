"""View of how the monitor reacts to shops that change and to damaged models, as tables and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

from training.evaluation import plots
from training.evaluation.page.tables import Column, Figures, Table, View, share, share_interval, table, words
from training.quality.schema import Quality
from training.quality.simulated import ChangeFigures, DamageFigures, Delays, FalseAlarms, StatedRates

ANY_INPUT, DISAGREEMENT, DRAWN = "any input", "disagreement", "disagreement, windows drawn anew"
NAMES = {"click": "accuracy (clicks)", "disagreement": DISAGREEMENT}


def monitoring(quality: Quality) -> View:
    """Show false alarms if nothing changed, delays if something did, and who was named if a model was damaged."""
    measured = quality.monitoring
    if measured is None:
        return {}
    alarms, changes = measured.false_alarms, measured.changes
    return {
        "n_futures": alarms.n_futures,
        "window": measured.window,
        "world": measured.settings["world"],
        "false_alarms": _false_alarms(alarms, measured.stated),
        "delays": _delays(changes),
        "early": {scenario: change.n_early for scenario, change in changes.items()},
        "damage": _damage(measured.damage),
        "plots": [
            plots.bars(_medians(change), f"{scenario}: days until the alarm, median", form="{:.1f}")
            for scenario, change in changes.items()
            if _medians(change)
        ],
    }


def _false_alarms(alarms: FalseAlarms, stated: StatedRates) -> Table:
    rows: dict[str, Figures] = {_name(watched): figures for watched, figures in alarms.watched.items()}
    for name, figures, rate in (
        (ANY_INPUT, alarms.any_input, stated.drift),
        (DISAGREEMENT, alarms.watched["disagreement"], stated.disagreement),
        (DRAWN, alarms.drawn, stated.disagreement),
    ):
        rows[name] = structs.asdict(figures) | {"stated": rate}
    columns = [
        Column("stated", "stated rate", _small_share),
        Column("share", "alarms", _small_share),
        Column("interval", "95 % interval", share_interval),
        Column("n_alarms", "alarms", str, group="windows"),
        Column("n_windows", "all", "{:,}".format, group="windows"),
    ]
    return table("what was watched", columns, rows, ours=[ANY_INPUT, DISAGREEMENT, DRAWN])


def _delays(changes: Mapping[str, ChangeFigures]) -> Table:
    """Make one row per thing watched: for each change, in how many futures the alarm rang, and after how long."""
    columns = [
        Column(f"{scenario} {part}", title, words, group=scenario)
        for scenario in changes
        for part, title in (("found", "found"), ("median", "days, median"), ("longest", "longest"))
    ]
    watched = next(iter(changes.values())).watched
    rows = {"whichever was first": _row(changes, [change.any for change in changes.values()])}
    for name in watched:
        rows[_name(name)] = _row(changes, [change.watched[name] for change in changes.values()])
    return table("what rang", columns, rows, ours=["whichever was first"])


def _row(changes: Mapping[str, ChangeFigures], delays: Sequence[Delays]) -> dict[str, str | None]:
    """Make the row of one thing watched. delays: one for each change."""
    row: dict[str, str | None] = {}
    for (scenario, change), found in zip(changes.items(), delays, strict=True):
        row[f"{scenario} found"] = f"{found.n_found} of {change.n_futures}"
        row[f"{scenario} median"] = _days(found.median_days)
        row[f"{scenario} longest"] = _days(found.longest_days)
    return row


def _damage(damage: Mapping[str, DamageFigures]) -> Table:
    columns = [
        Column("culprit", "who was damaged", words),
        Column("found", "windows that rang", share),
        Column("named", "that named them", share),
        Column("slices", "slices that moved", words),
    ]
    rows = {
        name: {
            "culprit": figures.culprit + (f", {figures.slice}" if figures.slice else ""),
            "found": figures.n_found / figures.n_windows,
            "named": figures.n_named / figures.n_windows,
            "slices": ", ".join(list(figures.slices)[:3]) or "none",
        }
        for name, figures in damage.items()
    }
    return table("damage", columns, rows)


def _medians(change: ChangeFigures) -> dict[str, float]:
    """Return median days of what rang in at least half of the futures, the soonest first."""
    found = {
        _name(name): each.median_days
        for name, each in change.watched.items()
        if each.median_days is not None and each.n_found * 2 >= change.n_futures
    }
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


def _name(watched: str) -> str:
    return NAMES.get(watched, watched.replace("_", " "))


def _days(days: float | None) -> str | None:
    return None if days is None else f"{days:.1f}"


def _small_share(value: float) -> str:
    return f"{100 * value:.2f}\N{NO-BREAK SPACE}%"
