"""The mean of the members' opinions orders items as the mean does, whatever else is told of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.ensemble.meta_features import MEMBER_FEATURES, PLAIN_FEATURES
from training.ensemble.average import Average, opinion_columns
from training.ensemble.strategies import STRATEGIES
from training.members.member import Floats

N_MEMBERS = 3
N_FEATURES = N_MEMBERS * len(MEMBER_FEATURES) + len(PLAIN_FEATURES)


def pairs(*, sign: float = 1.0) -> tuple[Floats, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((4_000, N_FEATURES)).astype(np.float32)
    mean = features[:, [0, 3, 6]].mean(axis=1)
    labels = rng.random(4_000) < 1 / (1 + np.exp(-(2 * sign * mean - 1)))
    return features, labels, np.arange(4_000)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_order_is_that_of_the_mean(sign: float) -> None:
    features, labels, people = pairs(sign=sign)
    logits = Average().fit(features, labels, people, seed=0).logit(features)
    mean = features[:, [0, 3, 6]].mean(axis=1)
    assert (
        np.array_equal(np.argsort(logits[:500]), np.argsort(mean[:500]))
        or np.corrcoef(logits, mean)[0, 1] > 0.9999
    )


def test_slope_and_intercept_are_those_of_the_log_odds() -> None:
    features, labels, people = pairs()
    strategy = Average().fit(features, labels, people, seed=0)
    np.testing.assert_allclose(strategy.weights()[[0, 3, 6]], 2 / 3, rtol=0.15)
    assert np.count_nonzero(strategy.weights()) == N_MEMBERS
    assert strategy.fitted().intercept == pytest.approx(-1, abs=0.15)


def test_what_is_read_again_answers_to_the_bit(tmp_path: Path) -> None:
    features, labels, people = pairs()
    strategy = Average().fit(features, labels, people, seed=0)
    strategy.save(tmp_path)
    read = STRATEGIES["average"].load(tmp_path)
    np.testing.assert_array_equal(read.logit(features), strategy.logit(features))


def test_features_of_no_member_are_refused() -> None:
    assert opinion_columns(N_FEATURES) == [0, 3, 6]
    with pytest.raises(ValueError, match="are not those of members"):
        opinion_columns(len(PLAIN_FEATURES))
