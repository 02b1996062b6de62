"""The schema of all figures in a run's evaluation.json and a report's quality.json, in the order of the files.

A run fills the parts that it measures, the report adds what serving costs and the verdicts, and the page draws the
whole. A part that was not measured is None or empty, and is left out of the file. Fields whose default is for older
runs, which lack them, say so.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec

from models.bundles.manifest import IndexEntry
from training.quality.figures import (
    ColdPoint,
    ColumnUse,
    EvidenceFigures,
    Figure,
    Interval,
    Intervals,
    LeftOut,
    Metrics,
    Number,
    Part,
    Retained,
    Segments,
    to_json,
)
from training.quality.simulated import ExperimentsStudy, MonitoringStudy

SCHEMA_VERSION = 1
Words = Literal["at least", "above", "at most", "under"]


class DataPortrait(Part, frozen=True, kw_only=True):
    """The data's size, span and losses.

    dropped: lines of text on what was kept and left out. first_event, last_event: Unix seconds. A run's
    evaluation.json has history_lengths (events of each person) and item_counts (events of each item); quality.json
    has people_by_history_length instead, and event_share_of_top_items, the share of all events that the most popular
    share of items has. Runs before 2026-11-30 lack columns and the counts that default to None.
    """

    source: str
    layout: str
    dropped: list[str]
    columns: tuple[ColumnUse, ...] = ()
    n_people: int
    n_items: int
    n_recommendable_items: int | None = None
    n_items_with_text: int | None = None
    n_events: int
    history_lengths: list[int] | None = None
    item_counts: list[int] | None = None
    first_event: int
    last_event: int
    people_by_history_length: dict[str, int] | None = None
    event_share_of_top_items: dict[str, float] | None = None
    target: str | None = None
    target_reason: str | None = None


class LeftOutOfQuestions(Part, frozen=True):
    """What each slice did not ask, because it may not be recommended."""

    validation: LeftOut
    test: LeftOut


class SplitPortrait(Part, frozen=True, kw_only=True):
    """How much was evaluated, and where time was cut. cuts: moments by name in Unix seconds; empty if there are none.

    Runs before 2026-11-30 lack the fields that default to None.
    """

    n_people: int
    n_items: int
    n_events: int
    n_validation_people: int
    n_validation_questions: int
    n_test_people: int
    n_test_truth: int
    n_new_people: int
    n_recommendable_items: int | None = None
    left_out: LeftOutOfQuestions | None = None
    cuts: dict[str, int]


class ProtocolQuality(Part, frozen=True):
    """One protocol's test results: metrics and segments by model."""

    models: dict[str, Metrics]
    split: SplitPortrait
    segments: dict[str, Segments]


class StrategyStanding(Part, frozen=True):
    """One strategy out of fold. lead_of_best: NDCG@20 of the best minus this one's; lead_interval is paired."""

    accuracy: float
    auc: float
    ndcg: float = msgspec.field(name="ndcg@10")
    brier: float
    ece: float
    seconds: float
    peak_memory_bytes: int
    lead_of_best: float
    lead_interval: Interval


class Standings(Part, frozen=True):
    """How the strategies compared, and which was chosen. margin: its lead over the second best, None if alone."""

    chosen: str
    margin: float | None
    margin_interval: Interval | None
    n_folds: int
    table: dict[str, StrategyStanding]


class ReliabilityBin(Part, frozen=True):
    """The mean predicted probability of n pairs, and the share of them that was taken."""

    predicted: float
    observed: float
    n: int


class CalibrationOnTest(Part, frozen=True):
    """The quality of probabilities on the test's balanced pairs: two scores, and the bins behind the second."""

    brier: float
    ece: float
    bins: list[ReliabilityBin]


class CalibrationFigures(Part, frozen=True):
    """The fitted map from logits to probabilities, and its quality out of fold and on the test."""

    slope: float
    intercept: float
    brier: float
    ece: float
    bins: list[ReliabilityBin]
    test: CalibrationOnTest


