"""Teach a small student on block data, export it, and see that what is served is what was taught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.history import Event, History
from models.student import Student, StudentFiles
from tests.support.blocks import N_ITEMS, block_dataset, block_of_item
from training.data.split import Split, split_by_time
from training.ensemble.ensemble import Ensemble, fit_ensemble
from training.ensemble.stacking import Stacking
from training.errors import ExportMismatch
from training.evaluation.protocols import draw_candidates
from training.members.content import Content
from training.members.factorization import Factorization
from training.members.member import no_progress
from training.settings import CompressionSettings
from training.student import export
from training.student.compression import choose_precision
from training.student.distill import DistillSettings, distil
from training.student.files import load_student, save_student
from training.student.soft_labels import LabelSettings, SoftLabels, label_examples
from training.student.text_vectors import text_vectors
from training.student.tower import StudentModel, TowerSettings

TOWER = TowerSettings(n_factors=16, n_heads=2, n_hidden=32)


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)


@pytest.fixture(scope="module")
def ensemble(split: Split) -> Ensemble:
    members = [
        Content().fit(split.past(), seed=0),
        Factorization(n_factors=8, l2=1.0).fit(split.past(), seed=0),
    ]
    return fit_ensemble(members, split.past(), split.validation(), Stacking(), n_negatives=30, seed=0)


@pytest.fixture(scope="module")
def labels(ensemble: Ensemble, split: Split, tmp_path_factory: pytest.TempPathFactory) -> SoftLabels:
    settings = LabelSettings(n_copies=3, n_top=20, n_uniform=20)
    folder = tmp_path_factory.mktemp("labels")
    return label_examples(
        ensemble, split.past_and_validation().histories, settings, folder, seed=0, progress=no_progress
    )


@pytest.fixture(scope="module")
def model(ensemble: Ensemble, labels: SoftLabels, split: Split) -> StudentModel:
    texts = text_vectors(split.dataset.catalogue.texts, 8, n_features=100, seed=0)
    settings = DistillSettings(n_epochs=25, batch_size=64, ema=0.9)
    return distil(ensemble, labels, texts, TOWER, settings, seed=0, progress=no_progress)


@pytest.fixture(scope="module")
def exports(model: StudentModel, labels: SoftLabels) -> dict[str, StudentFiles]:
    return export.export_student(model, labels.histories[:10])


def test_soft_labels_are_the_ensembles_logits(labels: SoftLabels, ensemble: Ensemble) -> None:
    expected = ensemble.score(labels.histories[:5])
    for row in range(5):
        found = labels.logits[row].astype(np.float32)
        np.testing.assert_allclose(found, expected[row, labels.candidates[row]], rtol=2e-3, atol=2e-3)


def test_the_ensembles_best_item_is_always_a_candidate(labels: SoftLabels, ensemble: Ensemble) -> None:
    best = np.argmax(ensemble.score(labels.histories), axis=1)
    assert all(item in row for item, row in zip(best, labels.candidates, strict=True))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_student_recommends_the_persons_block(
    exports: dict[str, StudentFiles], split: Split, precision: str
) -> None:
    student, questions = Student(exports[precision]), split.test()
    seen = [history.item_indices for history in questions.histories]
    top = student.top_k(student.user_vectors(questions.histories), 1, blocked=seen).item_indices[:, 0]
    right = [
        block_of_item(int(item)) == user % 4 for item, user in zip(top, questions.user_indices, strict=True)
    ]
    assert np.mean(right) > 0.9


def test_the_student_ranks_like_its_teacher(
    exports: dict[str, StudentFiles], ensemble: Ensemble, split: Split
) -> None:
    histories = split.test().histories[:20]
    student = Student(exports["fp32"])
    ours, theirs = student.catalogue_scores(student.user_vectors(histories)), ensemble.score(histories)
    agreement = [
        np.corrcoef(one[np.isfinite(other)], other[np.isfinite(other)])[0, 1]
        for one, other in zip(ours, theirs, strict=True)
    ]
    assert np.mean(agreement) > 0.9


def test_an_item_known_by_its_text_alone_goes_to_its_block(exports: dict[str, StudentFiles]) -> None:
    student = Student(exports["fp32"])
    people = [History.from_events([Event(block, 1), Event(block + 4, 2)]) for block in range(4)]
    scores = student.catalogue_scores(student.user_vectors(people))[:, N_ITEMS]
    assert int(np.argmax(scores)) == 0


@pytest.mark.parametrize("length", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("n_people", [1, 3])
def test_the_export_scores_as_torch_does_at_any_size(
    model: StudentModel, exports: dict[str, StudentFiles], length: int, n_people: int
) -> None:
    history = History.from_events(Event(item % N_ITEMS, 1_000 * item, item % 5) for item in range(length))
    student = Student(exports["fp32"])
    found = student.catalogue_scores(student.user_vectors([history] * n_people))
    np.testing.assert_allclose(found, export.torch_scores(model, [history] * n_people), rtol=1e-3, atol=1e-3)


def test_an_export_that_scores_otherwise_is_refused(
    model: StudentModel, labels: SoftLabels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "build_catalogue", lambda vectors, precision: _shifted(vectors))
    with pytest.raises(ExportMismatch, match="allowed"):
        export.export_student(model, labels.histories[:3])


def _shifted(vectors: np.ndarray) -> bytes:
    from training.student.catalogue_graph import build_catalogue

    return build_catalogue(np.roll(vectors, 1, axis=0), precision="fp32")


def test_int8_is_smaller(exports: dict[str, StudentFiles]) -> None:
    assert len(exports["int8"].catalogue) < len(exports["fp32"].catalogue)
    assert exports["int8"].history_vectors.nbytes * 4 == exports["fp32"].history_vectors.nbytes


def test_files_survive_a_round_trip(exports: dict[str, StudentFiles], tmp_path: Path) -> None:
    save_student(exports["int8"], tmp_path)
    loaded = load_student(tmp_path)
    assert loaded.user_tower == exports["int8"].user_tower
    assert loaded.size_bytes() == exports["int8"].size_bytes()
    np.testing.assert_array_equal(loaded.history_vectors, exports["int8"].history_vectors)


def test_a_broken_quantization_is_not_shipped(exports: dict[str, StudentFiles], split: Split) -> None:
    int8 = exports["int8"]
    broken = replace(int8, history_vectors=np.roll(int8.history_vectors, 7, axis=1))
    questions = split.validation()
    candidates = draw_candidates(questions, N_ITEMS + 1, seed=0)
    settings = CompressionSettings(min_speedup=0.01)
    choice = choose_precision(exports | {"int8": broken}, questions, candidates, settings, seed=0)
    assert choice.precision == "fp32"
    assert "fp32 is kept" in choice.reason


def test_a_good_quantization_ships_when_speed_allows(exports: dict[str, StudentFiles], split: Split) -> None:
    questions = split.validation()
    candidates = draw_candidates(questions, N_ITEMS + 1, seed=0)
    generous = CompressionSettings(min_speedup=0.01, max_quality_loss=0.2)
    assert choose_precision(exports, questions, candidates, generous, seed=0).precision == "int8"
    impossible = CompressionSettings(min_speedup=100.0, max_quality_loss=0.2)
    assert choose_precision(exports, questions, candidates, impossible, seed=0).precision == "fp32"


def test_the_stranger_vector_does_not_depend_on_padding(model: StudentModel) -> None:
    tower = model.user_tower.eval()
    with torch.inference_mode():
        one = tower(
            torch.zeros(1, 1, 16), torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.int64)
        )
        six = tower(
            torch.ones(1, 6, 16), torch.zeros(1, 6), torch.zeros(1, 6), torch.ones(1, 6, dtype=torch.int64)
        )
    np.testing.assert_allclose(one.numpy(), six.numpy(), rtol=1e-5, atol=1e-6)
