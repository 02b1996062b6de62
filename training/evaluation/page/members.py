"""Views of the sections on members and the ensemble: quality, differences, segments, tuning, choice, calibration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from markupsafe import Markup
from msgspec import structs

from training.evaluation import plots
from training.evaluation.page.tables import (
    Column,
    Figures,
    Form,
    Table,
    View,
    interval,
    number,
    score,
    seconds,
    share,
    share_interval,
    signed,
    size,
    table,
    with_interval,
    words,
)
from training.evaluation.words import METRICS, OURS, metric_words, model_words
from training.quality.figures import Figure, Interval, Intervals, Metrics, Segments, headline
from training.quality.schema import (
    CalibrationFigures,
    CalibrationOnTest,
    Quality,
    SearchInterval,
    SearchRecord,
)

OUR_NAMES = frozenset(model_words(name) for name in OURS)
HEADLINES = ("ndcg@10", "catalogue_ndcg@20")
"""The two metrics that every section shows."""


def quality_of_models(quality: Quality) -> View:
    """Show all models by all metrics, once per protocol, and both headline metrics as bars."""
    beside = quality.recipe.beside if quality.recipe else []
    return {
        "recipe": quality.recipe,
        "protocols": {name: _quality(part.models, beside) for name, part in quality.protocols.items()},
    }


def claimed_differences(quality: Quality) -> View:
    """Show intervals of differences, drawn for the whole catalogue; those of ratios only as a table."""
    return {"protocols": {name: _differences(part) for name, part in quality.intervals.items() if part}}


def segments(quality: Quality) -> View:
    """Show headline metrics of the main models by segment; empty if no protocol has segments."""
    found = {
        name: {metric_words(metric): _segments(part.segments, metric) for metric in HEADLINES}
        for name, part in quality.protocols.items()
        if part.segments
    }
    return {"protocols": found} if found else {}


def leave_one_out(quality: Quality) -> View:
    """Show what the ensemble loses without each member, and what the member costs."""
    return {
        "protocols": {
            name: {
                "table": table(
                    "without",
                    [
                        Column("ndcg", f"loses in {metric_words('ndcg@10')}", with_interval),
                        Column(
                            "catalogue_ndcg", f"loses in {metric_words('catalogue_ndcg@20')}", with_interval
                        ),
                        Column("training_seconds", "training", seconds),
                        Column("earns_its_place", "earns its place", words),
                    ],
                    _spoken(part),
                ),
                "plot": _bars_with_intervals(
                    {member: row.catalogue_ndcg for member, row in part.items()},
                    "loss of NDCG@20, whole catalogue, without the member",
                ),
                "idle": [model_words(member) for member, row in part.items() if not row.earns_its_place],
            }
            for name, part in quality.leave_one_out.items()
        }
    }


def attributes(quality: Quality) -> View:
    """Show what the content member loses without each attribute of items."""
    columns = [
        Column("kind", "kind", words),
        Column("known_share", "known of", share),
        Column("n_values", "values", number),
        Column("ndcg", f"loses in {metric_words('ndcg@10')}", with_interval),
        Column("catalogue_ndcg", f"loses in {metric_words('catalogue_ndcg@20')}", with_interval),
        Column("earns_its_place", "earns its place", words),
    ]
    return {
        "protocols": {
            name: {"table": table("without", columns, dict(part))}
            for name, part in quality.attributes.items()
        }
    }


def well_known(quality: Quality) -> View:
    """Show what models put beside the items that most people took."""
    columns = [Column(str(place), f"{place + 1}.", words) for place in range(3)]
    return {
        "protocols": {
            name: [
                {
                    "item": item,
                    "table": table(
                        "by",
                        columns,
                        {
                            model_words(model): {str(place): title for place, title in enumerate(titles)}
                            for model, titles in item.nearest.items()
                        },
                        ours=OUR_NAMES,
                    ),
                }
                for item in part
            ]
            for name, part in quality.well_known.items()
        }
    }


def bought_again(quality: Quality) -> View:
    """Show by category what share of buyers come back for an item, and how soon."""
    columns = [
        Column("n_buyers", "bought by", number),
        Column("share", "bought again", share),
        Column("days", "days between, median", number),
    ]
    return {"table": table("category", columns, dict(quality.bought_again))}


def tuning(quality: Quality) -> View:
    """Show which settings were searched, at what cost, and what was found."""
    columns = [
        Column("n_trials", "trials", number),
        Column("seconds", "took", seconds),
        Column("seconds_budget", "budget", seconds),
        Column("default_score", "as given", score),
        Column("best_score", "best", score),
        Column("gain", "gain", signed, "higher"),
    ]
    return {
        "protocols": {
            name: {
                "table": table("member", columns, _spoken({key: _search(row) for key, row in part.items()})),
                "spaces": {model_words(key): _searched_settings(row) for key, row in part.items()},
            }
            for name, part in quality.tuning.items()
        }
    }


def strategies(quality: Quality) -> View:
    """Show the textbook table of ensembles, out of fold, and which was chosen."""
    columns = [
        Column("accuracy", "accuracy", score, "higher"),
        Column("auc", "AUC", score, "higher"),
        Column("ndcg", "NDCG@20", score, "higher"),
        Column("lead_of_best", "behind the best", signed),
        Column("lead_interval", "95 % interval", interval),
        Column("brier", "Brier", score, "lower"),
        Column("ece", "ECE", score, "lower"),
        Column("seconds", "training", seconds, "lower"),
        Column("peak_memory_bytes", "peak memory", size, "lower"),
    ]
    return {
        "protocols": {
            name: {
                "table": table("strategy", columns, _spoken(part.table), ours={model_words(part.chosen)}),
                "part": part,
            }
            for name, part in quality.strategies.items()
        }
    }


def importance(quality: Quality) -> View:
    """Draw the permutation importance of each member."""
    return {
        "protocols": {
            name: _bars_with_intervals(part, "loss of NDCG@10 when the member's opinions are shuffled")
            for name, part in quality.importance.items()
        }
    }


def calibration(quality: Quality) -> View:
    """Show reliability out of fold and on the test slice, with its two scores."""
    columns = [Column("brier", "Brier", score), Column("ece", "ECE", score)]
    return {
        "protocols": {
            name: {
                "part": part,
                "table": table("pairs", columns, _calibrated_slices(part)),
                "plot": plots.reliability(
                    {slice_: row.bins for slice_, row in _calibrated_slices(part).items() if row.bins}
                ),
            }
            for name, part in quality.calibration.items()
        }
    }


def _quality(models: Mapping[str, Metrics], beside: Collection[str]) -> View:
    """Make one protocol's table of models and its plots. beside: members that the ensemble does not have."""
    columns = [
        Column(metric.name, metric.title, _metric_form(metric.name), metric.better, metric.group)
        for metric in METRICS
        if metric.is_on_page
    ]
    rows = {model_words(name, is_beside=name in beside): row for name, row in models.items()}
    return {
        "table": table("model", columns, rows, ours=OUR_NAMES),
        "plots": [
            plots.bars(
                {name: row[metric] for name, row in rows.items() if metric in row},
                metric_words(metric),
                highlighted=OUR_NAMES,
            )
            for metric in HEADLINES
        ],
    }


