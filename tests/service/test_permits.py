"""Permits count who is at work, and how many ever were."""

from __future__ import annotations

import pytest

from service.errors import Overloaded
from service.permits import Permits


def test_a_batch_is_one_request_however_many_permits_it_holds() -> None:
    permits = Permits(8)
    held = permits.take()
    held = permits.take(5, held=held)
    assert (permits.n_taken, permits.n_ever_taken) == (5, 1)
    permits.give_back(held)
    permits.take()
    assert (permits.n_taken, permits.n_ever_taken) == (1, 2)


def test_refused_request_was_never_at_work() -> None:
    permits = Permits(1)
    permits.take()
    with pytest.raises(Overloaded, match="1 requests are at work"):
        permits.take()
    assert permits.n_ever_taken == 1
