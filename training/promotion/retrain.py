"""`python -m training retrain`: train on all events, compare on new ones, and promote if the result is not worse.

The candidate's student has not seen the newest events, which its own test asks about. The test slice begins after the
last event that the bundle in service has seen, so that neither learned from it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from models.bundles.bundle import Bundle, read_bundle
from models.bundles.registry import Registry
from training.base.errors import NothingFresh, TooLittleData
from training.base.progress import Stages
from training.data.dataset import Dataset
from training.data.shop import Shop
from training.data.split import MIN_QUESTIONS, Split
from training.pipeline.train import Trained, prepare, split_shop, train
from training.promotion.comparison import Comparison, compare
from training.promotion.fresh import prompted_share
from training.recipe.settings import TrainingSettings

DECISION_FILE = "promotion.json"
PROTOCOL = "next_basket"

NOTABLE_SHARE = 0.2
"""Share of fresh events prompted by the bundle in service beyond which the command says so."""


@dataclass(frozen=True)
class PromotionDecision:
    """The decision on a candidate. comparison: None if nothing was in service before. reason: in one sentence."""

    trained: Trained
    comparison: Comparison | None
    is_promoted: bool
    reason: str


def retrain(
    shop: Shop,
    export: Path | None,
    settings: TrainingSettings,
    stages: Stages,
    *,
    store: Path,
    runs: Path,
    console: Console,
    may_promote: bool = True,
    command: str | None = None,
) -> PromotionDecision:
    """Train a candidate, compare it and promote it if it is not worse; otherwise it stays in the store.

    shop: the history and the export, merged; see `read_history_and_export`. may_promote: False only compares.
    command: as in `train`. Raises NothingFresh before any training if too little
    has happened since the bundle in service, BundleError if that one cannot be read, and whatever training raises.
    """
    registry = Registry(store)
    in_service = _in_service(registry)
    dataset = prepare(shop, settings, stages)
    split = None
    if in_service is not None:
        settings = asking_about_fresh(settings, dataset, in_service)
        split = split_fresh(dataset, settings, in_service)
    trained = train(shop, settings, store=store, runs=runs, console=console, command=command)
    comparison = None
    if in_service is not None and split is not None:
        with stages.stage("compare", f"Comparing with {in_service.version}"):
            comparison = compare(
                read_bundle(trained.bundle),
                in_service,
                dataset,
                split.test,
                max_loss=settings.promotion.max_loss,
                seed=settings.seed,
            )
    prompted = None
    if export is not None and split is not None:
        prompted = prompted_share(export, split.cuts["test_start"])
        if prompted > NOTABLE_SHARE:
            stages.note(
                f"{prompted:.0%} of what is compared on came from answers of the bundle in service, which favours it"
            )
    decision = _decide(trained, comparison, registry, in_service, may_promote)
    _write(decision, in_service, split, prompted)
    return decision


def asking_about_fresh(settings: TrainingSettings, dataset: Dataset, in_service: Bundle) -> TrainingSettings:
    """Return settings whose test begins after the last event that the bundle in service has seen.

    Raises NothingFresh if there are no later events.
    """
    times = np.sort(dataset.histories.times)
    last_seen = int(in_service.people.histories.times.max(initial=0))
    n_fresh = len(times) - int(np.searchsorted(times, last_seen, side="right"))
    if n_fresh == 0:
        raise NothingFresh(
            f"no event is later than {_moment(last_seen)}, the last one that {in_service.version} has seen; "
            "export what came since: make export-events"
        )
    # Half an event less, so that rounding cannot include an event that was seen.
    share = min(settings.split.test_share, (n_fresh - 0.5) / len(times))
    return settings.model_copy(update={"split": settings.split.model_copy(update={"test_share": share})})


def split_fresh(dataset: Dataset, settings: TrainingSettings, in_service: Bundle) -> Split:
    """Return the split that training will make. Raises NothingFresh if it asks too few people for a comparison."""
    try:
        return split_shop(dataset, PROTOCOL, settings)
    except TooLittleData as error:
        raise NothingFresh(
            f"too little has happened since {in_service.version}: at least {MIN_QUESTIONS} people must have come "
            f"back for a new item ({error}); retrain later, or train and promote by hand"
        ) from error


def _in_service(registry: Registry) -> Bundle | None:
    promotions = registry.promotions()
    return read_bundle(registry.path(promotions[0])) if promotions else None


def _decide(
    trained: Trained,
    comparison: Comparison | None,
    registry: Registry,
    in_service: Bundle | None,
    may_promote: bool,
) -> PromotionDecision:
    reason = "nothing was in service before" if comparison is None else comparison.verdict()
    is_good = comparison is None or comparison.is_not_worse
    if is_good and not may_promote:
        reason += "; not promoted, as asked"
    elif is_good and registry.promotions()[:1] != ([in_service.version] if in_service is not None else []):
        is_good = False
        reason += (
            "; not promoted, since another bundle was promoted meanwhile, which it was not compared with"
        )
    if is_good and may_promote:
        registry.promote(trained.bundle.name)
    return PromotionDecision(trained, comparison, is_good and may_promote, reason)


def _write(
    decision: PromotionDecision, in_service: Bundle | None, split: Split | None, prompted: float | None
) -> None:
    record: dict[str, Any] = {
        "candidate": decision.trained.bundle.name,
        "in_service": None if in_service is None else in_service.version,
        "is_promoted": decision.is_promoted,
        "reason": decision.reason,
        "fresh_since": None if split is None else _moment(split.cuts["test_start"]),
        "prompted_share": prompted,
        "comparison": None if decision.comparison is None else decision.comparison.record(),
    }
    (decision.trained.run.folder / DECISION_FILE).write_text(json.dumps(record, indent=1) + "\n")


def _moment(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
