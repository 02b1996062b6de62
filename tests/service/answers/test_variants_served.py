"""Arms that answer as the ensemble or as a member: declared, loaded, served, let go of."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.bundles.bundle import write_bundle
from models.bundles.registry import Registry
from models.bundles.variants import best_items
from models.experiments.known import known_variants
from service.bundles.holder import BundleRefused
from tests.support.bundles import N_ITEMS, WRITTEN_AT, tiny_contents
from tests.support.experiments import TWO_ARMS
from tests.support.service import Running, ids_of, running
from tests.support.variants import MEMBERS, contents_with_variants

N_PEOPLE = 40
OLD_AND_NEW = TWO_ARMS.replace('variant = "ensemble"', 'variant = "ensemble"\nversion = "{version}"')


@pytest.fixture
def whole_store(tmp_path: Path) -> Path:
    """A store whose current bundle carries its ensemble."""
    store = tmp_path / "whole"
    path = write_bundle(store, contents_with_variants(), now=WRITTEN_AT)
    Registry(store).promote(path.name)
    return store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "experiments.toml"
    write(file, TWO_ARMS)
    return file


def write(file: Path, text: str) -> None:
    file.write_text(text)


def student_alone(store: Path) -> str:
    return write_bundle(store, tiny_contents("int8"), now=datetime(2024, 2, 2, tzinfo=UTC)).name


def damage(store: Path) -> None:
    """One bit of one array."""
    damaged = Registry(store).path(Registry(store).current()) / "ensemble_popularity.scores.npy"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)


async def answers_of(service: Running, **asked: object) -> dict[str, list[dict[str, object]]]:
    """What people of each arm got."""
    found: dict[str, list[dict[str, object]]] = {}
    for number in range(N_PEOPLE):
        answer = await service.recommend(user_id=f"user-{number}", limit=5, **asked)
        found.setdefault(answer["experiment"]["arm"], []).append(answer)
    return found


def test_a_manifest_says_what_may_be_declared(whole_store: Path) -> None:
    known = known_variants(Registry(whole_store))
    assert known("current") == {"student", "ensemble", *MEMBERS}
    assert known(student_alone(whole_store)) == {"student"}


async def test_an_arm_of_the_ensemble_is_answered_by_it(whole_store: Path, file: Path) -> None:
    async with running(whole_store, experiments=str(file)) as service:
        await service.parts.experiments.follow()
        found = await answers_of(service)
        serving = service.parts.bundles.serving()
        assert serving.variants is not None
        for answer in found["ensemble"]:
            assert answer["model"] == {"version": serving.version, "variant": "ensemble"}
            assert (answer["tier"], answer["degraded"]) == ("student", None)
        assert {answer["model"]["variant"] for answer in found["control"]} == {"student"}  # type: ignore[index]
        stranger = next(answer for answer in found["ensemble"])
        assert len(ids_of(stranger)) == 5


async def test_the_ensemble_and_a_member_rank_by_their_own_scores(whole_store: Path, file: Path) -> None:
    for variant in ("ensemble", "knn"):
        write(file, TWO_ARMS.replace('variant = "ensemble"', f'variant = "{variant}"'))
        async with running(whole_store, experiments=str(file)) as service:
            await service.parts.experiments.follow()
            assigned = service.parts.experiments.assign
            user_id = next(
                f"user-{number}"
                for number in range(12)
                if (arm := assigned(f"user-{number}", None)) and arm.arm == "ensemble"
            )
            serving = service.parts.bundles.serving()
            history = serving.people.find(user_id)
            assert history is not None
            assert serving.variants is not None
            scores = serving.variants.score(variant, [history])[0]
            ranked = best_items(scores, 5)
            answer = await service.recommend(user_id=user_id, limit=5)
            assert ids_of(answer) == serving.items.vocabulary.ids_of(ranked.item_indices[0].tolist())


async def test_a_member_without_an_opinion_leaves_the_answer_to_a_lower_tier(
    whole_store: Path, file: Path
) -> None:
    write(file, TWO_ARMS.replace('variant = "ensemble"', 'variant = "als"'))
    async with running(whole_store, experiments=str(file)) as service:
        await service.parts.experiments.follow()
        found = await answers_of(service)
        strangers = [answer for answer in found["ensemble"] if answer["degraded"]]
        assert {answer["degraded"] for answer in strangers} == {"no_opinion"}
        assert {answer["tier"] for answer in strangers} == {"popular"}
        assert all(answer["items"] for answer in found["ensemble"])


async def test_this_visits_events_count_for_a_variant(whole_store: Path, file: Path) -> None:
    write(file, TWO_ARMS.replace('variant = "ensemble"', 'variant = "knn"'))
    async with running(whole_store, experiments=str(file)) as service:
        await service.parts.experiments.follow()
        found = await answers_of(service, session=[{"item_id": "item-3"}])
        assert {answer["degraded"] for answer in found["ensemble"]} == {None}
        best = [int(ids_of(answer)[0].removeprefix("item-")) for answer in found["ensemble"]]
        assert best.count(N_ITEMS - 1) > len(best) / 2  # of the block of item 3, for all who were strangers


async def test_nothing_is_loaded_that_no_arm_asks_for(whole_store: Path, file: Path) -> None:
    write(file, "")
    async with running(whole_store, experiments=str(file)) as service:
        bundles = service.parts.bundles
        assert bundles.serving().variants is None
        write(file, TWO_ARMS)
        await service.parts.experiments.follow()
        assert bundles.serving().variants is not None
        write(file, TWO_ARMS.replace('variant = "ensemble"\n', ""))
        await service.parts.experiments.follow()
        assert bundles.serving().variants is None


async def test_an_arm_of_another_version_has_its_own_ensemble(whole_store: Path, file: Path) -> None:
    registry = Registry(whole_store)
    old = registry.current()
    registry.promote(student_alone(whole_store))
    write(file, OLD_AND_NEW.format(version=old))
    async with running(whole_store, experiments=str(file)) as service:
        await service.parts.experiments.follow()
        held = service.parts.bundles.holding(old)
        assert held is not None
        assert held.variants is not None
        assert service.parts.bundles.serving().variants is None
        for answer in (await answers_of(service))["ensemble"]:
            assert answer["model"] == {"version": old, "variant": "ensemble"}


async def test_a_promoted_bundle_comes_with_the_ensemble_that_an_arm_asks_for(
    whole_store: Path, file: Path
) -> None:
    async with running(whole_store, experiments=str(file)) as service:
        await service.parts.experiments.follow()
        newer = write_bundle(
            whole_store, contents_with_variants("int8"), now=datetime(2024, 3, 3, tzinfo=UTC)
        )
        Registry(whole_store).promote(newer.name)
        await service.parts.bundles.follow()
        serving = service.parts.bundles.serving()
        assert serving.version == newer.name
        assert serving.variants is not None


async def test_a_promoted_student_alone_serves_and_its_arm_falls_back(whole_store: Path, file: Path) -> None:
    async with running(whole_store, experiments=str(file)) as service:
        await service.parts.experiments.follow()
        Registry(whole_store).promote(student_alone(whole_store))
        await service.parts.bundles.follow()
        found = await answers_of(service)
        assert {answer["degraded"] for answer in found["ensemble"]} == {"variant_failed"}
        assert {answer["degraded"] for answer in found["control"]} == {None}


async def test_a_damaged_ensemble_is_refused_and_the_student_goes_on(whole_store: Path, file: Path) -> None:
    damage(whole_store)
    async with running(whole_store, experiments=str(file)) as service:
        await service.parts.experiments.follow()
        assert "ensemble_popularity.scores.npy has sha256" in service.parts.experiments.refused
        answer = await service.recommend(user_id="user-1")
        assert (answer["tier"], answer["degraded"]) == ("student", None)
        with pytest.raises(BundleRefused):
            await service.parts.bundles.hold(frozenset(), frozenset({"current"}))
