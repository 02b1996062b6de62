"""An invented evaluation with every part a run can have, of figures that differ enough to be told apart.

Nothing here was measured. Parts can be taken away to see that a report lives without them.
"""

from __future__ import annotations

from models.bundles.manifest import IndexEntry
from tests.support.example_studies import (
    MEMBERS,
    example_attributes,
    example_bought_again,
    example_calibration,
    example_cold_start,
    example_compression,
    example_distillation,
    example_leave_one_out,
    example_search,
    example_strategies,
    example_well_known,
    spread,
)
from training.quality.figures import (
    ColumnUse,
    Interval,
    Intervals,
    Metrics,
    Retained,
    Segment,
    Segments,
)
from training.quality.schema import (
    DataPortrait,
    Explanations,
    ProtocolQuality,
    Quality,
    Recipe,
    ServingFigures,
    SplitPortrait,
    StageCosts,
)

QUALITY = {
    "random": 0.045,
    "popular": 0.202,
    "content": 0.371,
    "als": 0.528,
    "ease": 0.531,
    "sequential": 0.512,
    "ensemble": 0.586,
    "student": 0.582,
    "student_shipped": 0.579,
    "student_without_distillation": 0.497,
}
"""NDCG@10 of each model under leave last out; all other figures follow from it."""
PROTOCOLS = ("next_basket", "leave_last_out")


def example_evaluation() -> Quality:
    """What a run leaves, every part present; a new one each time."""
    return Quality(
        bundle="20260301T101500Z-3f9a2c",
        index=IndexEntry(
            kind="inverted",
            n_lists=2_000,
            n_probes=40,
            recall=0.981,
            curve={"8": 0.871, "20": 0.949, "40": 0.981, "80": 0.993},
        ),
        settings={"seed": 7, "split": {"test_share": 0.1}, "als": {"n_factors": 128, "l2": 50.0}},
        seed=7,
        stages=StageCosts(
            seconds={"index": 1.2, "als": 31.0, "distil": 912.5},
            cpu_seconds={"index": 1.1, "als": 58.0, "distil": 1790.0},
            peak_memory_bytes={"index": 310_000_000, "als": 640_000_000, "distil": 1_800_000_000},
        ),
        data=example_data(),
        recipe=Recipe(is_tuned=False, members=list(MEMBERS), beside=[]),
        of_protocol={"cold_start": "next_basket", "explanations": "leave_last_out"},
        protocols={name: _protocol(name) for name in PROTOCOLS},
        intervals={name: _intervals(name) for name in PROTOCOLS},
        retention={name: _retention() for name in PROTOCOLS},
        strategies={"next_basket": example_strategies()},
        calibration={"next_basket": example_calibration()},
        importance={"next_basket": {name: spread(0.01 * (4 - i)) for i, name in enumerate(MEMBERS)}},
        leave_one_out={"next_basket": example_leave_one_out()},
        attributes={"next_basket": example_attributes()},
        well_known={"next_basket": [example_well_known()]},
        bought_again=example_bought_again(),
        tuning={"next_basket": {"als": example_search()}},
        ablations={"distillation": example_distillation()},
        compression=example_compression(),
        cold_start=example_cold_start(),
        explanations=example_explanations(),
    )


def example_data() -> DataPortrait:
    """A portrait of UCI Online Retail."""
    return DataPortrait(
        source="online_retail.xlsx",
        layout="Online Retail",
        dropped=["135,080 events without a person", "8,905 cancellations"],
        columns=(
            ColumnUse("online_retail.xlsx", "CustomerID", "person"),
            ColumnUse("online_retail.xlsx", "Country", ""),
        ),
        n_people=4_338,
        n_items=3_665,
        n_items_with_text=3_650,
        n_events=397_884,
        history_lengths=[1, 1, 2, 3, 5, 8, 13, 21, 55, 144, 377, 610],
        item_counts=[1000, 500, 200, 100, 50, 25, 10, 5, 2, 1],
        first_event=1_291_191_960,
        last_event=1_323_435_000,
    )


def example_explanations() -> Explanations:
    """Of explanations that nearly always hold."""
    return Explanations(
        removal_pass_rate=0.971,
        low=0.965,
        high=0.977,
        n_people=500,
        n_explanations=4_931,
        n_unnamed=3,
        control_pass_rate=0.512,
        mean_drop=0.183,
        member_shares_fidelity={"als": 0.88, "ease": 0.92, "content": 0.74},
        member_shares_r2={"als": 0.77, "ease": 0.84, "content": 0.52},
        member_shares_top_agreement=0.683,
        member_shares_commonest_top=0.417,
        member_shares_mean_error=0.037,
    )


