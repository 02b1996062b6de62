"""Gather what a bundle holds beside the student: item metadata, segments, histories, golden requests, references."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
from sklearn.cluster import MiniBatchKMeans

from models.bundles.bundle import BundleContents
from models.bundles.golden import record_golden
from models.bundles.manifest import EnsembleEntry, SharesEntry, StudentEntry, TrainingEntry
from models.history import MAX_EVENTS, History
from models.items import Items, rank_segments
from models.kept_history import kept_history
from models.known_items import OwnItems, ShopsRule
from models.monitoring.scored_requests import scoring_models
from models.packed_histories import ColdHistories, Histories
from models.student import Student
from models.text import TextEncoder
from models.vocabulary import StringTable
from training.bundling.bundled_variants import bundled_variants
from training.bundling.reference import build_reference
from training.data.dataset import Catalogue, Dataset, interactions_until_now
from training.ensemble.choice import StrategyChoice
from training.ensemble.ensemble import Ensemble
from training.ensemble.repurchase import fit_clock
from training.learning.fit import Learned
from training.members.popularity import decayed_popularity
from training.recipe.settings import TrainingSettings, dump_settings
from training.student.inverted_lists import with_lists

N_GOLDEN = 16
N_GOLDEN_VARIANTS = 4
"""Number of these people for variants: ensemble and members answer each, which takes a hundred times as long."""
N_GOLDEN_TEXTS = 8
LIBRARIES = ("numpy", "scipy", "scikit-learn", "implicit", "torch", "onnx", "onnxruntime", "polars")


def bundle_contents(
    dataset: Dataset,
    learned: Learned,
    ensemble: Ensemble,
    choice: StrategyChoice,
    metrics: dict[str, dict[str, dict[str, float]]],
    settings: TrainingSettings,
    is_new: npt.NDArray[np.bool_],
    known_items: ShopsRule,
) -> BundleContents:
    """Gather a bundle. Histories and popularity reach to the last event, beyond what the models learned from.

    is_new: (n_people,) people whom no fit has seen; on them, or on everybody if there are none, a large catalogue's
    index is chosen. known_items: what lists do with own items where a request does not say it.
    """
    histories = Histories.from_list([kept_history(history) for history in dataset.histories])
    text_encoder, student = learned.text_encoder, learned.compressed.versions["student_shipped"]
    student = replace(student, repeats=student.repeats.latest())
    running, (shares, _) = Student(student), learned.shares
    items = _items(dataset, text_encoder, settings)
    golden_histories = _golden_histories(histories, N_GOLDEN)
    variants = None
    # An index reorders items, which members would not know.
    if len(items) <= min(settings.max_variant_items, settings.index.exact_up_to):
        variant_histories = _golden_histories(histories, N_GOLDEN_VARIANTS)
        variants = bundled_variants(ensemble, variant_histories, items.recommendable)
    contents = BundleContents(
        items=items,
        people=ColdHistories(dataset.people, histories),
        student=student,
        member_shares=shares,
        text_encoder=text_encoder,
        golden=record_golden(
            running, text_encoder, golden_histories, _golden_texts(dataset.catalogue), items.recommendable
        ),
        reference=build_reference(
            dataset.histories,
            items,
            running,
            scoring_models(ensemble, running),
            first_seen=dataset.catalogue.first_seen,
            test_share=settings.split.test_share,
            seed=settings.seed,
            own_items=OwnItems(known_items, dataset.target),
        ),
        student_entry=_student_entry(dataset, learned, running),
        training_entry=_training_entry(dataset, choice, metrics, settings),
        variants=variants,
        known_items=known_items,
    )
    rows = np.flatnonzero(is_new) if is_new.any() else np.arange(len(histories))
    held_back = [histories[row] for row in rows[: settings.index.n_people]]
    return with_lists(contents, held_back, settings.index, settings.seed)


def _student_entry(dataset: Dataset, learned: Learned, running: Student) -> StudentEntry:
    compressed, (shares, fidelity) = learned.compressed, learned.shares
    return StudentEntry(
        compressed.precision,
        running.n_factors,
        MAX_EVENTS,
        compressed.reason,
        compressed.evidence,
        SharesEntry(shares.members, fidelity.correlations, fidelity.top_agreement),
        target=dataset.target.name.lower(),
        liked_from=dataset.liked_from,
    )


def _training_entry(
    dataset: Dataset,
    choice: StrategyChoice,
    metrics: dict[str, dict[str, dict[str, float]]],
    settings: TrainingSettings,
) -> TrainingEntry:
    return TrainingEntry(
        source=dataset.name,
        seed=settings.seed,
        settings=dump_settings(settings),
        libraries={name: version(name) for name in LIBRARIES},
        metrics=metrics,
        ensemble=EnsembleEntry(
            choice.name,
            choice.margin,
            choice.margin_interval,
            {name: standing.ndcg for name, standing in choice.standings.items()},
        ),
    )


def _items(dataset: Dataset, text_encoder: TextEncoder, settings: TrainingSettings) -> Items:
    catalogue = dataset.catalogue
    codes = catalogue.category_codes()
    popularity = decayed_popularity(interactions_until_now(dataset), settings.popularity.half_life_days)
    segments = _segments(codes, catalogue.texts, text_encoder, settings)
    return Items(
        vocabulary=dataset.items,
        titles=StringTable.from_strings(catalogue.titles),
        category_names=StringTable.from_strings(catalogue.category_names()),
        category_codes=codes,
        prices=catalogue.prices,
        segments=segments,
        # Items that may not be recommended come last, so that they do not fill a segment's list.
        segment_popular=rank_segments(
            segments, np.where(catalogue.recommendable, popularity, np.float32(-1))
        ),
        popularity=popularity,
        available=catalogue.recommendable,
        attributes=catalogue.attributes,
        repurchase=fit_clock(dataset.histories, dataset.target, codes, len(catalogue)),
    )


def _segments(
    codes: npt.NDArray[np.int32], texts: list[str], text_encoder: TextEncoder, settings: TrainingSettings
) -> npt.NDArray[np.int32]:
    """Return item segments: the shop's categories (no category is one too), or clusters of item texts without any."""
    if codes.max(initial=-1) >= 0:
        return np.where(codes >= 0, codes, codes.max() + 1).astype(np.int32)
    n_segments = min(settings.n_segments, len(texts))
    clusters = MiniBatchKMeans(n_segments, random_state=settings.seed, n_init=3)
    return np.asarray(clusters.fit_predict(text_encoder.encode(texts)), np.int32)


def _golden_histories(histories: Histories, n_kept: int) -> list[History]:
    """Return an empty history, and people's most recent events, spread over the vocabulary."""
    rows = np.linspace(0, len(histories) - 1, min(n_kept - 1, len(histories))).astype(int)
    return [History.empty(), *(histories[row].last(MAX_EVENTS) for row in rows)]


def _golden_texts(catalogue: Catalogue) -> list[str]:
    """Return texts spread over the catalogue, or titles if there are no texts, as new items would have them."""
    texts = [text for text in catalogue.texts if text] or catalogue.titles
    rows = np.linspace(0, len(texts) - 1, min(N_GOLDEN_TEXTS, len(texts))).astype(int)
    return [texts[row] for row in rows]
