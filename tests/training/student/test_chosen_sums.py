"""Sums at chosen items against those over the whole catalogue."""

from __future__ import annotations

import pytest
import torch

from training.student.chosen_sums import PEOPLE_AT_ONCE, chosen_sums

N_ITEMS = 30


@pytest.mark.parametrize("n_people", [1, PEOPLE_AT_ONCE, 2 * PEOPLE_AT_ONCE + 3])
def test_sums_and_gradients_are_those_of_a_dense_catalogue(n_people: int) -> None:
    generator = torch.Generator().manual_seed(0)
    items = torch.randint(0, N_ITEMS, (n_people, 50), generator=generator)
    values = torch.randn(n_people, 50, generator=generator, requires_grad=True)
    chosen = torch.randint(0, N_ITEMS, (n_people, 12), generator=generator)
    weights = torch.randn(n_people, 12, generator=generator)
    dense = torch.zeros(n_people, N_ITEMS).scatter_add(1, items, values).gather(1, chosen)
    ours = chosen_sums(items, values, chosen, N_ITEMS)
    torch.testing.assert_close(ours, dense)
    ((expected,), (found,)) = (
        torch.autograd.grad((sums * weights).sum(), (values,)) for sums in (dense, ours)
    )
    torch.testing.assert_close(found, expected)


def test_without_entries_every_sum_is_zero() -> None:
    nothing = torch.zeros(2, 0, dtype=torch.int64)
    sums = chosen_sums(nothing, torch.zeros(2, 0), torch.ones(2, 3, dtype=torch.int64), N_ITEMS)
    assert (sums == 0).all()
