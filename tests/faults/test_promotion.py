"""Bundles promoted, rolled back and broken while requests are under way."""

from __future__ import annotations

import asyncio
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.bundles.bundle import Bundle, read_bundle, write_bundle
from models.bundles.golden import Golden
from models.bundles.registry import Registry
from tests.support.bundles import tiny_bundle, tiny_contents
from tests.support.service import Running, running
from tests.support.waiting import eventually


def other_bundle(store: Path) -> str:
    """A second bundle, of 20 items instead of 40; its version."""
    return write_bundle(store, tiny_contents(n_items=20)).name


async def version_in_service(service: Running) -> str:
    version: str = (await service.client.get("/health/ready")).json()["bundle_version"]
    return version


async def test_promoted_bundle_takes_over_and_each_answer_is_wholly_of_one_version(store: Path) -> None:
    old, new = Registry(store).current(), other_bundle(store)
    async with running(store) as service:
        versions = set()

        async def traffic(person: int) -> None:
            async def is_taken_over() -> bool:
                await check(person)
                return await version_in_service(service) == new

            await eventually(is_taken_over)
            await check(person)

        async def check(person: int) -> None:
            answer = await service.recommend(user_id=f"user-{person}", limit=100)
            version = answer["model"]["version"]
            assert len(answer["items"]) == {old: 40, new: 20}[version]
            versions.add(version)

        customers = [asyncio.create_task(traffic(person)) for person in range(4)]
        await check(0)
        Registry(store).promote(new)
        await service.parts.bundles.follow()
        await asyncio.gather(*customers)
        assert versions == {old, new}
        assert service.metric("stillroom_bundle_info", version=new) == 1
        assert service.metric("stillroom_bundle_info", version=old) == 0


async def test_running_service_notices_a_promotion_by_itself(store: Path) -> None:
    new = other_bundle(store)
    async with running(store, bundle_poll_seconds=0.01) as service:
        Registry(store).promote(new)

        async def is_noticed() -> bool:
            return await version_in_service(service) == new

        await eventually(is_noticed)


async def test_roll_back_brings_the_old_answers_again(store: Path) -> None:
    async with running(store) as service:
        before = await service.recommend(user_id="user-1")
        Registry(store).promote(other_bundle(store))
        await service.parts.bundles.follow()
        between = await service.recommend(user_id="user-1")
        Registry(store).roll_back()
        await service.parts.bundles.follow()
        after = await service.recommend(user_id="user-1")
    assert between["items"] != before["items"]
    assert after["items"] == before["items"]


def truncate(bundle: Path) -> None:
    file = bundle / "user_tower.onnx"
    file.write_bytes(file.read_bytes()[:-1])


def remove(bundle: Path) -> None:
    shutil.rmtree(bundle)


@pytest.mark.parametrize("spoil", [truncate, remove])
async def test_bad_bundle_put_into_current_by_hand_is_refused_and_the_old_one_goes_on(
    store: Path, spoil: object
) -> None:
    old, bad = Registry(store).current(), other_bundle(store)
    assert callable(spoil)
    spoil(store / bad)
    async with running(store) as service:
        (store / "current").write_text(f"{bad}\n{old}\n")
        await service.parts.bundles.follow()
        assert await version_in_service(service) == old
        assert (await service.recommend(user_id="user-1"))["tier"] == "student"
        assert service.metric("stillroom_bundles_refused_total") == 1


def moved_score(golden: Golden) -> None:
    golden.requests[0].scores[0] += 1.0


def moved_new_item(golden: Golden) -> None:
    golden.texts[0].answer_vector[0] += 1.0


@pytest.mark.parametrize("spoil", [moved_score, moved_new_item])
async def test_bundle_that_answers_its_golden_requests_otherwise_is_refused(
    store: Path, spoil: Callable[[Golden], None]
) -> None:
    old, contents = Registry(store).current(), tiny_contents(n_items=20)
    spoil(contents.golden)
    bad = write_bundle(store, contents).name
    Registry(store).promote(bad)
    (store / "current").write_text(f"{old}\n")
    async with running(store) as service:
        Registry(store).promote(bad)
        await service.parts.bundles.follow()
        assert await version_in_service(service) == old


async def test_refused_bundle_is_tried_once_and_a_good_one_afterwards_is_served(store: Path) -> None:
    bad, good = other_bundle(store), write_bundle(store, tiny_contents(n_items=24)).name
    truncate(store / bad)
    async with running(store) as service:
        (store / "current").write_text(f"{bad}\n")
        for _ in range(3):
            await service.parts.bundles.follow()
        assert service.metric("stillroom_bundles_refused_total") == 1
        Registry(store).promote(good)
        await service.parts.bundles.follow()
        assert await version_in_service(service) == good


async def test_service_that_began_with_a_bad_bundle_heals_when_a_good_one_is_promoted(tmp_path: Path) -> None:
    store = tmp_path / "late"
    bad = tiny_bundle(store)
    truncate(bad)
    async with running(store) as service:
        assert (await service.client.get("/health/ready")).status_code == 503
        Registry(store).promote(other_bundle(store))
        await service.parts.bundles.follow()
        assert (await service.recommend(user_id="user-1"))["tier"] == "student"


async def test_vector_of_the_old_bundle_is_not_used_under_the_new_one(store: Path) -> None:
    async with running(store) as service:
        await service.recommend(user_id="user-1")
        Registry(store).promote(other_bundle(store))
        await service.parts.bundles.follow()
        await service.recommend(user_id="user-1")
        assert service.metric("stillroom_tower_runs_total") == 2
        assert np.isfinite(service.parts.bundles.serving().stranger).all()


async def test_only_the_bundle_in_service_and_the_one_before_stay_loaded(store: Path) -> None:
    first, second = Registry(store).current(), other_bundle(store)
    third = write_bundle(store, tiny_contents(n_items=24)).name
    async with running(store) as service:
        bundles = service.parts.bundles
        oldest = weakref.ref(bundles.serving())
        for version in (second, third):
            Registry(store).promote(version)
            await bundles.follow()
        assert [bundles.holding(version) is not None for version in (first, second, third)] == [
            False,
            True,
            True,
        ]
        assert oldest() is None


async def test_bundle_that_is_loaded_beside_requests_is_read_gently_and_the_first_one_is_not(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    are_gentle: list[bool] = []

    def read(path: Path, *, is_gentle: bool) -> Bundle:
        are_gentle.append(is_gentle)
        return read_bundle(path, is_gentle=is_gentle)

    monkeypatch.setattr("service.bundles.holder.read_bundle", read)
    async with running(store) as service:
        Registry(store).promote(other_bundle(store))
        await service.parts.bundles.follow()
    assert are_gentle == [False, True]


async def test_prepared_bundle_is_let_go_where_it_is_not_promoted_after_all(store: Path) -> None:
    new = other_bundle(store)
    async with running(store) as service:
        bundles = service.parts.bundles
        async with bundles.prepared(new):
            assert bundles.holding(new) is not None
            assert await version_in_service(service) == Registry(store).current()
        assert bundles.holding(new) is None
