"""Bundles that carry their ensemble, watched on a real Redis: one that is whole, and one with a damaged member."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.bundles.bundle import Bundle, BundleContents, VariantsContents, read_bundle, write_bundle
from models.bundles.registry import Registry
from models.bundles.variants import Variants, record_variants
from models.ensemble.ensemble import FittedEnsemble
from models.history import History
from models.members.factorization import FittedFactorization
from models.monitoring.disagreement import reference_of
from models.monitoring.reference import CatalogueBins
from models.monitoring.scored_requests import WatchedRequest, model_names, score_requests, scoring_models
from models.student import Student
from service.log.records import ExposureRecord, SampledHistory
from tests.service.monitor.test_monitor import Watching
from tests.support.bundles import N_ITEMS, WRITTEN_AT, tiny_reference
from tests.support.monitoring import shown
from tests.support.redis import RedisServer
from tests.support.variants import contents_with_variants

BOUNDS = [13.0, 26.0]


def histories(n_people: int, seed: int) -> list[History]:
    """Of three to seven items each, drawn uniformly."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 8, n_people)
    return [
        History(rng.permutation(N_ITEMS)[:n].astype(np.int32), np.arange(n), np.zeros(n, np.uint8))
        for n in lengths
    ]


def requests_of(student: Student, asked: list[History]) -> list[WatchedRequest]:
    ranked = student.recommend(asked, 10)
    return [
        WatchedRequest(history, served.astype(np.int64), seed, History.empty().item_indices)
        for seed, (history, served) in enumerate(zip(asked, ranked.item_indices, strict=True))
    ]


@pytest.fixture(scope="module")
def whole() -> BundleContents:
    """A bundle with what its models agree on in its reference."""
    contents = contents_with_variants()
    assert contents.variants is not None
    student = Student(contents.student)
    models = scoring_models(contents.variants.variants.ensemble, student)
    ranks, available = CatalogueBins(contents.items, []).ranks, contents.items.available
    scored = score_requests(models, requests_of(student, histories(800, 0)), ranks, available, BOUNDS)
    agreement = reference_of(model_names(models), scored, BOUNDS, n_window=100, seed=0)
    reference = msgspec.structs.replace(tiny_reference(), disagreement=agreement)
    return dataclasses.replace(contents, reference=reference.to_json())


def with_shuffled_factors(contents: BundleContents) -> BundleContents:
    """The same with the rows of one member's factors in another order."""
    assert contents.variants is not None
    ensemble = contents.variants.variants.ensemble
    order = np.random.default_rng(1).permutation(N_ITEMS)
    members = [
        dataclasses.replace(member, item_factors=member.item_factors[order])
        if isinstance(member, FittedFactorization)
        else member
        for member in ensemble.members
    ]
    variants = Variants(FittedEnsemble(members, ensemble.repeats, ensemble.strategy))
    golden = record_variants(variants, histories(2, 5))
    return dataclasses.replace(
        contents, variants=VariantsContents(variants, golden, variants.entry({"ensemble": 1.0}))
    )


def answers(bundle: Bundle, n: int, seed: int, start: int = 0, version: str = "") -> list[ExposureRecord]:
    """Sampled answers of this bundle's student, as a service tells them. version: that they name."""
    ids_of = bundle.items.vocabulary.ids_of
    return [
        shown(
            start + number,
            version=version or bundle.version,
            item_ids=ids_of(request.served.tolist()),
            sampled=SampledHistory(
                ids_of(request.history.item_indices.tolist()),
                request.history.times.tolist(),
                request.history.kinds.tolist(),
            ),
        )
        for number, request in enumerate(requests_of(bundle.load_student(), histories(n, seed)))
        if request.served is not None
    ]


def alarmed(watching: Watching) -> set[str]:
    """Models with an alarm in some slice."""
    return {
        sample.labels["model"]
        for family in watching.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "stillroom_disagreement_alarm" and sample.value
    }


def test_a_bundle_with_a_damaged_member_is_found_out_after_its_promotion(
    whole: BundleContents, tmp_path: Path, redis_server: RedisServer
) -> None:
    store = tmp_path / "store"
    sound = read_bundle(write_bundle(store, whole, now=WRITTEN_AT))
    damaged = read_bundle(
        write_bundle(store, with_shuffled_factors(whole), now=WRITTEN_AT + timedelta(seconds=1))
    )
    Registry(store).promote(sound.version)
    watching = Watching(store, redis_server.url, monitor_min_scored=100)
    watching.see(answers(sound, 200, seed=1))
    assert watching.shows("stillroom_disagreement", model="student", measure="rank_correlation") is not None
    assert alarmed(watching) == set()
    Registry(store).promote(damaged.version)
    watching.see([])
    watching.see(answers(damaged, 200, seed=2, start=300))
    assert alarmed(watching) == {"als"}
    Registry(store).roll_back()
    watching.see([])
    assert alarmed(watching) == set()
