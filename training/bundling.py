"""What goes into a bundle beside the student: item metadata, segments, histories, golden requests, references."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import MiniBatchKMeans

from models.bundle import BundleContents
from models.golden import record_golden
from models.histories import ColdHistories, Histories
from models.history import MAX_EVENTS, History
from models.items import Items, rank_segments
from models.manifest import EnsembleEntry, SharesEntry, StudentEntry, TrainingEntry
from models.student import Student
from models.text import TextEncoder
from models.vocabulary import StringTable
from training.data.dataset import Catalogue, Dataset, interactions_until_now
from training.ensemble.choice import Choice
from training.learning import Learned
from training.members.popularity import decayed_popularity
from training.settings import TrainingSettings, dump_settings
from training.student.inverted_lists import with_lists

MAX_KEPT_EVENTS = 1_000
"""Distinct items of a person's history that a bundle carries: what the student reads, and what was seen."""
N_GOLDEN = 16
N_GOLDEN_TEXTS = 8
LIBRARIES = ("numpy", "scipy", "scikit-learn", "implicit", "torch", "onnx", "onnxruntime", "polars")


def bundle_contents(
    dataset: Dataset,
    learned: Learned,
    choice: Choice,
    metrics: dict[str, dict[str, dict[str, float]]],
    settings: TrainingSettings,
    is_new: npt.NDArray[np.bool_],
) -> BundleContents:
    """Gather a bundle. Histories and popularity reach to the last event, beyond what the models learned from.

    is_new: (n_people,) people whom no fit has seen: on them a large catalogue's index is chosen, on everybody if
    there are none.
    """
    histories = Histories.from_list(
        [history.distinct().last(MAX_KEPT_EVENTS) for history in dataset.histories]
    )
    compressed, text_encoder = learned.compressed, learned.text_encoder
    student = compressed.versions["student_shipped"]
    running, (shares, fidelity) = Student(student), learned.shares
    contents = BundleContents(
        items=_items(dataset, text_encoder, settings),
        people=ColdHistories(dataset.people, histories),
        student=student,
        member_shares=shares,
        text_encoder=text_encoder,
        golden=record_golden(
            running, text_encoder, _golden_histories(histories), _golden_texts(dataset.catalogue)
        ),
        reference=_reference(running, histories, dataset),
        student_entry=StudentEntry(
            compressed.precision,
            running.n_factors,
            MAX_EVENTS,
            compressed.reason,
            compressed.evidence,
            SharesEntry(shares.members, fidelity.correlations, fidelity.top_agreement),
        ),
        training_entry=TrainingEntry(
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
        ),
    )
    rows = np.flatnonzero(is_new) if is_new.any() else np.arange(len(histories))
    held_back = [histories[row] for row in rows[: settings.index.n_people]]
    return with_lists(contents, held_back, settings.index, settings.seed)


def _items(dataset: Dataset, text_encoder: TextEncoder, settings: TrainingSettings) -> Items:
    catalogue = dataset.catalogue
    names = sorted({category for category in catalogue.categories if category is not None})
    code = {name: position for position, name in enumerate(names)}
    codes = np.array([-1 if name is None else code[name] for name in catalogue.categories], np.int32)
    popularity = decayed_popularity(interactions_until_now(dataset), settings.popularity.half_life_days)
    segments = _segments(codes, catalogue.texts, text_encoder, settings)
    return Items(
        vocabulary=dataset.items,
        titles=StringTable.from_strings(catalogue.titles),
        category_names=StringTable.from_strings(names),
        category_codes=codes,
        prices=catalogue.prices,
        segments=segments,
        segment_popular=rank_segments(segments, popularity),
        popularity=popularity,
    )


def _segments(
    codes: npt.NDArray[np.int32], texts: list[str], text_encoder: TextEncoder, settings: TrainingSettings
) -> npt.NDArray[np.int32]:
    """The category where the shop has them (none is a segment of its own), else clusters of item texts."""
    if codes.max(initial=-1) >= 0:
        return np.where(codes >= 0, codes, codes.max() + 1).astype(np.int32)
    n_segments = min(settings.n_segments, len(texts))
    clusters = MiniBatchKMeans(n_segments, random_state=settings.seed, n_init=3)
    return np.asarray(clusters.fit_predict(text_encoder.encode(texts)), np.int32)


def _golden_histories(histories: Histories) -> list[History]:
    """A stranger, and people spread over the vocabulary, with their most recent events."""
    rows = np.linspace(0, len(histories) - 1, min(N_GOLDEN - 1, len(histories))).astype(int)
    return [History.empty(), *(histories[row].last(MAX_EVENTS) for row in rows)]


def _golden_texts(catalogue: Catalogue) -> list[str]:
    """Texts spread over the catalogue, titles where it has no texts: as new items would bring them."""
    texts = [text for text in catalogue.texts if text] or catalogue.titles
    rows = np.linspace(0, len(texts) - 1, min(N_GOLDEN_TEXTS, len(texts))).astype(int)
    return [texts[row] for row in rows]


def _reference(student: Student, histories: Histories, dataset: Dataset) -> dict[str, Any]:
    """Histograms of inputs and scores that drift detection compares live traffic with."""
    lengths = np.diff(histories.offsets)
    rows = np.linspace(0, len(histories) - 1, min(500, len(histories))).astype(int)
    people = [histories[row] for row in rows]
    top = student.recommend(people, 10, blocked=[history.item_indices for history in people])
    best = top.scores[:, 0]
    counts = np.bincount(dataset.histories.item_indices, minlength=len(dataset.items))
    ranks = _ranks(counts)
    return {
        "history_length": _histogram(lengths, [0, 1, 2, 3, 5, 10, 20, 50, 100, 1_000]),
        "event_kind": _histogram(dataset.histories.kinds, list(range(6))),
        "item_popularity_rank": _histogram(ranks[dataset.histories.item_indices], _log_edges(len(counts))),
        "top_score": _histogram(best, np.quantile(best, np.linspace(0, 1, 11)).tolist()),
    }


def _histogram(values: npt.NDArray[Any], edges: list[float]) -> dict[str, list[float]]:
    edges = sorted(set(edges))
    counts, _ = np.histogram(values, edges if len(edges) > 1 else [edges[0], edges[0] + 1.0])
    return {"edges": [float(edge) for edge in edges], "counts": counts.tolist()}


def _ranks(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    ranks = np.empty(len(counts), np.int64)
    ranks[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return ranks


def _log_edges(n_items: int) -> list[float]:
    return [0.0, *np.geomspace(1, max(n_items, 2), 12).round().tolist()]