def _metric_form(name: str) -> Form:
    """Return a metric's format: novelty is in bits, popularity bias is around zero, all others are shares."""
    return {"novelty": lambda bits: f"{bits:.2f}", "popularity_bias": lambda bias: f"{bias:+.2f}"}.get(
        name, score
    )


def _differences(part: Intervals) -> View:
    metrics = dict.fromkeys(metric for row in part.values() for metric in row)
    gains = {name: row for name, row in part.items() if "_minus_" in name}
    ratios = {name: row for name, row in part.items() if name not in gains}
    drawn = {model_words(name): row[HEADLINES[1]] for name, row in gains.items() if HEADLINES[1] in row}
    return {
        "gains": _interval_table("difference", metrics, gains, interval),
        "ratios": _interval_table("ratio", metrics, ratios, share_interval),
        "plot": plots.differences(drawn, "gain in NDCG@20, whole catalogue") if drawn else None,
    }


def _interval_table(
    head: str, metrics: Mapping[str, None], rows: Mapping[str, Mapping[str, Interval]], form: Form
) -> Table | None:
    columns = [Column(metric, metric_words(metric), form) for metric in metrics]
    return table(head, columns, _spoken(rows)) if rows else None


def _segments(models: Mapping[str, Segments], metric: str) -> Table:
    """Make a table with segments as rows and models as columns, so that models are compared along a row."""
    rows: dict[str, dict[str, float]] = {}
    for model, dimensions in models.items():
        for dimension, parts in dimensions.items():
            for segment, figures in parts.items():
                row = rows.setdefault(f"{dimension}: {segment}".replace("_", " "), {"n": figures.n})
                row[model] = headline(figures, metric)
    columns = [
        Column("n", "n", number),
        *(Column(model, model_words(model), score, "higher") for model in models),
    ]
    return table("segment", columns, rows, best_of="row")


def _search(row: SearchRecord) -> dict[str, Any]:
    given, best = row.default_score, row.best_score
    return {**structs.asdict(row), "gain": None if given is None or best is None else best - given}


def _searched_settings(row: SearchRecord) -> list[str]:
    """Format each searched setting with its bounds and the value found: `l2 in 1 to 300 (log): 42.7`."""
    return [
        f"{name} in {_bounds(space)}: {number(row.best_values[name])}" for name, space in row.space.items()
    ]


def _bounds(space: SearchInterval) -> str:
    return f"{number(space.low)} to {number(space.high)}" + (" (log)" if space.log else "")


def _calibrated_slices(part: CalibrationFigures) -> dict[str, CalibrationFigures | CalibrationOnTest]:
    return {"validation, out of fold": part, "test": part.test}


def _bars_with_intervals(part: Mapping[str, Figure], label: str) -> Markup:
    return plots.bars(
        {model_words(name): row.value for name, row in part.items()},
        label,
        intervals={model_words(name): row.interval for name, row in part.items()},
        form="{:+.4f}",
    )


def _spoken(rows: Mapping[str, Figures]) -> dict[str, Figures]:
    """Key rows by the words for their names."""
    return {model_words(name): row for name, row in rows.items()}