class Recipe(Part, frozen=True):
    """Whether members were tuned, so that nothing here is what `train` ships, and which members stand where."""

    is_tuned: bool
    members: list[str]
    beside: list[str]


class SearchInterval(Part, frozen=True):
    """The interval in which one setting was searched."""

    low: Number
    high: Number
    log: bool
    integer: bool


class Trial(Part, frozen=True):
    """One trial of a member's settings. score: None if training diverged."""

    values: dict[str, Number]
    score: float | None


class SearchRecord(Part, frozen=True):
    """The search of one member's settings: what was searched, what it cost, and what it found."""

    space: dict[str, SearchInterval]
    n_trials: int
    seconds: float
    seconds_budget: float
    default_score: float | None
    best_score: float | None
    best_values: dict[str, Number]
    trials: list[Trial]


class MemberWorth(Part, frozen=True):
    """What the ensemble loses without a member, paired over people, and what the member costs.

    earns_its_place: whether at least one of the two intervals lies above zero.
    """

    ndcg: Figure = msgspec.field(name="ndcg@10")
    catalogue_ndcg: Figure = msgspec.field(name="catalogue_ndcg@20")
    training_seconds: float | None
    earns_its_place: bool


class AttributeWorth(Part, frozen=True):
    """What the content member loses without an attribute of items, paired over people.

    kind: words, number or flag; "" for all attributes together, which have no known_share (of items) nor n_values.
    earns_its_place: whether at least one of the two intervals lies above zero.
    """

    kind: str
    known_share: float | None
    n_values: int | None
    ndcg: Figure = msgspec.field(name="ndcg@10")
    catalogue_ndcg: Figure = msgspec.field(name="catalogue_ndcg@20")
    earns_its_place: bool


class BoughtAgain(Part, frozen=True):
    """What comes back in a category. n_buyers: pairs of a person and an item that was bought. share: of these, bought
    again on a later day. days: the median interval; None without any.
    """

    n_buyers: int
    share: float
    days: float | None


class WellKnownItem(Part, frozen=True):
    """What models put beside an item. n_people: who took it. nearest: titles by model, the best first."""

    title: str
    n_people: int
    nearest: dict[str, list[str]]


class Explanations(Part, frozen=True):
    """The removal test, empty if nobody has a history, and the accuracy of the members' shares.

    removal_pass_rate, low, high: share of recommended items that weaken without the item named as their reason, mean
    over people; an item without a reason does not pass. n_unnamed: recommended items without a reason. mean_drop: of
    log p, over explanations. score_falls, rank_falls_or_stays: shares of explanations that pass by two weaker
    readings of "weaken". control_pass_rate: share that weakens when another of the last items is removed instead.
    member_shares_*: as in `training.student.member_shares.Fidelity`.
    """

    removal_pass_rate: float | None = None
    low: float | None = None
    high: float | None = None
    n_people: int | None = None
    n_explanations: int | None = None
    n_unnamed: int | None = None
    mean_drop: float | None = None
    score_falls: float | None = None
    rank_falls_or_stays: float | None = None
    control_pass_rate: float | None = None
    member_shares_fidelity: dict[str, float] | None = None
    member_shares_r2: dict[str, float] | None = None
    member_shares_top_agreement: float | None = None
    member_shares_commonest_top: float | None = None
    member_shares_mean_error: float | None = None


class Compression(Part, frozen=True):
    """What ships, why, and every version measured to decide it; see `training.student.certification.Evidence`."""

    chosen: str
    precision: str
    reason: str
    max_quality_loss: float
    candidates: dict[str, Metrics]
    pruning_curve: list[Metrics]


class ColdPeople(Part, frozen=True):
    """Quality by model and by number of known items."""

    models: dict[str, dict[str, ColdPoint]]


class ColdRanking(Part, frozen=True):
    """How well one model ranks items that were held out of training; low and high are of NDCG@10."""

    ndcg: float = msgspec.field(name="ndcg@10")
    mrr: float
    auc: float
    low: float
    high: float


