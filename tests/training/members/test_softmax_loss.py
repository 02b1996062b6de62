"""The loss that never holds all logits, against the plain one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from training.members.softmax_loss import ROWS_AT_ONCE, softmax_loss

N_ITEMS, N_FACTORS = 300, 8


def inputs(n_rows: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States, item vectors and bias that want gradients, and targets."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((n_rows, N_FACTORS), (N_ITEMS, N_FACTORS), (N_ITEMS,))
    states, items, bias = (
        (scale * torch.randn(shape, generator=generator)).requires_grad_() for shape in shapes
    )
    return states, items, bias, torch.randint(0, N_ITEMS, (n_rows,), generator=generator)


@pytest.mark.parametrize("n_rows", [1, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 5])
def test_loss_and_gradients_are_those_of_cross_entropy(n_rows: int) -> None:
    states, items, bias, targets = inputs(n_rows)
    plain = F.cross_entropy(states @ items.T + bias, targets)
    expected = torch.autograd.grad(3.0 * plain, (states, items, bias))
    ours = softmax_loss(states, items, bias, targets)
    found = torch.autograd.grad(3.0 * ours, (states, items, bias))
    torch.testing.assert_close(ours, plain)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_large_logits_overflow_nothing() -> None:
    states, items, bias, targets = inputs(4, scale=100.0)
    loss = softmax_loss(states, items, bias, targets)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(each).all() for each in torch.autograd.grad(loss, (states, items, bias)))