def example_serving() -> dict[str, ServingFigures]:
    """What timing the models gives: the shipped student is 40 times smaller and 20 times faster."""
    slowness = {"ensemble": 20.0, "student": 1.6, "student_pruned": 1.2, "student_shipped": 1.0}
    sizes = {"ensemble": 40.0, "student": 4.0, "student_pruned": 2.5, "student_shipped": 1.0}
    return {
        name: ServingFigures(
            latency_p50_ms=0.31 * slow,
            latency_p99_ms=0.74 * slow,
            latency_batch16_p50_ms=2.1 * slow,
            latency_batch16_p99_ms=3.0 * slow,
            throughput_per_second=7_600 / slow,
            cpu_seconds_per_request=3.2e-4 * slow,
            size_bytes=round(1.3e6 * sizes[name]),
            peak_memory_bytes=round(61e6 + 9e6 * sizes[name]),
            model_memory_bytes=round(9e6 * sizes[name]),
            cost_per_request_usd=4.4e-9 * slow,
        )
        for name, slow in slowness.items()
    }


def _protocol(protocol: str) -> ProtocolQuality:
    harder = 0.9 if protocol == "next_basket" else 1.0
    models = {name: _metrics(quality * harder) for name, quality in QUALITY.items()}
    cuts = {"validation_start": 1_318_000_000, "test_start": 1_321_000_000}
    split = SplitPortrait(
        n_people=4_338,
        n_items=3_665,
        n_events=397_884,
        n_validation_people=1_401,
        n_validation_questions=1_401,
        n_test_people=1_207,
        n_test_truth=18_334,
        n_new_people=211,
        cuts=cuts if protocol == "next_basket" else {},
    )
    segments = {name: _segments(models[name]) for name in ("popular", "ensemble", "student_shipped")}
    return ProtocolQuality(models, split, segments)


def _metrics(ndcg: float) -> Metrics:
    return {
        "accuracy": 0.5 + 0.62 * ndcg,
        "auc": 0.5 + 0.74 * ndcg,
        "hr@10": 1.37 * ndcg,
        "ndcg@10": ndcg,
        "catalogue_recall@20": 0.62 * ndcg,
        "catalogue_capped_recall@20": 0.64 * ndcg,
        "catalogue_ndcg@20": 0.31 * ndcg,
        "catalogue_hr@10": 0.48 * ndcg,
        "catalogue_recall@10": 0.41 * ndcg,
        "catalogue_ndcg@10": 0.27 * ndcg,
        "coverage": 1.0 - ndcg,
        "novelty": 9.0 - 5 * ndcg,
        "popularity_bias": 3 * ndcg - 0.4,
    }


def _segments(whole: Metrics) -> Segments:
    def part(n: int, times: float) -> Segment:
        return Segment(n, times * whole["ndcg@10"], times * whole["catalogue_ndcg@20"])

    return {
        "history_length": {"1-4": part(311, 0.8), "5-19": part(502, 0.95), "20-49": part(394, 1.2)},
        "person": {"known": part(996, 1.01), "new": part(211, 0.95)},
        "item_popularity": {"head": part(9_800, 1.3), "long_tail": part(8_534, 0.6)},
    }


def _intervals(protocol: str) -> Intervals:
    width = 0.02 if protocol == "next_basket" else 0.015

    def gain(low: float) -> dict[str, Interval]:
        return {
            "ndcg@10": (low, low + width),
            "catalogue_ndcg@20": (low / 2, (low + width) / 2),
            "accuracy": (low / 4, low / 4 + 0.01),
        }

    return {
        "ensemble_minus_als": gain(0.048),
        "ensemble_minus_ease": gain(0.044),
        "ensemble_minus_best_member": gain(0.044),
        "student_minus_student_without_distillation": gain(0.07),
        "student_minus_ensemble": gain(-0.012),
        "student_shipped_minus_popular": gain(0.2),
        "student_over_ensemble_retention": {"ndcg@10": (0.982, 0.997), "catalogue_ndcg@20": (0.979, 0.998)},
    }


def _retention() -> dict[str, dict[str, Retained]]:
    def group(value: float, n_people: int) -> dict[str, Retained]:
        kept = Retained(value, value - 0.008, value + 0.008, n_people)
        return {"ndcg@10": kept, "catalogue_ndcg@20": kept, "hr@10": kept}

    return {"known_people": group(0.988, 996), "new_people": group(0.964, 211)}
