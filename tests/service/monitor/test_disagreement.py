"""Sampled requests scored again by every model: whom the monitor names, which requests count, what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from models.bundles.bundle import read_bundle
from models.bundles.registry import Registry
from models.history import History
from models.monitoring.agreement import ENSEMBLE, STUDENT, Floats
from models.monitoring.disagreement import DisagreementReference, reference_of
from models.monitoring.scored_requests import ScoringModel, WatchedRequest, model_names, score_requests
from service.log.records import ExposureRecord, SampledHistory
from service.monitor import disagreement
from service.monitor.disagreement import DisagreementWatch
from service.monitor.metrics import MonitorMetrics
from service.monitor.watched import WatchedBundle
from tests.support.bundles import N_ITEMS
from tests.support.monitoring import shown

BOUNDS = [10.0, 20.0]
N_PEOPLE = 700
FACTORS = np.random.default_rng(0).standard_normal((N_ITEMS, 6))


def model(noise: float, seed: int) -> ScoringModel:
    """Scores by the items of a history, with item factors that are off by this much."""
    factors = FACTORS + noise * np.random.default_rng(seed).standard_normal(FACTORS.shape)

    def score(histories: Sequence[History]) -> Floats:
        people = np.stack([factors[history.item_indices].sum(axis=0) for history in histories])
        return np.asarray(people @ factors.T, np.float32)

    return score


MODELS = {"als": model(0.3, 1), "content": model(0.5, 2), STUDENT: model(0.1, 3), ENSEMBLE: model(0.05, 4)}
SHUFFLED = model(9.0, 5)


def histories(n_people: int, seed: int) -> list[History]:
    rng = np.random.default_rng(seed)
    return [
        History(rng.permutation(N_ITEMS)[: 3 + person % 5].astype(np.int32), np.arange(3 + person % 5), kinds)
        for person in range(n_people)
        for kinds in [np.zeros(3 + person % 5, np.uint8)]
    ]


def served(history: History, by: ScoringModel) -> list[int]:
    return np.argsort(-by([history])[0])[:10].tolist()


@pytest.fixture(scope="module")
def reference() -> DisagreementReference:
    ranks = np.arange(N_ITEMS)
    requests = [
        WatchedRequest(
            history, np.array(served(history, MODELS[STUDENT])), number, History.empty().item_indices
        )
        for number, history in enumerate(histories(N_PEOPLE, 0))
    ]
    scored = score_requests(MODELS, requests, ranks, np.ones(N_ITEMS, np.bool_), BOUNDS)
    made = reference_of(model_names(MODELS), scored, BOUNDS, n_window=100, seed=0)
    assert made is not None
    return made


class Watching:
    """A watch on the tiny bundle, with these models in the bundle's place, and what it shows."""

    def __init__(
        self, store: Path, reference: DisagreementReference, models: dict[str, ScoringModel]
    ) -> None:
        bundle = read_bundle(store / Registry(store).current())
        self.watched = WatchedBundle(bundle, models)
        self.watched.reference = msgspec.structs.replace(self.watched.reference, disagreement=reference)
        self.metrics = MonitorMetrics()
        self.watch = DisagreementWatch(self.watched, self.metrics, minimum=100, seconds=10, since_ms=0)

    def see(self, answered_by: ScoringModel, **changes: Any) -> None:
        """A window's worth of requests, answered by this model."""
        for number, history in enumerate(histories(200, 1)):
            self.watch.exposed(self.record(number, history, answered_by, **changes))
        while self.watch.score():
            pass
        self.watch.close(shown(201).sent_ms / 1000)

    def record(self, number: int, history: History, by: ScoringModel, **changes: Any) -> ExposureRecord:
        sampled = SampledHistory(
            self.watched.vocabulary.ids_of(history.item_indices.tolist()),
            history.times.tolist(),
            history.kinds.tolist(),
            is_narrowed=changes.pop("is_narrowed", False),
        )
        fields = {
            "version": self.watched.version,
            "item_ids": self.watched.vocabulary.ids_of(served(history, by)),
            "sampled": sampled,
        }
        return shown(number, **{**fields, **changes})

    def shows(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def alarmed(self) -> set[str]:
        """Models with an alarm in some slice."""
        return {
            sample.labels["model"]
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "stillroom_disagreement_alarm" and sample.value
        }


def test_models_that_agree_as_ever_raise_no_alarm(store: Path, reference: DisagreementReference) -> None:
    watching = Watching(store, reference, MODELS)
    watching.see(MODELS[STUDENT])
    assert watching.alarmed() == set()
    agreement = watching.shows("stillroom_disagreement", model=STUDENT, measure="rank_correlation")
    assert agreement is not None
    assert agreement > 0.9
    n_timed = watching.shows("stillroom_model_seconds_count", model="als")
    assert n_timed == 4  # chunks of 64 requests


def test_a_damaged_member_is_named_and_the_alarm_ends_with_the_damage(
    store: Path, reference: DisagreementReference
) -> None:
    watching = Watching(store, reference, {**MODELS, "als": SHUFFLED})
    watching.see(MODELS[STUDENT])
    assert watching.alarmed() == {"als"}
    assert watching.shows("stillroom_disagreement_alarm", model="als", slice="all") == 1
    watching.watched.models = MODELS
    watching.see(MODELS[STUDENT])
    assert watching.alarmed() == set()
    assert watching.shows("stillroom_disagreement_alarm", model="als", slice="all") == 0


def test_answers_that_another_bundle_gave_are_the_students_fault(
    store: Path, reference: DisagreementReference
) -> None:
    watching = Watching(store, reference, MODELS)
    watching.see(SHUFFLED, version="20230101T000000Z-0123456789ab")
    assert watching.alarmed() == {STUDENT}


def test_answers_of_an_arm_with_another_bundle_are_not_looked_at(
    store: Path, reference: DisagreementReference
) -> None:
    watching = Watching(store, reference, MODELS)
    watching.see(SHUFFLED, version="20230101T000000Z-0123456789ab", experiment="vases", arm="old")
    assert watching.shows("stillroom_disagreement", model=STUDENT, measure="top10_overlap") is None


@pytest.mark.parametrize(
    "changes",
    [{"is_narrowed": True}, {"tier": "popular"}, {"degraded": "deadline"}, {"variant": ENSEMBLE}],
    ids=str,
)
def test_answers_that_are_not_the_students_first_choice_say_nothing_of_it(
    store: Path, reference: DisagreementReference, changes: dict[str, Any]
) -> None:
    watching = Watching(store, reference, MODELS)
    watching.see(SHUFFLED, **changes)
    assert watching.alarmed() == set()
    overlap = watching.shows("stillroom_disagreement", model="als", measure="top10_overlap")
    assert overlap is not None
    assert overlap > 0.3


def test_requests_beyond_what_can_wait_are_counted(
    store: Path, reference: DisagreementReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disagreement, "MAX_WAITING", 150)
    watching = Watching(store, reference, MODELS)
    watching.see(MODELS[STUDENT])
    assert watching.shows("stillroom_monitor_unscored_total") == 50


def test_a_request_that_is_not_sampled_is_nothing_here(store: Path, reference: DisagreementReference) -> None:
    watching = Watching(store, reference, MODELS)
    watching.watch.exposed(shown(0, version=watching.watched.version))
    assert watching.watch.n_waiting == 0
