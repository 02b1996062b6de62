"""The whole study on a shop as small as it can be: what is in it and what must come out, whatever the figures."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from models.history import Event, History
from models.monitoring import inputs
from tests.support.worlds import QuickWorld
from training.base.progress import Stages
from training.quality.simulated import MonitoringStudy
from training.simulations.monitoring.damage import Misnumbered
from training.simulations.monitoring.replay import Said
from training.simulations.monitoring.study import WATCHED, StudySettings, study
from training.simulations.monitoring.world import (
    QUIET,
    SCENARIOS,
    SEASON,
    TURNOVER,
    WorldSettings,
    quick_training,
)

WORLD = WorldSettings(
    n_items=150,
    n_people_trained=2_000,  # of fewer, the bundle knows too little to tell damage from chance
    n_people_live=3_000,
    first_live_day=90,
    n_live_days=9,
    change_after_days=3,
)
SETTINGS = StudySettings(n_quiet=1, n_changed=1, n_windows=30, n_damaged=10, older_by_days=30)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> QuickWorld:
    return QuickWorld(WORLD, quick_training(0), tmp_path_factory.mktemp("world"), Console(quiet=True))


@pytest.fixture(scope="module")
def figures(world: QuickWorld) -> MonitoringStudy:
    return study(SETTINGS, world, Stages(Console(quiet=True)))


def test_turnover_is_found_by_items_that_nobody_knows_and_not_by_kinds_of_events(
    figures: MonitoringStudy,
) -> None:
    watched = figures.changes[TURNOVER].watched
    assert watched[inputs.UNKNOWN_ITEM].n_found == 1
    assert (watched[inputs.UNKNOWN_ITEM].median_days or 0.0) < 8
    assert watched[inputs.EVENT_KIND].n_found == 0


def test_every_damage_to_a_member_is_found_and_its_name_said(figures: MonitoringStudy) -> None:
    for name in ("a member's factors shuffled", "item texts emptied"):
        found = figures.damage[name]
        assert found.n_found == found.n_windows, name
        assert found.n_named == found.n_windows, name


def test_truncated_histories_are_the_students_fault(figures: MonitoringStudy) -> None:
    found = figures.damage["histories truncated"]
    assert found.n_named == found.n_found > 0


def test_everything_that_is_watched_is_counted_where_nothing_changed(figures: MonitoringStudy) -> None:
    watched = figures.false_alarms.watched
    assert set(watched) == set(WATCHED)
    assert all(watched[name].n_windows > 0 for name in inputs.WORDS)
    assert figures.false_alarms.drawn.n_windows == 30


def test_a_misnumbered_member_is_the_member_with_its_items_renamed() -> None:
    class ByNumber:
        name = "by_number"

        def score(self, histories: list[History]) -> np.ndarray:
            return np.array(
                [[10.0 * len(each) + item for item in range(4)] for each in histories], np.float32
            )

    history = History.from_events([Event(2, 0)])
    order = np.array([3, 0, 1, 2])
    found = Misnumbered(ByNumber(), order).score([history])  # type: ignore[arg-type]
    assert found.tolist() == [[13.0, 10.0, 11.0, 12.0]]


def test_delays_count_from_the_change() -> None:
    said = Said(alarms=[(50, "a"), (150, "b"), (170, "a")])
    assert said.first_after(100) == 50
    assert said.first_after(100, "a") == 70
    assert said.first_after(200) is None


def test_scenarios_share_their_items(world: QuickWorld) -> None:
    quiet, season = world.catalogues[QUIET], world.catalogues[SEASON]
    assert set(world.catalogues) == set(SCENARIOS)
    assert (quiet.numbers == season.numbers).all()
    leaves = world.catalogues[TURNOVER].departure_times == WORLD.change_day * 86_400
    assert leaves.sum() == pytest.approx(0.2 * WORLD.n_items, rel=0.5)
