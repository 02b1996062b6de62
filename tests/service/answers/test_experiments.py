from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from models.bundles.bundle import write_bundle
from models.bundles.registry import Registry
from service.experiments.stopped import Stop, resume_command, stop_command
from tests.support.bundles import tiny_contents
from tests.support.experiments import TWO_ARMS
from tests.support.redis import RedisServer
from tests.support.service import Running, running
from tests.support.waiting import eventually

STUDENTS = TWO_ARMS.replace('variant = "ensemble"\n', "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A declaration of two arms of the current student."""
    file = tmp_path / "experiments.toml"
    file.write_text(STUDENTS)
    return file


def another_version(store: Path, promote: bool = False) -> str:
    """A second bundle in the store."""
    path = write_bundle(store, tiny_contents("int8"), now=datetime(2024, 2, 2, tzinfo=UTC))
    if promote:
        Registry(store).promote(path.name)
    return path.name


@asynccontextmanager
async def with_experiments(store: Path, file: Path, **changes: object) -> AsyncIterator[Running]:
    async with running(store, experiments=str(file), **changes) as service:
        await service.parts.experiments.follow()
        yield service


def arms(service: Running) -> set[str]:
    """The arms that 200 people are in, "" for none."""
    found = [service.parts.experiments.assign(f"user-{number}", None) for number in range(200)]
    return {"" if each is None else each.arm for each in found}


def write(file: Path, text: str) -> None:
    file.write_text(text)


def remove(file: Path) -> None:
    file.unlink()


def move(folder: Path, to: Path) -> Path:
    return folder.rename(to)


async def test_without_a_declaration_nobody_is_in_an_experiment(service: Running) -> None:
    assert arms(service) == {""}


async def test_a_changed_file_is_followed(store: Path, file: Path) -> None:
    async with with_experiments(store, file) as service:
        assert arms(service) == {"control", "ensemble"}
        write(file, STUDENTS.replace('"ensemble"', '"other"'))
        await service.parts.experiments.follow()
        assert arms(service) == {"control", "other"}
        write(file, "")
        await service.parts.experiments.follow()
        assert arms(service) == {""}


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("weight = 0.5", "weight = 0.6", ":2: the weights of 'vases' sum to 1.1"),
        (
            'name = "ensemble"',
            'name = "ensemble"\nversion = "2023"',
            ":12: version '2023' is not in the store",
        ),
        ('name = "ensemble"', 'name = "control"', ":11: 2 arms of one experiment are called 'control'"),
        ("weight = 0.5", "weight = ", ":8: invalid value"),
    ],
)
async def test_a_bad_file_is_refused_with_its_line_and_what_is_in_force_stays(
    store: Path, file: Path, was: str, now: str, said: str
) -> None:
    async with with_experiments(store, file) as service:
        before = service.parts.experiments.declaration
        write(file, STUDENTS.replace(was, now, 1))
        for _ in range(2):
            await service.parts.experiments.follow()
        assert f"{file}{said}" in service.parts.experiments.refused
        assert service.parts.experiments.declaration is before
        assert arms(service) == {"control", "ensemble"}
        assert service.metric("stillroom_experiments_file_refused_total") == 1


async def test_a_file_that_goes_away_changes_nothing(store: Path, file: Path) -> None:
    async with with_experiments(store, file) as service:
        remove(file)
        await service.parts.experiments.follow()
        assert "cannot be read" in service.parts.experiments.refused
        assert arms(service) == {"control", "ensemble"}


async def test_a_cycle_of_layers_is_refused_at_the_start_and_nobody_is_in_an_experiment(
    store: Path, file: Path
) -> None:
    layer = '[[layer]]\nname = "l"\ninside = "vases/control"\n'
    write(file, layer + STUDENTS.replace('name = "vases"', 'name = "vases"\nlayer = "l"'))
    async with with_experiments(store, file) as service:
        assert ":3: layer 'l' is inside itself" in service.parts.experiments.refused
        assert arms(service) == {""}


async def test_a_version_that_comes_into_the_store_later_is_taken_then(store: Path, file: Path) -> None:
    version = another_version(store)
    write(file, STUDENTS.replace('name = "ensemble"', f'name = "ensemble"\nversion = "{version}"'))
    folder = store / version
    hidden = move(folder, store.parent / "hidden")
    async with with_experiments(store, file) as service:
        assert arms(service) == {""}
        move(hidden, folder)
        await service.parts.experiments.follow()
        assert arms(service) == {"control", "ensemble"}


async def test_a_version_that_an_arm_names_is_in_service_until_none_does(store: Path, file: Path) -> None:
    version = another_version(store)
    write(file, STUDENTS.replace('name = "ensemble"', f'name = "ensemble"\nversion = "{version}"'))
    async with with_experiments(store, file) as service:
        bundles = service.parts.bundles
        held = bundles.holding(version)
        assert held is not None
        assert held.version == version
        assert bundles.holding("current") is bundles.serving()
        assert bundles.serving().version != version
        write(file, STUDENTS)
        await service.parts.experiments.follow()
        assert bundles.holding(version) is None


