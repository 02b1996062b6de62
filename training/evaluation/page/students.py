"""Views of the sections on the student: retention, distillation, compression, serving, cold start, explanations."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup
from msgspec import structs

from training.evaluation import plots
from training.evaluation.page.tables import (
    Column,
    Table,
    View,
    dollars_a_million,
    milliseconds,
    number,
    score,
    seconds,
    share,
    share_interval,
    share_with_interval,
    size,
    table,
    with_interval,
)
from training.evaluation.requirements import shipped_name
from training.evaluation.words import METRIC_TITLES, OURS, metric_words, model_words
from training.quality.figures import ColdPoint, Figure, Interval, Metrics, Retained, headline
from training.quality.schema import ColdPeople, ColdRanking, Quality, ServingFigures

OUR_NAMES = frozenset(model_words(name) for name in OURS)
GROUPS = {"known_people": "people in its training", "new_people": "people it never saw"}
HEADLINES = ("ndcg@10", "catalogue_ndcg@20")


def retention(quality: Quality) -> View:
    """Show the shares of the ensemble's quality that the student keeps, for known and for new people."""
    return {
        "protocols": {
            name: table(
                "people",
                [Column("n_people", "n", number), *_retained_columns(part)],
                {
                    GROUPS[group]: {**row, "n_people": next(iter(row.values())).n_people}
                    for group, row in part.items()
                },
            )
            for name, part in quality.retention.items()
        }
    }


def index(quality: Quality) -> View:
    """Show recall of a large catalogue's search by number of lists probed; empty if every item is scored."""
    entry = quality.index
    if entry is None or entry.kind != "inverted":
        return {}
    by_probes = dict(sorted(entry.curve.items(), key=lambda point: int(point[0])))
    line: dict[str, plots.Point] = {n_probes: (recall, None) for n_probes, recall in by_probes.items()}
    return {
        "index": entry,
        "plots_drawn": [
            plots.curves({"recall@100": line}, "lists looked into", "share of the exact best 100")
        ],
        "table": table(
            "lists looked into",
            [Column("recall", "recall@100", share)],
            {n_probes: {"recall": recall} for n_probes, recall in by_probes.items()},
            ours=[str(entry.n_probes)],
        ),
    }


def distillation(quality: Quality) -> View:
    """Show the ablation: variants of the student's training; empty if there is none."""
    variants = quality.ablations.get("distillation")
    if not variants:
        return {}
    kept = "retention_catalogue_ndcg@20"
    rows = {_variant(name): {**row, "interval": _span(row)} for name, row in variants.items()}
    columns = [
        Column("ndcg@10", "NDCG@10", score, "higher"),
        Column("catalogue_ndcg@20", "NDCG@20, whole catalogue", score, "higher"),
        Column("retention_ndcg@10", "kept of NDCG@10", share, "higher"),
        Column(kept, "kept of NDCG@20", share, "higher"),
        Column("interval", "95 % interval", share_interval),
        Column("seconds", "training", seconds, "lower"),
    ]
    return {
        "table": table("variant", columns, rows),
        "plot": plots.bars(
            {_variant(name): row[kept] for name, row in variants.items()},
            "share of the ensemble's NDCG@20 kept, whole catalogue",
            intervals={_variant(name): _span(row) for name, row in variants.items()},
        ),
    }


def compression(quality: Quality) -> View:
    """Show every version that was measured for certification, the decision, and the pruning curve."""
    part = quality.compression
    if part is None:
        return {}
    columns = [
        Column("size_bytes", "size", size, "lower"),
        Column("latency_p50_ms", "p50 ms", milliseconds, "lower"),
        *(Column(metric, metric_words(metric), score, "higher") for metric in HEADLINES),
        *(Column(f"{metric}_loss", f"loss of {METRIC_TITLES[metric]}", _loss) for metric in HEADLINES),
        Column("holds", "holds", lambda holds: "yes" if holds else "no"),
    ]
    rows = {
        name.replace("_", " "): {
            **row,
            **{f"{metric}_loss": _span(row, f"{metric}_loss_") for metric in HEADLINES},
        }
        for name, row in part.candidates.items()
    }
    chosen = part.chosen.replace("_", " ")
    return {
        "part": part,
        "chosen": chosen,
        "table": table("candidate", columns, rows, ours={chosen}),
        "curve": _pruning(part.pruning_curve) if len(part.pruning_curve) > 1 else None,
    }


def serving(quality: Quality) -> View:
    """Show what an answer costs in time, memory and money, beside its quality."""
    columns = [
        Column("latency_p50_ms", "p50", milliseconds, "lower", "one request, ms"),
        Column("latency_p99_ms", "p99", milliseconds, "lower", "one request, ms"),
        Column("latency_batch16_p50_ms", "p50", milliseconds, "lower", "16 together, ms"),
        Column("latency_batch16_p99_ms", "p99", milliseconds, "lower", "16 together, ms"),
        Column("throughput_per_second", "people/s", number, "higher", "16 together, ms"),
        Column("size_bytes", "on disk", size, "lower", "bytes"),
        Column("model_memory_bytes", "model", size, "lower", "bytes"),
        Column("peak_memory_bytes", "peak", size, "lower", "bytes"),
        Column("cost_per_request_usd", "a million", dollars_a_million, "lower", "cost"),
    ]
    rows = {model_words(name): row for name, row in quality.serving.items()}
    return {
        "table": table("model", columns, rows, ours=OUR_NAMES),
        "ratios": quality.ratios,
        "plots": [_trade_off(quality.serving, name, part.models) for name, part in quality.protocols.items()],
    }


