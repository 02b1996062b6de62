"""A strategy that a bundle carries wrongly is refused, with what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.ensemble.stacking import FittedNeuralStacking, FittedStacking
from models.ensemble.strategies import FittedSuperStacking, from_parts, parts_of
from models.ensemble.strategy import FittedStrategy
from models.errors import BundleInconsistent, FileCorrupt

N_FEATURES = 3


def linear(*coefficients: float, intercept: float = 0.5) -> FittedStacking:
    return FittedStacking(np.array(coefficients, np.float32), np.array(intercept, np.float32))


def neural() -> FittedNeuralStacking:
    """One network that adds ReLU(ReLU(first standardised feature))."""
    layers = [
        (np.eye(N_FEATURES, 2, dtype=np.float32)[None], np.zeros((1, 1, 2), np.float32)),
        (np.eye(2, 1, dtype=np.float32)[None], np.zeros((1, 1, 1), np.float32)),
        (np.ones((1, 1, 1), np.float32), np.zeros((1, 1, 1), np.float32)),
    ]
    shift, scale = np.ones(N_FEATURES, np.float32), np.full(N_FEATURES, 2, np.float32)
    return FittedNeuralStacking(linear(1, 0, 0), shift, scale, layers)


def weighed() -> FittedSuperStacking:
    return FittedSuperStacking(linear(2, -1, intercept=0), [linear(1, 0, 0), neural()])


def read_again(strategy: FittedStrategy, change: Callable[[list[str], list[Any]], object]) -> FittedStrategy:
    parts = parts_of(strategy)
    names, arrays = [part.name for part in parts], [dict(part.arrays()) for part in parts]
    change(names, arrays)
    return from_parts(names, arrays)


def test_networks_correct_the_linear_part_where_they_are_above_zero() -> None:
    features = np.array([[[3, 9, 9], [0, 9, 9]]], np.float32)
    np.testing.assert_array_equal(neural().logit(features), [[3.5 + 4, 0.5]])


def test_a_combination_weighs_the_logits_of_its_bases() -> None:
    features = np.array([[3, 0, 0]], np.float32)
    np.testing.assert_array_equal(read_again(weighed(), lambda *_: None).logit(features), [2 * 3.5 - 7.5])


@pytest.mark.parametrize(
    ("strategy", "change", "said"),
    [
        (linear(1, 0), lambda names, arrays: names.clear() or arrays.clear(), "no strategy"),
        (linear(1, 0), lambda names, arrays: names.__setitem__(0, "voting"), "'voting'.*neural_stacking"),
        (linear(1, 0), lambda names, arrays: names.append("tree") or arrays.append({}), "combines no other"),
        (linear(1, 0), lambda names, arrays: arrays[0].update(intercept=np.zeros(2)), "intercept"),
        (weighed(), lambda names, arrays: names.pop() and arrays.pop(), "weighs 2 strategies, there are 1"),
        (
            weighed(),
            lambda names, arrays: arrays[1].update(coefficients=np.zeros(7, np.float32)),
            r"read \[3, 7\] features",
        ),
        (neural(), lambda names, arrays: arrays[0].update(shift=np.zeros(2)), "the same features"),
        (
            neural(),
            lambda names, arrays: arrays[0].update(second_weights=np.zeros((1, 5, 1))),
            r"\(1, 5, 1\).*do not follow 2 numbers",
        ),
        (
            neural(),
            lambda names, arrays: arrays[0].update(
                output_weights=np.zeros((1, 1, 4)), output_biases=np.zeros((1, 1, 4))
            ),
            "end in 4 numbers",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    strategy: FittedStrategy, change: Callable[[list[str], list[Any]], object], said: str
) -> None:
    with pytest.raises(BundleInconsistent, match=said):
        read_again(strategy, change)


def test_trees_that_are_no_graph_are_refused() -> None:
    with pytest.raises(FileCorrupt, match="the trees of bagging do not load"):
        from_parts(["bagging"], [{"graph": np.arange(50, dtype=np.uint8)}])