async def test_a_version_that_an_arm_names_stays_when_another_is_promoted(store: Path, file: Path) -> None:
    first = Registry(store).current()
    write(file, STUDENTS.replace('name = "ensemble"', f'name = "ensemble"\nversion = "{first}"'))
    async with with_experiments(store, file) as service:
        bundles, serving = service.parts.bundles, service.parts.bundles.serving()
        second = another_version(store, promote=True)
        await bundles.follow()
        assert bundles.serving().version == second
        assert bundles.holding(first) is serving


async def test_a_broken_bundle_refuses_the_declaration_that_names_it(store: Path, file: Path) -> None:
    version = another_version(store)
    write(store / version / "item_vectors.npy", "broken")
    write(file, STUDENTS.replace('name = "ensemble"', f'name = "ensemble"\nversion = "{version}"'))
    async with with_experiments(store, file) as service:
        assert f"bundle {version} is refused: FileCorrupt" in service.parts.experiments.refused
        assert arms(service) == {""}
        assert (await service.recommend(user_id="user-1"))["tier"] == "student"


async def test_a_stopped_arm_gets_nobody_until_it_is_resumed(
    store: Path, file: Path, redis_server: RedisServer
) -> None:
    stop = Stop("vases", "ensemble", "vases", "p99_ms", "p99 is 90 ms, the limit is 20", 1)
    async with with_experiments(store, file, redis_url=redis_server.url) as service:
        with redis.Redis.from_url(redis_server.url) as client:
            client.execute_command(*stop_command(stop))
            await service.parts.experiments.follow()
            assert service.parts.experiments.stops == [stop]
            assert arms(service) == {"control", ""}
            client.execute_command(*resume_command("vases", "ensemble"))
            await service.parts.experiments.follow()
            assert arms(service) == {"control", "ensemble"}


@pytest.mark.parametrize(
    ("arm", "salt", "left"),
    [
        ("*", "vases", {""}),
        ("*", "older", {"control", "ensemble"}),
        ("gone", "vases", {"control", "ensemble"}),
    ],
)
async def test_a_stop_is_for_its_arms_under_their_salt(
    store: Path, file: Path, redis_server: RedisServer, arm: str, salt: str, left: set[str]
) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.execute_command(*stop_command(Stop("vases", arm, salt, "operator", "by hand", 1)))
    async with with_experiments(store, file, redis_url=redis_server.url) as service:
        assert arms(service) == left


async def test_nobody_is_in_an_experiment_before_redis_told_which_arms_are_stopped(
    store: Path, file: Path, redis_server: RedisServer
) -> None:
    redis_server.kill()
    async with with_experiments(store, file, redis_url=redis_server.url) as service:
        assert arms(service) == {""}
        redis_server.start()
        await service.parts.experiments.follow()
        assert arms(service) == {"control", "ensemble"}
        redis_server.kill()
        await service.parts.experiments.follow()
        assert arms(service) == {"control", "ensemble"}


async def test_an_answer_is_of_the_version_that_its_arm_names_and_says_so(store: Path, file: Path) -> None:
    current, other = Registry(store).current(), another_version(store)
    write(file, STUDENTS.replace('name = "ensemble"', f'name = "ensemble"\nversion = "{other}"'))
    async with with_experiments(store, file) as service:
        answers = [await service.recommend(user_id=f"user-{number}") for number in range(40)]
    found = {(answer["experiment"]["arm"], answer["model"]["version"]) for answer in answers}
    assert found == {("control", current), ("ensemble", other)}


async def test_stops_are_followed_whatever_is_wrong_with_the_file(
    store: Path, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with with_experiments(store, file) as service:
        holder = service.parts.experiments
        stops: list[int] = []

        async def follow_stops() -> None:
            stops.append(len(stops))

        def fail(*_: object) -> None:
            raise RecursionError("of a kind that nobody thought of")

        monkeypatch.setattr(holder, "_follow_stops", follow_stops)
        monkeypatch.setattr(holder, "_poll_seconds", 0.001)
        monkeypatch.setattr("service.answers.experiments.read_declaration", fail)
        write(file, "# changed")

        async def has_gone_on() -> bool:
            return watching.done() or len(stops) >= 3

        watching = asyncio.create_task(holder.watch())
        await eventually(has_gone_on)
        assert not watching.done()
        watching.cancel()
        assert "it is tried again" in caplog.text


async def test_arms_are_in_force_before_anybody_is_answered(store: Path, file: Path) -> None:
    async with running(store, experiments=str(file)) as service:
        assert arms(service) == {"control", "ensemble"}
