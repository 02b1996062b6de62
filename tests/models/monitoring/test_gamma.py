"""The tail of the gamma distribution against scipy's."""

from __future__ import annotations

import pytest
from scipy.special import gammaincc

from models.monitoring.gamma import upper_gamma


@pytest.mark.parametrize("shape", [0.3, 0.5, 1.0, 2.7, 9.5, 60.0])
@pytest.mark.parametrize("x", [0.0, 1e-6, 0.4, 1.0, 3.3, 10.0, 61.0, 200.0])
def test_it_is_scipys(shape: float, x: float) -> None:
    assert upper_gamma(shape, x) == pytest.approx(gammaincc(shape, x), rel=1e-9, abs=1e-300)
