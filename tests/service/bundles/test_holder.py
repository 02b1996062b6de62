"""What is promoted is followed: refused bundles are tried again, and nothing ends the following."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from models.bundles.registry import Registry
from service.bundles.holder import FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS, BundleHolder
from service.telemetry.metrics import Metrics
from tests.support.waiting import eventually

FILE = "user_tower.onnx"


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Held:
    """A holder on a clock of its own, with how many bundles it refused."""

    def __init__(self, store: Path) -> None:
        self.clock, self.metrics = Clock(), Metrics()
        self.bundles = BundleHolder(store, self.metrics, max_batch=2, poll_seconds=0.001, clock=self.clock)

    def n_refused(self) -> float:
        return self.metrics.registry.get_sample_value("stillroom_bundles_refused_total") or 0.0

    async def n_refused_after(self, seconds: float) -> float:
        """Seconds later, after another look."""
        self.clock.now += seconds
        await self.bundles.follow()
        return self.n_refused()


def spoil(store: Path) -> bytes:
    """Cut a file of what is promoted; what it held."""
    file = store / Registry(store).current() / FILE
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    return whole


def mend(store: Path, whole: bytes) -> None:
    (store / Registry(store).current() / FILE).write_bytes(whole)


async def test_start_puts_what_is_promoted_into_service(store: Path) -> None:
    held = Held(store)
    await held.bundles.start()
    assert held.bundles.serving().version == Registry(store).current()


async def test_start_never_fails(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RecursionError("of a kind that nobody thought of")

    held = Held(store)
    monkeypatch.setattr(held.bundles._registry.__class__, "current", fail)
    await held.bundles.start()
    assert not held.bundles.is_ready
    assert held.bundles.absence == "bundle_refused"


async def test_refused_bundle_is_tried_again_after_pauses_that_grow(store: Path) -> None:
    spoil(store)
    held = Held(store)
    await held.bundles.start()
    assert held.n_refused() == 1
    assert await held.n_refused_after(FIRST_RETRY_SECONDS - 1) == 1
    assert await held.n_refused_after(1) == 2
    assert await held.n_refused_after(2 * FIRST_RETRY_SECONDS - 1) == 2
    assert await held.n_refused_after(1) == 3
    for n_refused in (4, 5, 6):
        assert await held.n_refused_after(LAST_RETRY_SECONDS) == n_refused


async def test_bundle_that_was_mended_in_its_place_is_served_by_itself(store: Path) -> None:
    whole = spoil(store)
    held = Held(store)
    await held.bundles.start()
    mend(store, whole)
    await held.n_refused_after(FIRST_RETRY_SECONDS)
    assert held.bundles.is_ready


async def test_bundle_that_was_mended_is_served_at_once_where_it_is_promoted_again(store: Path) -> None:
    version, whole = Registry(store).current(), spoil(store)
    held = Held(store)
    await held.bundles.start()
    mend(store, whole)
    await held.bundles.follow()
    assert not held.bundles.is_ready
    Registry(store).promote(version)
    await held.bundles.follow()
    assert held.bundles.is_ready


async def test_store_that_loses_its_current_is_told_of_now_and_then_and_what_is_in_service_goes_on(
    store: Path,
) -> None:
    held = Held(store)
    await held.bundles.start()
    (store / "current").unlink()
    for _ in range(3):
        await held.bundles.follow()
    assert held.n_refused() == 1
    assert await held.n_refused_after(FIRST_RETRY_SECONDS) == 2
    assert held.bundles.is_ready


async def test_empty_store_is_no_fault_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held(tmp_path / "store")
    with caplog.at_level(logging.INFO):
        await held.bundles.start()
        await held.bundles.follow()
    assert held.n_refused() == 0
    assert held.bundles.absence == "no_model"
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_following_goes_on_whatever_is_wrong_with_a_bundle(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(store)
    await held.bundles.start()
    n_looks = 0

    def fail(*_: object) -> str:
        nonlocal n_looks
        n_looks += 1
        raise RecursionError("of a kind that nobody thought of")

    monkeypatch.setattr(held.bundles._registry.__class__, "current", fail)
    watching = asyncio.create_task(held.bundles.watch())

    async def has_gone_on() -> bool:
        return watching.done() or n_looks >= 3

    await eventually(has_gone_on)
    assert not watching.done()
    watching.cancel()
