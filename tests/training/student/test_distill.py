"""What a student learns of a teacher whose every logit is known, and what each term of the loss does."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.history import History
from tests.support.teachers import BLOCKS, N_ITEMS, BlockTeacher, item_items, partner_of
from tests.training.student.conftest import TAUGHT, TOWER, people
from training.base.callback import no_progress
from training.base.errors import NotFinite
from training.members.member import Floats
from training.student import distill
from training.student.distill import DistillSettings, distil
from training.student.examples import Batch
from training.student.export import torch_scores
from training.student.neighbours import Neighbours, strongest_neighbours
from training.student.soft_labels import SoftLabels
from training.student.tower import StudentModel, TowerSettings

STRANGERS = people(60, seed=99)
"""People whom no student here was taught on."""
BRIEF = replace(TAUGHT, n_epochs=2)
NOTHING: dict[str, Any] = {
    "kl_weight": 0.0,
    "centred_weight": 0.0,
    "level_weight": 0.0,
    "own_weight": 0.0,
    "hard_weight": 0.0,
}


def taught(
    labels: SoftLabels,
    text_vectors: Floats,
    settings: DistillSettings = BRIEF,
    tower: TowerSettings = TOWER,
    **options: Any,
) -> StudentModel:
    neighbours = strongest_neighbours(item_items(), tower.n_neighbours)
    return distil(labels, text_vectors, neighbours, tower, settings, seed=0, progress=no_progress, **options)


def unseen_scores(model: StudentModel, histories: list[History]) -> Floats:
    scores = torch_scores(model, histories)
    for row, history in zip(scores, histories, strict=True):
        row[history.item_indices] = -np.inf
    return scores


def share_of_partners_first(model: StudentModel) -> float:
    """How often the partner of a stranger's latest item is the student's first choice, where it is unseen."""
    best = unseen_scores(model, STRANGERS).argmax(axis=1)
    partners = np.array([partner_of(int(history.item_indices[-1])) for history in STRANGERS])
    is_unseen = [not np.isin(p, history.item_indices) for p, history in zip(partners, STRANGERS, strict=True)]
    return float(np.mean((best == partners)[is_unseen]))


def agreement(model: StudentModel, teacher: BlockTeacher) -> float:
    """Mean correlation with the teacher over strangers' unseen items."""
    each = []
    for ours, theirs in zip(unseen_scores(model, STRANGERS), teacher.score(STRANGERS), strict=True):
        is_unseen = np.isfinite(theirs)
        each.append(np.corrcoef(ours[is_unseen], theirs[is_unseen])[0, 1])
    return float(np.mean(each))


class GivenScores:
    """A student whose scores of all items are given."""

    answer_items = SimpleNamespace(identity=torch.zeros(5, 1))

    def __init__(self, scores: list[list[float]]) -> None:
        self.scores = torch.tensor(scores)

    def __call__(self, *_: torch.Tensor) -> torch.Tensor:
        return self.scores


def test_own_items_are_compared_with_each_other_alone() -> None:
    """Somebody has the items 0 and 3; somebody else nothing."""
    item_rows = torch.tensor([[1, 4], [0, 0]])
    nothing = torch.zeros(2, 2)
    encoded = (item_rows, nothing, nothing, nothing, nothing)
    candidates = torch.tensor([[4, 3, 0, 1], [0, 1, 2, 3]])
    logits = torch.tensor([[5.0, 1.0, 2.0, -torch.inf], [1.0, 2.0, 3.0, 4.0]])
    batch = Batch(encoded, candidates, logits, torch.full((2, 1), -1))
    assert batch.is_own.tolist() == [[False, True, True, False], [False] * 4]
    alone = DistillSettings(**NOTHING | {"own_weight": 1.0})
    ours = GivenScores([[0.5, 9.0, 9.0, -0.5, 7.0], [1.0] * 5])
    teacher, student = torch.tensor([1.0, 2.0]).log_softmax(0), torch.tensor([-0.5, 0.5]).log_softmax(0)
    expected = (teacher.exp() * (teacher - student)).sum() / 2  # the mean over both people
    assert float(distill._loss(cast(StudentModel, ours), batch, alone)) == pytest.approx(
        float(expected), abs=1e-6
    )


def test_student_ranks_strangers_as_its_teacher_does(model: StudentModel) -> None:
    assert agreement(model, BlockTeacher()) > 0.9


def test_term_says_what_short_vectors_cannot(
    model: StudentModel, labels: SoftLabels, text_vectors: Floats
) -> None:
    without = taught(labels, text_vectors, TAUGHT, replace(TOWER, n_neighbours=0))
    assert share_of_partners_first(model) > 0.95
    assert share_of_partners_first(without) < 0.8


def test_level_of_the_scores_is_the_teachers(model: StudentModel) -> None:
    theirs = BlockTeacher().score(STRANGERS)
    ours = np.where(np.isfinite(theirs), torch_scores(model, STRANGERS), np.nan)
    assert abs(np.nanmean(ours) - theirs[np.isfinite(theirs)].mean()) < 0.3


