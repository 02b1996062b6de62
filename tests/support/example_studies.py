"""Invented studies of an evaluation: what each part of the ensemble and of the student is worth.

Nothing here was measured.
"""

from __future__ import annotations

from training.quality.figures import (
    ColdPoint,
    Figure,
    Metrics,
)
from training.quality.schema import (
    AttributeWorth,
    BoughtAgain,
    CalibrationFigures,
    CalibrationOnTest,
    ColdItems,
    ColdPeople,
    ColdRanking,
    ColdStart,
    Compression,
    MemberWorth,
    ReliabilityBin,
    SearchInterval,
    SearchRecord,
    Standings,
    StrategyStanding,
    Trial,
    WellKnownItem,
)

MEMBERS = ("content", "als", "ease", "sequential")
EVENTS = (0, 1, 2, 5, 10, 20)


def spread(value: float, width: float = 0.008) -> Figure:
    """A value with an interval around it."""
    return Figure(value, value - width, value + width)


def example_strategies() -> Standings:
    ndcgs = {
        "tree": 0.49,
        "bagging": 0.55,
        "adaboost": 0.54,
        "boosting": 0.579,
        "stacking": 0.571,
        "super_stacking": 0.581,
    }
    table = {
        name: StrategyStanding(
            accuracy=0.3 + ndcg,
            auc=0.35 + ndcg,
            ndcg=ndcg,
            brier=0.7 - ndcg,
            ece=0.6 - ndcg,
            seconds=100 * ndcg,
            peak_memory_bytes=round(1e9 * ndcg),
            lead_of_best=0.581 - ndcg,
            lead_interval=(0.579 - ndcg, 0.583 - ndcg),
        )
        for name, ndcg in ndcgs.items()
    }
    return Standings("super_stacking", 0.002, (-0.001, 0.005), 5, table)


def example_calibration() -> CalibrationFigures:
    def bins(bend: float) -> list[ReliabilityBin]:
        return [ReliabilityBin(p / 10, (p / 10) ** bend, 120) for p in range(1, 10)]

    on_test = CalibrationOnTest(0.109, 0.017, bins(1.15))
    return CalibrationFigures(0.94, 4.61, brier=0.104, ece=0.011, bins=bins(1.05), test=on_test)


def example_leave_one_out() -> dict[str, MemberWorth]:
    return {
        name: MemberWorth(
            ndcg=spread(0.02 - 0.007 * order, 0.004),
            catalogue_ndcg=spread(0.012 - 0.004 * order, 0.003),
            training_seconds=12.0 * (order + 1),
            earns_its_place=order < 2,
        )
        for order, name in enumerate(MEMBERS)
    }


def example_attributes() -> dict[str, AttributeWorth]:
    return {
        "all of them": AttributeWorth(
            kind="",
            known_share=None,
            n_values=None,
            ndcg=spread(0.012),
            catalogue_ndcg=spread(0.011),
            earns_its_place=True,
        ),
        "brand": AttributeWorth(
            kind="words",
            known_share=0.93,
            n_values=214,
            ndcg=spread(0.002),
            catalogue_ndcg=spread(0.003),
            earns_its_place=False,
        ),
    }


def example_well_known() -> WellKnownItem:
    return WellKnownItem(
        "white hanging heart",
        856,
        {"als": ["red hanging heart", "heart of wicker"], "ensemble": ["red hanging heart"]},
    )


def example_bought_again() -> dict[str, BoughtAgain]:
    return {"candles": BoughtAgain(12_400, 0.214, 31.0), "clocks": BoughtAgain(2_210, 0.0, None)}


def example_search() -> SearchRecord:
    return SearchRecord(
        space={
            "n_factors": SearchInterval(32, 256, log=True, integer=True),
            "l2": SearchInterval(1, 300, log=True, integer=False),
        },
        n_trials=20,
        seconds=58.1,
        seconds_budget=60.0,
        default_score=0.151,
        best_score=0.163,
        best_values={"n_factors": 192, "l2": 83.12},
        trials=[Trial({"n_factors": 128, "l2": 50.0}, 0.151)],
    )


