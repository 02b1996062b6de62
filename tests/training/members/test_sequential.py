"""A shop where the last two items say the next: half of the people walk up a circle of items, half walk down."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.history import SECONDS_PER_DAY, Event, EventKind, History
from models.packed_histories import Histories
from tests.support.shops import interactions_of
from training.base.errors import NotFinite
from training.data.dataset import Interactions
from training.members import sequential
from training.members.sequential import Sequential

N_ITEMS, N_STEPS, N_PEOPLE = 12, 8, 120
DAY = int(SECONDS_PER_DAY)


def walk(start: int, step: int, n_items: int) -> History:
    """One item a day."""
    return History.from_events(
        Event((start + step * day) % N_ITEMS, 1_000 + day * DAY) for day in range(n_items)
    )


def walks() -> Interactions:
    people = [walk(person // 2, 1 if person % 2 else -1, N_STEPS) for person in range(N_PEOPLE)]
    return interactions_of(*people, n_items=N_ITEMS + 1, until=100 * DAY)


def small(**settings: float) -> Sequential:
    chosen = {"n_factors": 16, "n_epochs": 30, "batch_size": 16, "dropout": 0.0, "learning_rate": 1e-2}
    return Sequential(**{**chosen, **settings})  # type: ignore[arg-type]  # numbers of either kind


def share_of_next_items_found(member: Sequential) -> float:
    """Over every item and both ways: is the next item of the walk the best unseen one?"""
    found = []
    for start in range(N_ITEMS):
        for step in (1, -1):
            history = walk(start, step, 3)
            scores = member.score([history])[0]
            scores[history.item_indices] = -np.inf
            found.append(np.nanargmax(scores) == (start + 3 * step) % N_ITEMS)
    return float(np.mean(found))


@pytest.fixture(scope="module")
def member() -> Sequential:
    return small().fit(walks(), seed=0)


def test_what_follows_in_order_is_learned(member: Sequential) -> None:
    assert share_of_next_items_found(member) > 0.9


def test_the_same_items_in_another_order_lead_elsewhere(member: Sequential) -> None:
    up, down = walk(4, 1, 3), walk(6, -1, 3)
    assert set(up.item_indices) == set(down.item_indices)
    scores = member.score([up, down])
    assert scores[0, 7] > scores[0, 3]
    assert scores[1, 7] < scores[1, 3]


def test_a_softmax_over_a_sample_of_the_catalogue_learns_it_too() -> None:
    assert share_of_next_items_found(small(max_softmax_items=4).fit(walks(), seed=0)) > 0.9


def test_no_more_than_the_last_events_are_read() -> None:
    member = small(max_events=3, n_epochs=1).fit(walks(), seed=0)
    long, short = member.score([walk(0, 1, 9), walk(6, 1, 3)])
    np.testing.assert_allclose(long, short, rtol=1e-5)


def test_the_pause_between_events_is_read(member: Sequential) -> None:
    items = (4, 5, 6)
    daily, yearly = (
        History.from_events(Event(item, 1_000 + place * pause) for place, item in enumerate(items))
        for pause in (DAY, 365 * DAY)
    )
    one, other = member.score([daily, yearly])
    assert not np.array_equal(one, other, equal_nan=True)


def test_people_with_one_item_teach_nothing_and_stand_in_no_way() -> None:
    once, again = History.from_events([Event(0, 1)]), History.from_events([Event(1, 1), Event(1, 2)])
    past = interactions_of(once, again, History.empty(), walk(0, 1, 2), n_items=3)
    scores = small(n_epochs=1).fit(past, seed=0).score([once])[0]
    np.testing.assert_array_equal(np.isfinite(scores), [True, True, False])


def test_training_that_diverged_names_the_setting_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Sequential._loss

    def diverged(*arguments: Any) -> torch.Tensor:
        return honest(*arguments) * torch.nan

    monkeypatch.setattr(Sequential, "_loss", diverged)
    with pytest.raises(NotFinite, match=r"sequential: the loss is nan; lower learning_rate \(0\.01\)"):
        small(n_epochs=2).fit(walks(), seed=0)


def batches_of(member: Sequential, *n_events: int) -> list[npt.NDArray[np.int64]]:
    """The batches of people with so many purchases."""
    people = [History.from_events(Event(item, item) for item in range(n)) for n in n_events]
    member._target = EventKind.PURCHASE
    return member._batches(Histories.from_list(people), np.random.default_rng(0))


def test_the_next_target_is_predicted_and_nothing_that_was_only_looked_at() -> None:
    item_rows = torch.tensor([[5, 6, 7, 8, 0], [5, 6, 0, 0, 0]])
    is_target = torch.tensor([[True, False, False, True, False], [True, False, False, False, False]])
    found = sequential._next_targets(item_rows, is_target)
    assert found.tolist() == [[8, 8, 8, 0], [0, 0, 0, 0]]


def test_everybody_who_has_a_next_item_is_read_once_an_epoch() -> None:
    batches = batches_of(small(n_epochs=2, batch_size=3), 3, 1, 2, 0, 9, 2)
    read = np.concatenate(batches)
    np.testing.assert_array_equal(np.bincount(read, minlength=6), [2, 0, 2, 0, 2, 2])


def test_no_more_sequences_are_read_than_the_bound_says() -> None:
    batches = batches_of(small(n_epochs=3, batch_size=8, max_sequences=130), *[5] * 100)
    read = np.concatenate(batches)
    assert len(read) == 130
    assert np.bincount(read, minlength=100).max() == 2
    assert np.bincount(read, minlength=100).min() == 1


def test_the_warm_start_of_many_people_is_that_of_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequential, "MAX_WARM_START_PEOPLE", 60)
    assert share_of_next_items_found(small().fit(walks(), seed=0)) > 0.9
