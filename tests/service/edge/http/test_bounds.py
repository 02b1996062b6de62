"""Bounds follow from settings, and never from more descriptors than there are."""

from __future__ import annotations

import resource

import pytest

from service.edge.http.bounds import MAX_CONNECTIONS, allowed_by_descriptors, bounds_of, operators_bounds
from service.settings.service import Settings


@pytest.mark.parametrize(("n_descriptors", "allowed"), [(4, 1), (256, 64), (1024, 768), (100_000, 99_744)])
def test_some_descriptors_are_left_for_files(n_descriptors: int, allowed: int) -> None:
    assert allowed_by_descriptors(n_descriptors) == allowed


def limit_descriptors(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (n, n))


@pytest.mark.parametrize("asked", [0, 5_000])
def test_connections_never_pass_the_descriptors(monkeypatch: pytest.MonkeyPatch, asked: int) -> None:
    limit_descriptors(monkeypatch, 1024)
    given = bounds_of(Settings(max_connections=asked))
    assert (given.max_connections, given.max_connections_per_address) == (768, 384)


def test_without_a_limit_of_descriptors_there_still_is_one_of_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit_descriptors(monkeypatch, resource.RLIM_INFINITY)
    assert bounds_of(Settings()).max_connections == MAX_CONNECTIONS
    assert bounds_of(Settings(max_connections=9_000)).max_connections == 9_000


def test_settings_are_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_descriptors(monkeypatch, 1024)
    settings = Settings(
        max_connections=20, max_connections_per_address=3, head_timeout_seconds=7, max_headers=70
    )
    given = bounds_of(settings)
    assert (given.max_connections, given.max_connections_per_address) == (20, 3)
    assert (given.head_seconds, given.max_headers) == (7, 70)
    assert operators_bounds(settings).max_connections == 20