class ColdItems(Part, frozen=True):
    """Items known by their text alone. differences: the student minus each other model, by metric."""

    n_items: int
    n_questions: int
    models: dict[str, ColdRanking]
    differences: dict[str, dict[str, Figure]]


class ColdStart(Part, frozen=True):
    """Quality for new people by number of known items, and for new items; None if nobody could be evaluated."""

    people: ColdPeople | None = None
    n_people: int | None = None
    items: ColdItems | None = None


class StageCosts(Part, frozen=True):
    """Time and peak memory by stage. cpu_seconds: of all threads; the first runs lack it."""

    seconds: dict[str, float] = msgspec.field(default_factory=dict)
    cpu_seconds: dict[str, float] = msgspec.field(default_factory=dict)
    peak_memory_bytes: dict[str, int] = msgspec.field(default_factory=dict)


class ProbedFigures(Part, frozen=True):
    """What one model's answers cost; see `training.evaluation.serving_probe.probe`."""

    latency_p50_ms: float
    latency_p99_ms: float
    latency_batch16_p50_ms: float
    latency_batch16_p99_ms: float
    throughput_per_second: float
    cpu_seconds_per_request: float
    size_bytes: int
    peak_memory_bytes: int
    model_memory_bytes: int


class ServingFigures(ProbedFigures, frozen=True):
    """The figures of `ProbedFigures`, and the cost of the CPU seconds in US dollars."""

    cost_per_request_usd: float


class Verdict(Part, frozen=True):
    """One figure that was reached, judged by its bound."""

    figure: str
    meaning: str
    bound: float
    words: Words
    reached: float
    met: bool
    model: str
    protocol: str | None


class Machine(Part, frozen=True):
    """The machine on which serving was measured."""

    cpu: str
    cores: str
    system: str
    python: str


class Quality(msgspec.Struct, omit_defaults=True):
    """A whole evaluation, filled part by part. From `protocols` to `well_known`, parts are by protocol.

    bought_again is by category. of_protocol: for parts that are of one protocol alone, which one. bundle: the version
    that the run wrote.
    """

    schema_version: int | None = None
    data: DataPortrait | None = None
    settings: dict[str, Any] | None = None
    seed: int | None = None
    of_protocol: dict[str, str] = {}
    protocols: dict[str, ProtocolQuality] = {}
    intervals: dict[str, Intervals] = {}
    retention: dict[str, dict[str, dict[str, Retained]]] = {}
    strategies: dict[str, Standings] = {}
    feature_weights: dict[str, dict[str, float]] = {}
    calibration: dict[str, CalibrationFigures] = {}
    recipe: Recipe | None = None
    evidence: dict[str, EvidenceFigures] = {}
    tuning: dict[str, dict[str, SearchRecord]] = {}
    importance: dict[str, dict[str, Figure]] = {}
    leave_one_out: dict[str, dict[str, MemberWorth]] = {}
    attributes: dict[str, dict[str, AttributeWorth]] = {}
    well_known: dict[str, list[WellKnownItem]] = {}
    bought_again: dict[str, BoughtAgain] = {}
    explanations: Explanations | None = None
    compression: Compression | None = None
    ablations: dict[str, dict[str, Metrics]] = {}
    cold_start: ColdStart | None = None
    stages: StageCosts | None = None
    index: IndexEntry | None = None
    command: str | None = None
    bundle: str | None = None
    serving: dict[str, ServingFigures] = {}
    ratios: dict[str, float] = {}
    requirements: list[Verdict] | None = None
    targets: list[Verdict] | None = None
    promises: list[Verdict] | None = None
    run: str | None = None
    price_per_vcpu_hour_usd: float | None = None
    machine: Machine | None = None
    experiments: ExperimentsStudy | None = None
    monitoring: MonitoringStudy | None = None

    def to_json(self) -> str:
        """Write the evaluation as a file's text."""
        return to_json(self)

    @staticmethod
    def from_json(text: str) -> Quality:
        """Read what `to_json` wrote; fields of an earlier release that are not in the schema are ignored."""
        return msgspec.convert(json.loads(text), Quality)