def cold_start(quality: Quality) -> View:
    """Show quality by known events of new people, and of items known by their text alone."""
    found = quality.cold_start
    if found is None or (found.people is None and found.items is None):
        return {}
    people, items = found.people, found.items
    return {
        "people": people,
        "n_people": found.n_people,
        "curves": [_cold_curve(people.models, metric) for metric in HEADLINES] if people else [],
        "table": _cold_table(people.models) if people else None,
        "after_two": _after_two(people, shipped_name(quality)) if people else None,
        "items": items,
        "items_table": _held_out_items(items.models) if items else None,
        "leads": _leads(items.differences) if items else None,
    }


def explanations(quality: Quality) -> View:
    """Show the removal test, and how well estimates of members' contributions follow the true ones."""
    part = quality.explanations
    if part is None:
        return {}
    fidelity = {model_words(name): value for name, value in (part.member_shares_fidelity or {}).items()}
    label = "correlation of estimated and true contributions"
    return {
        "part": part,
        "plot": plots.bars(fidelity, label) if fidelity else None,
    }


def _loss(span: Interval) -> str:
    """Format both ends of the interval of a relative loss; below zero nothing is lost."""
    return f"{100 * span[0]:+.2f} to {100 * span[1]:+.2f}\N{NO-BREAK SPACE}%".replace("-", "−")


def _retained_columns(part: Mapping[str, Mapping[str, Retained]]) -> list[Column]:
    metrics = dict.fromkeys(metric for row in part.values() for metric in row)
    return [Column(metric, metric_words(metric), share_with_interval) for metric in metrics]


def _variant(name: str) -> str:
    return name.replace("_", " ").replace(" T", ", T = ")


def _span(row: Metrics, prefix: str = "") -> Interval:
    return row[f"{prefix}low"], row[f"{prefix}high"]


def _pruning(points: list[Metrics]) -> View:
    """Show quality and cost at each sparsity, relative to the first point."""
    rows = {share(point["sparsity"]): point for point in points}
    columns = [
        Column("n_heads", "heads", number),
        Column("n_hidden", "hidden units", number),
        Column("n_neighbours", "neighbours", number),
        Column("size_bytes", "size", size, "lower"),
        Column("latency_p50_ms", "p50 ms", milliseconds, "lower"),
        Column("ndcg@10", "NDCG@10", score, "higher"),
        Column("catalogue_ndcg@20", "NDCG@20, whole catalogue", score, "higher"),
    ]
    return {
        "table": table("pruned away", columns, rows),
        "plots": [
            _relative_to_first(
                rows, {"ndcg@10": "NDCG@10", "catalogue_ndcg@20": "NDCG@20, whole catalogue"}, "quality kept"
            ),
            _relative_to_first(rows, {"size_bytes": "size", "latency_p50_ms": "p50 latency"}, "cost kept"),
        ],
    }


def _relative_to_first(
    rows: Mapping[str, Mapping[str, float]], figures: Mapping[str, str], label: str
) -> Markup:
    first = next(iter(rows.values()))
    return plots.curves(
        {
            title: {at: (row[figure] / first[figure], None) for at, row in rows.items() if figure in row}
            for figure, title in figures.items()
            if first.get(figure)
        },
        "share of units and heads pruned",
        label,
    )


def _trade_off(serving: Mapping[str, ServingFigures], protocol: str, models: Mapping[str, Metrics]) -> Markup:
    metric = "catalogue_ndcg@20"
    points = {
        model_words(name): (figures.latency_p50_ms, models[name][metric])
        for name, figures in serving.items()
        if name in models
    }
    label = f"NDCG@20, whole catalogue, {protocol.replace('_', ' ')}"
    return plots.trade_off(points, "median latency of one request, ms", label, highlighted=OUR_NAMES)


def _cold_curve(models: Mapping[str, Mapping[str, ColdPoint]], metric: str) -> Markup:
    return plots.curves(
        {
            model_words(name): {
                n_events: (headline(point, metric), point.interval(metric))
                for n_events, point in line.items()
            }
            for name, line in models.items()
        },
        "known events of a new person",
        metric_words(metric),
    )


def _cold_table(models: Mapping[str, Mapping[str, ColdPoint]]) -> Table:
    rows = {
        model_words(name): {n_events: point.ndcg for n_events, point in line.items()}
        for name, line in models.items()
    }
    counts = dict.fromkeys(n_events for row in rows.values() for n_events in row)
    columns = [Column(count, count, score, "higher", "NDCG@10 with so many known events") for count in counts]
    return table("model", columns, rows)


def _after_two(people: ColdPeople, shipped: str) -> str | None:
    """Format the share of its NDCG@10 after twenty events that the student reaches after two, with its interval."""
    for student in (shipped, "student"):
        point = people.models.get(student, {}).get("2")
        if point and "ndcg@10" in point.of_longest:
            return share_with_interval(point.of_longest["ndcg@10"])
    return None


def _held_out_items(models: Mapping[str, ColdRanking]) -> Table:
    columns = [
        Column("ndcg", metric_words("ndcg@10"), score, "higher"),
        Column("mrr", metric_words("mrr"), score, "higher"),
        Column("auc", metric_words("auc"), score, "higher"),
        Column("interval", "NDCG@10, 95 % interval", lambda span: f"{span[0]:.4f} to {span[1]:.4f}"),
    ]
    rows = {
        model_words(name): structs.asdict(row) | {"interval": (row.low, row.high)}
        for name, row in models.items()
    }
    return table("model", columns, rows)


def _leads(differences: Mapping[str, Mapping[str, Figure]]) -> Table:
    metrics = dict.fromkeys(metric for row in differences.values() for metric in row)
    columns = [Column(metric, metric_words(metric), with_interval) for metric in metrics]
    return table("difference", columns, {model_words(name): row for name, row in differences.items()})
