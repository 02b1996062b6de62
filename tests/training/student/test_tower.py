"""The towers and the term in torch: padding says nothing, and the term is what the bundle's is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from models.cooccurrence import Cooccurrence
from models.history import Event, History, encode_histories
from tests.support.students import N_ITEMS, random_histories, random_student
from training.student.tower import StudentModel


def tensors(histories: list[History]) -> tuple[Tensor, Tensor, Tensor]:
    item_rows, gap_log_days, event_kinds = (torch.from_numpy(part) for part in encode_histories(histories))
    return item_rows, gap_log_days, event_kinds


def without_term(model: StudentModel) -> StudentModel:
    with torch.no_grad():
        model.cooccurrence.weights.zero_()
    return model


def test_the_stranger_vector_does_not_depend_on_padding() -> None:
    tower = random_student().user_tower
    with torch.inference_mode():
        one = tower(
            torch.zeros(1, 1, 8), torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.int64)
        )
        six = tower(
            torch.ones(1, 6, 8), torch.zeros(1, 6), torch.zeros(1, 6), torch.ones(1, 6, dtype=torch.int64)
        )
    np.testing.assert_allclose(one.numpy(), six.numpy(), rtol=1e-5, atol=1e-6)


def test_term_adds_what_the_served_one_adds() -> None:
    histories, model = [History.empty(), *random_histories(20)], random_student()
    term = model.cooccurrence
    weights = term.weights.detach().numpy()
    served = Cooccurrence(
        term.neighbour_items.numpy().astype(np.uint16),
        weights,
        np.ones(len(weights), np.float32),
        term.decays.detach().numpy(),
    )
    with torch.inference_mode():
        added = model(*tensors(histories)) - without_term(random_student())(*tensors(histories))
    expected = served.boosts(encode_histories(histories)).dense(N_ITEMS)
    np.testing.assert_allclose(added.numpy(), expected, atol=1e-4)
    assert np.abs(expected).max() > 0.5


def test_chosen_items_have_the_scores_of_the_whole_catalogue() -> None:
    histories, model = random_histories(10), random_student()
    chosen = torch.from_numpy(np.random.default_rng(0).integers(0, N_ITEMS, (10, 30)))
    with torch.inference_mode():
        everything, some = model(*tensors(histories)), model(*tensors(histories), chosen)
    torch.testing.assert_close(some, everything.gather(1, chosen), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("unknown", [3, 11])
def test_item_known_by_its_text_alone_speaks_for_nobody_and_nobody_for_it(unknown: int) -> None:
    model = random_student()
    term = model.cooccurrence
    other = next(item for item in range(N_ITEMS) if unknown in term.neighbour_items[item + 1].tolist())
    item_rows, gap_log_days, _ = tensors(
        [History.from_events([Event(unknown, 1)]), History.from_events([Event(other, 1)])]
    )
    knows_id = torch.ones(N_ITEMS, 1)
    knows_id[unknown] = 0
    with torch.inference_mode():
        items, values = term(item_rows, torch.ones(2, 1), gap_log_days, knows_id)
        _, as_known = term(item_rows, torch.ones(2, 1), gap_log_days)
    assert not values[0].any()
    assert as_known[0].any()
    assert not values[1][items[1] == unknown].any()
    assert as_known[1][items[1] == unknown].all()


def test_hidden_events_add_nothing() -> None:
    model = random_student()
    item_rows, gap_log_days, _ = tensors(random_histories(5))
    is_event = torch.zeros_like(gap_log_days)
    is_event[2, 0] = 1
    with torch.inference_mode():
        _, values = model.cooccurrence(item_rows, is_event, gap_log_days)
    assert values[2, :8].all()
    assert torch.count_nonzero(values) == 8


def test_each_way_is_hidden_in_training_only() -> None:
    model, inputs = random_student(), tensors(random_histories(30))
    with torch.inference_mode():
        assert torch.equal(model(*inputs), model(*inputs))
        model.train()
        assert not torch.equal(model(*inputs), model(*inputs))
