"""What is cut, in which order, and that the rest goes on as before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.history import encode_histories
from tests.support.students import N_ITEMS, random_histories, random_student
from training.student import pruning
from training.student.export import torch_scores
from training.student.pruning import PruningSettings, Widths, curve_of_widths, measure_importance, prune
from training.student.tower import StudentModel

WHOLE = Widths(n_heads=4, n_hidden=16, n_neighbours=8)
HISTORIES = random_histories(64)
SILENT = 2
"""The head, and the hidden unit, that contribute nothing in some of the tests."""


@pytest.fixture
def model() -> StudentModel:
    return random_student()


@torch.no_grad()
def silence_unit(model: StudentModel) -> None:
    model.user_tower.output.weight[:, SILENT] = 0.0


@torch.no_grad()
def silence_head(model: StudentModel) -> None:
    columns = slice(SILENT * model.settings.n_factors, (SILENT + 1) * model.settings.n_factors)
    for layer in (model.user_tower.hidden, model.user_tower.residual):
        layer.weight[:, columns] = 0.0


def n_parameters(model: StudentModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("silence", "fewer"),
    [(silence_unit, WHOLE._replace(n_hidden=15)), (silence_head, WHOLE._replace(n_heads=3))],
    ids=["unit", "head"],
)
def test_a_part_that_contributes_nothing_is_the_first_to_go_and_nobody_notices(
    model: StudentModel, silence: Callable[[StudentModel], None], fewer: Widths
) -> None:
    silence(model)
    pruned = prune(model, fewer, HISTORIES, seed=0)
    assert n_parameters(pruned) < n_parameters(model)
    np.testing.assert_allclose(torch_scores(pruned, HISTORIES), torch_scores(model, HISTORIES), atol=1e-4)


def test_a_neighbour_that_says_nothing_is_the_first_to_go_and_nobody_notices(model: StudentModel) -> None:
    with torch.no_grad():
        model.cooccurrence.weights[:, 3] = 0.0
    pruned = prune(model, WHOLE._replace(n_neighbours=7), HISTORIES, seed=0)
    np.testing.assert_allclose(torch_scores(pruned, HISTORIES), torch_scores(model, HISTORIES), atol=1e-4)


def test_an_items_strongest_neighbours_are_kept(model: StudentModel) -> None:
    pruned = prune(model, WHOLE._replace(n_neighbours=2), HISTORIES, seed=0)
    expected = model.cooccurrence.weights[1:].topk(2, dim=1).values.sort(dim=1).values
    torch.testing.assert_close(pruned.cooccurrence.weights[1:].sort(dim=1).values, expected)


def test_a_student_without_neighbours_is_pruned_too() -> None:
    pruned = prune(random_student(n_neighbours=0), Widths(2, 5, 0), HISTORIES, seed=0)
    assert torch_scores(pruned, HISTORIES).shape == (len(HISTORIES), N_ITEMS)


def test_weak_parts_go_before_strong_ones(model: StudentModel) -> None:
    with torch.no_grad():
        model.user_tower.output.weight[:, ::2] *= 0.01
    importance = measure_importance(model, HISTORIES, seed=0).units
    assert importance[::2].max() < importance[1::2].min()


def test_matrices_are_really_narrower(model: StudentModel) -> None:
    pruned = prune(model, Widths(n_heads=2, n_hidden=5, n_neighbours=3), HISTORIES, seed=0)
    tower = pruned.user_tower
    assert Widths.of(pruned.settings) == (2, 5, 3)
    assert tower.content.weight.shape == (2, 8)
    assert tower.hidden.weight.shape == (5, 2 * 8 + 8 + 1)
    assert tower.output.weight.shape == (8, 5)
    assert tower.residual.weight.shape == (8, 2 * 8 + 8)
    assert pruned.cooccurrence.weights.shape == pruned.cooccurrence.neighbour_items.shape == (1 + N_ITEMS, 3)


def test_a_cut_to_the_whole_width_changes_nothing(model: StudentModel) -> None:
    pruned = prune(model, WHOLE, HISTORIES, seed=0)
    np.testing.assert_array_equal(torch_scores(pruned, HISTORIES), torch_scores(model, HISTORIES))


def test_pruning_leaves_the_model_as_it_is(model: StudentModel) -> None:
    before = torch_scores(model, HISTORIES)
    pruned = prune(model, Widths(1, 1, 1), HISTORIES, seed=0)
    with torch.no_grad():
        for parameter in pruned.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(torch_scores(model, HISTORIES), before)


def test_what_is_cut_depends_on_the_seed_alone(model: StudentModel) -> None:
    first, again = (measure_importance(model, HISTORIES, seed=5) for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0.0, atol=0.0)


def test_importance_is_what_closing_a_gate_a_little_costs_in_kl(monkeypatch: pytest.MonkeyPatch) -> None:
    """KL(student ‖ student with a gate at 1 - e) = e² * importance, to second order."""
    model = random_student(n_hidden=6)
    closed = 0.05
    whole = log_p(model)
    expected = []
    for unit in range(6):
        with shut(model.user_tower.output, unit, closed):
            expected.append(float((whole.exp() * (whole - log_p(model))).sum(dim=1).mean()) / closed**2)
    monkeypatch.setattr(pruning, "N_DRAWS", 64)
    found = measure_importance(model, HISTORIES, seed=0).units.numpy()
    np.testing.assert_allclose(found, expected, rtol=0.25)


def log_p(model: StudentModel) -> Tensor:
    encoded = [torch.from_numpy(part) for part in encode_histories(HISTORIES)]
    with torch.inference_mode():
        scores = model(*encoded)
    return F.log_softmax(scores, dim=1)


class shut:  # noqa: N801  (reads as a verb)
    """While entered, one input of a layer is smaller by a share."""

    def __init__(self, layer: nn.Linear, column: int, share: float) -> None:
        self.column, self.layer, self.share = column, layer, share

    def __enter__(self) -> None:
        self.before = self.layer.weight.detach().clone()
        with torch.no_grad():
            self.layer.weight[:, self.column] *= 1.0 - self.share

    def __exit__(self, *_: object) -> None:
        with torch.no_grad():
            self.layer.weight.copy_(self.before)


def test_the_curve_runs_from_just_below_the_whole_to_the_sparsest() -> None:
    settings = PruningSettings(n_points=4, max_sparsity=0.9, max_neighbour_sparsity=0.75)
    points = curve_of_widths(Widths(8, 256, 64), settings)
    assert [point.sparsity for point in points] == pytest.approx([0.225, 0.45, 0.675, 0.9])
    assert [point.widths for point in points] == [(6, 198, 52), (4, 141, 40), (3, 83, 28), (1, 26, 16)]


def test_a_curve_without_points_is_empty() -> None:
    assert curve_of_widths(WHOLE, PruningSettings(n_points=0)) == []


def test_points_that_cut_nothing_more_are_left_out() -> None:
    points = curve_of_widths(Widths(1, 2, 0), PruningSettings(n_points=8))
    assert [point.widths for point in points] == [(1, 1, 0)]