def example_distillation() -> dict[str, Metrics]:
    kept = {
        "no_distillation": 0.842,
        "pointwise": 0.921,
        "listwise_T1": 0.968,
        "listwise_T2": 0.989,
        "listwise_T4": 0.981,
        "candidates_top": 0.955,
        "candidates_uniform": 0.931,
        "candidates_mixed_128": 0.979,
        "candidates_mixed_512": 0.990,
        "no_subhistories": 0.952,
    }
    return {
        name: {
            "ndcg@10": 0.586 * share,
            "catalogue_ndcg@20": 0.18 * share,
            "retention_ndcg@10": share,
            "retention_catalogue_ndcg@20": share,
            "low": share - 0.012,
            "high": share + 0.012,
            "seconds": 300.0,
        }
        for name, share in kept.items()
    }


def example_compression() -> Compression:
    def candidate(size: float, loss: float, *, holds: bool) -> Metrics:
        return {
            "size_bytes": size,
            "latency_p50_ms": size / 5e6,
            "ndcg@10": 0.582 - loss,
            "catalogue_ndcg@20": 0.179 - loss,
            "ndcg@10_loss_low": loss - 0.003,
            "ndcg@10_loss_high": loss + 0.003,
            "catalogue_ndcg@20_loss_low": loss - 0.002,
            "catalogue_ndcg@20_loss_high": loss + 0.004,
            "holds": float(holds),
            "is_served": 1.0,
        }

    return Compression(
        chosen="pruned_int8",
        precision="int8",
        reason="pruned_int8 ships: the fastest whose loss stays within the bound",
        max_quality_loss=0.01,
        candidates={
            "fp32": candidate(5.2e6, 0.0, holds=True),
            "pruned": candidate(3.3e6, 0.002, holds=True),
            "pruned_int8": candidate(1.3e6, 0.004, holds=True),
            "pruned_int4": candidate(0.9e6, 0.031, holds=False),
        },
        pruning_curve=[
            {
                "sparsity": step / 8,
                "n_heads": 8.0 - step,
                "n_hidden": 256.0 - 32 * step,
                "n_neighbours": 20.0,
                "size_bytes": 5.2e6 * (1 - step / 10),
                "latency_p50_ms": 0.6 * (1 - step / 12),
                "ndcg@10": 0.582 - 0.002 * step**2,
                "catalogue_ndcg@20": 0.179 - 0.001 * step**2,
            }
            for step in range(7)
        ],
    )


def example_cold_start() -> ColdStart:
    def point(start: float, n_events: int) -> ColdPoint:
        ndcg = start + 0.06 * n_events**0.5
        longest = start + 0.06 * max(EVENTS) ** 0.5
        return _around(ndcg, {"ndcg@10": spread(ndcg / longest)})

    starts = {"student_shipped": 0.27, "als": 0.21, "content": 0.16}
    people = {name: {str(n): point(start, n) for n in EVENTS} for name, start in starts.items()}
    ranking = {"student_text": 0.18, "content": 0.16, "popular": 0.07, "random": 0.05}
    people["popular"] = {str(n): _around(0.2, {}) for n in EVENTS}
    items = ColdItems(
        n_items=180,
        n_questions=940,
        models={
            name: ColdRanking(ndcg, 1.1 * ndcg, 0.5 + ndcg, ndcg - 0.01, ndcg + 0.01)
            for name, ndcg in ranking.items()
        },
        differences={
            f"student_text_minus_{name}": {"ndcg@10": spread(ranking["student_text"] - ndcg)}
            for name, ndcg in ranking.items()
            if name != "student_text"
        },
    )
    return ColdStart(ColdPeople(people), 211, items)


def _around(ndcg: float, of_longest: dict[str, Figure]) -> ColdPoint:
    """A point of a curve: both headline metrics with their intervals."""
    return ColdPoint(
        ndcg=ndcg,
        catalogue_ndcg=ndcg / 3,
        low=ndcg - 0.02,
        high=ndcg + 0.02,
        catalogue_low=ndcg / 3 - 0.01,
        catalogue_high=ndcg / 3 + 0.01,
        of_longest=of_longest,
    )