def test_empty_history_has_the_teachers_flat_scores(model: StudentModel) -> None:
    assert np.abs(torch_scores(model, [History.empty()]) - BlockTeacher().level).max() < 1.0


def test_same_seed_gives_the_same_student_and_leaves_the_global_one_alone(
    labels: SoftLabels, text_vectors: Floats
) -> None:
    torch.manual_seed(1)
    one, drawn = taught(labels, text_vectors), torch.rand(1)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(2)
    other = taught(labels, text_vectors)
    assert drawn == expected
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=0, atol=0, msg=name)


def test_student_goes_on_from_a_given_one_which_stays_as_it_is(
    model: StudentModel, labels: SoftLabels, text_vectors: Floats
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gentle = replace(BRIEF, n_epochs=1, learning_rate=1e-4)
    further = taught(labels, text_vectors, gentle, initial=model)
    fresh = taught(labels, text_vectors, gentle)
    assert agreement(further, BlockTeacher()) > 0.9 > agreement(fresh, BlockTeacher())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, msg=name)


def test_learning_neighbours_weights_and_decays_move_and_padding_stays(
    model: StudentModel, labels: SoftLabels
) -> None:
    start = strongest_neighbours(item_items(), TOWER.n_neighbours)
    term = model.cooccurrence
    assert not np.allclose(term.weights[1:].detach().numpy(), start.weights, atol=0.05)
    assert term.neighbour_items[1:].tolist() == start.item_indices.tolist()
    assert not term.weights[0].any()


def test_without_soft_terms_next_items_are_learned_and_nothing_of_the_teacher(
    labels: SoftLabels, text_vectors: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("a student without distillation may not start from the ensemble's scores")

    monkeypatch.setattr(distill, "starting_vectors", refuse)
    hard = replace(TAUGHT, **{**NOTHING, "hard_weight": 1.0})
    silent = replace(labels, logits=np.zeros_like(labels.logits))
    one, other = taught(labels, text_vectors, hard), taught(silent, text_vectors, hard)
    np.testing.assert_array_equal(torch_scores(one, STRANGERS), torch_scores(other, STRANGERS))
    # What people take next is of their block, whatever a teacher thinks of partners.
    own_block = [BLOCKS[history.item_indices[-1]] for history in STRANGERS]
    best = unseen_scores(one, STRANGERS).argmax(axis=1)
    assert np.mean(BLOCKS[best] == own_block) > 0.7


def test_pointwise_term_alone_learns_probabilities(labels: SoftLabels, text_vectors: Floats) -> None:
    pointwise = replace(TAUGHT, **NOTHING | {"pointwise_weight": 20.0})
    model = taught(labels, text_vectors, pointwise)
    theirs = BlockTeacher().score(STRANGERS)
    is_unseen = np.isfinite(theirs)
    ours = torch_scores(model, STRANGERS)
    errors = 1 / (1 + np.exp(-ours[is_unseen])) - 1 / (1 + np.exp(-theirs[is_unseen]))
    assert np.abs(errors).mean() < 0.05


def test_all_weights_at_zero_are_refused() -> None:
    with pytest.raises(ValidationError, match="nothing would be learned; raise kl_weight"):
        DistillSettings(**NOTHING)


def test_large_catalogue_is_learned_from_candidates_alone(
    labels: SoftLabels, text_vectors: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distill, "MAX_FULL_SCORES", N_ITEMS - 1)
    assert share_of_partners_first(taught(labels, text_vectors, TAUGHT)) > 0.95


@pytest.mark.parametrize("n_epochs", [1, 2, 10, 11])
def test_few_examples_are_learned_however_few_steps_they_make(
    labels: SoftLabels, text_vectors: Floats, n_epochs: int
) -> None:
    settings = replace(BRIEF, n_epochs=n_epochs, batch_size=len(labels.histories))
    scores = torch_scores(taught(labels, text_vectors, settings), STRANGERS)
    assert np.isfinite(scores).all()


def test_divergence_is_named_with_its_remedy(labels: SoftLabels, text_vectors: Floats) -> None:
    broken = Neighbours(np.zeros((N_ITEMS, 4), np.int32), np.full((N_ITEMS, 4), np.nan, np.float32))
    with pytest.raises(NotFinite, match="student: loss nan at step 0; lower learning_rate"):
        distil(labels, text_vectors, broken, TOWER, BRIEF, seed=0, progress=no_progress)


def test_every_example_is_read_once_an_epoch_among_others_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 1_000)
    settings = DistillSettings(n_epochs=2, batch_size=50)
    batches = list(distill._shuffled(lengths, settings, np.random.default_rng(1)))
    first, second = (np.concatenate(batches[start : start + 20]) for start in (0, 20))
    assert len(batches) == 40
    for epoch in (first, second):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(1_000))
    assert first.tolist() != second.tolist()
    assert np.mean([np.ptp(lengths[batch]) for batch in batches]) < 0.3 * np.ptp(lengths)
    longest = [lengths[batch].max() for batch in batches[: distill.SORTED_BATCHES]]
    assert longest != sorted(longest)
