"""The towers and the term in torch: padding says nothing, and the term is what the bundle's is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.cooccurrence import Cooccurrence
from models.history import Event, EventKind, History, encode_histories
from tests.support.students import N_ITEMS, random_histories, random_student
from training.student.tower import Events, StudentModel


def tensors(histories: list[History]) -> Events:
    return random_student().encode(histories)


def with_own_part(model: StudentModel) -> StudentModel:
    """The same student, whose own items get something."""
    with torch.no_grad():
        for part in (model.cooccurrence.own_weights, model.cooccurrence.own_decays):
            part.copy_(torch.linspace(-1.0, 2.0, len(part)))
        model.cooccurrence.decays[3:] = torch.linspace(-1.0, 1.0, len(model.cooccurrence.decays) - 3)
    return model


def without_own_part(model: StudentModel) -> StudentModel:
    with torch.no_grad():
        model.cooccurrence.own_decays.zero_()
    return model


def without_term(model: StudentModel) -> StudentModel:
    with torch.no_grad():
        for part in ("weights", "own_weights", "own_decays"):
            getattr(model.cooccurrence, part).zero_()
    return model


def test_the_stranger_vector_does_not_depend_on_padding() -> None:
    tower = random_student().user_tower
    with torch.inference_mode():
        one, six = (
            tower(
                filler(1, n, 8),
                torch.zeros(1, n),
                torch.zeros(1, n),
                filler(1, n).to(torch.int64),
                filler(1, n),
            )
            for n, filler in ((1, torch.zeros), (6, torch.ones))
        )
    np.testing.assert_allclose(one.numpy(), six.numpy(), rtol=1e-5, atol=1e-6)


def test_term_adds_what_the_served_one_adds() -> None:
    again = [Event(3, 1), Event(3, 10**6), Event(4, 2, EventKind.VIEW)]
    histories = [History.empty(), History.from_events(again), *random_histories(20)]
    model = with_own_part(random_student())
    term = model.cooccurrence
    weights = term.weights.detach().numpy()
    served = Cooccurrence(
        term.neighbour_items.numpy().astype(np.uint16),
        weights,
        np.ones(len(weights), np.float32),
        *(part.detach().numpy() for part in (term.decays, term.own_weights, term.own_decays)),
    )
    with torch.inference_mode():
        added = model(*tensors(histories)) - without_term(random_student())(*tensors(histories))
    encoded = encode_histories(histories, log_odds=model.repeats.log_odds)
    assert np.abs(encoded.repeat_log_odds).max() > 0.1
    expected = served.boosts(encoded).dense(N_ITEMS)
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
    model = without_own_part(random_student())
    term = model.cooccurrence
    other = next(item for item in range(N_ITEMS) if unknown in term.neighbour_items[item + 1].tolist())
    events = tensors([History.from_events([Event(unknown, 1)]), History.from_events([Event(other, 1)])])
    knows_id = torch.ones(N_ITEMS, 1)
    knows_id[unknown] = 0
    with torch.inference_mode():
        items, values = term(events, torch.ones(2, 1), knows_id)
        _, as_known = term(events, torch.ones(2, 1))
    assert not values[0].any()
    assert as_known[0].any()
    assert not values[1][items[1] == unknown].any()
    as_neighbour = (items[1] == unknown)[:-1]  # the last entry is the event's own item
    assert as_known[1][:-1][as_neighbour].all()


def test_hidden_events_add_nothing() -> None:
    model = without_own_part(random_student())
    events = tensors(random_histories(5))
    is_read = torch.zeros_like(events.gap_log_days)
    is_read[2, 0] = 1
    with torch.inference_mode():
        _, values = model.cooccurrence(events, is_read)
    assert values[2, :8].all()
    assert torch.count_nonzero(values) == 8


def test_an_own_item_gets_what_is_its_own_even_where_its_event_is_hidden() -> None:
    model = with_own_part(random_student())
    events = tensors([History.from_events([Event(5, 1), Event(2, 2, EventKind.VIEW)])])
    with torch.inference_mode():
        items, values = model.cooccurrence(events, torch.zeros(1, 2))
    own = dict(zip(items[0, -2:].tolist(), values[0, -2:].tolist(), strict=True))
    assert set(own) == {2, 5}
    assert all(own.values())
    assert not values[0, :-2].any()


def test_each_way_is_hidden_in_training_only() -> None:
    model, inputs = random_student(), tensors(random_histories(30))
    with torch.inference_mode():
        assert torch.equal(model(*inputs), model(*inputs))
        model.train()
        assert not torch.equal(model(*inputs), model(*inputs))
