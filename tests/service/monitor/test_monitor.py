"""What the monitor makes of a live log in a real Redis: drift, accuracy, disagreement, experiments, promotions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import time
from typing import Any

import pytest
import redis

from service.experiments.report import read_command, read_report
from service.experiments.stopped import READ_STOPS, read_stops, resume_command
from service.log.records import ErasureRecord, EventRecord, ExposureRecord
from service.monitor.metrics import MonitorMetrics
from service.monitor.monitor import Monitor
from service.settings.commands import MonitorProcessSettings
from tests.support.monitoring import click, push, shown
from tests.support.redis import RedisServer

WINDOW = {"monitor_window_seconds": 10, "monitor_min_records": 200, "outcome_window_seconds": 5}


class Watching:
    """A monitor that reads all there is, and what it shows."""

    def __init__(self, store: Path, url: str, **settings: Any) -> None:
        self.metrics = MonitorMetrics()
        self.client = redis.Redis.from_url(url)
        self.url = url
        given = {"bundle_poll_seconds": 0.001, **WINDOW, **settings}
        self.monitor = Monitor(
            MonitorProcessSettings(store=store, redis_url=url, **given), self.client, self.metrics
        )

    def see(self, records: Sequence[EventRecord | ExposureRecord | ErasureRecord]) -> None:
        """Push records, and read until nothing is left."""
        push(self.url, records)
        for _ in range(2 + len(records) // 1_000 * 2):
            self.monitor.turn()

    def ask(self, *command: Any) -> Any:
        """What Redis replies."""
        return self.client.execute_command(*command)  # type: ignore[no-untyped-call]

    def shows(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def watching(store: Path, redis_server: RedisServer) -> Iterator[Watching]:
    made = Watching(store, redis_server.url)
    yield made
    made.client.close()


def answers_and_clicks(
    n: int, *, share: float = 0.5, start: int = 0, **changes: Any
) -> list[EventRecord | ExposureRecord]:
    """n answers in n tenths of a second; the share of them that is clicked, spread evenly."""
    records: list[EventRecord | ExposureRecord] = []
    for number in range(start, start + n):
        records.append(shown(number, **changes))
        if int((number + 1) * share) > int(number * share):
            records.append(click(number))
    return records


def test_traffic_like_the_reference_raises_no_alarm(watching: Watching) -> None:
    watching.see(answers_and_clicks(400))
    assert watching.shows("stillroom_drift_alarm", input="history_length") == 0
    psi = watching.shows("stillroom_drift_psi", input="history_length")
    assert psi is not None
    assert psi < 0.1


def test_histories_that_are_shorter_than_they_were_raise_an_alarm_until_they_are_back(
    watching: Watching,
) -> None:
    watching.see(answers_and_clicks(300, n_history=0))
    assert watching.shows("stillroom_drift_alarm", input="history_length") == 1
    assert (watching.shows("stillroom_drift_psi", input="history_length") or 0) > 0.25
    watching.see(answers_and_clicks(400, start=300))
    assert watching.shows("stillroom_drift_alarm", input="history_length") == 0


def test_events_of_other_kinds_and_of_unknown_items_raise_alarms(watching: Watching) -> None:
    purchases = [click(number, kind="purchase", item_id="novelty") for number in range(400)]
    watching.see(purchases)
    assert watching.shows("stillroom_drift_alarm", input="event_kind") == 1
    assert watching.shows("stillroom_drift_alarm", input="unknown_item_share") == 1


def test_a_window_with_too_few_records_says_nothing(watching: Watching) -> None:
    watching.see([shown(0, n_history=0), *answers_and_clicks(150, start=400, n_history=0)])
    assert watching.shows("stillroom_drift_alarm", input="history_length") is None


def test_accuracy_is_the_share_of_answers_whose_time_is_over_with_a_click(watching: Watching) -> None:
    watching.see(answers_and_clicks(400, share=0.25))
    assert watching.shows("stillroom_accuracy", outcome="click") == pytest.approx(0.25, abs=0.01)
    assert watching.shows("stillroom_accuracy", outcome="purchase") == 0
    assert watching.shows("stillroom_accuracy_alarm", outcome="click") == 0


def test_records_of_a_clock_that_is_far_ahead_are_left_out_and_all_others_count(watching: Watching) -> None:
    ahead_ms = int(1000 * time()) + 400 * 86_400_000
    watching.see([shown(0, sent_ms=ahead_ms), click(0, received_ms=ahead_ms)])
    watching.see(answers_and_clicks(400, share=0.25))
    assert watching.shows("stillroom_accuracy", outcome="click") == pytest.approx(0.25, abs=0.01)
    assert watching.shows("stillroom_monitor_from_ahead_total") == 2


def test_answers_of_a_forgotten_person_are_not_counted(watching: Watching) -> None:
    watching.see([shown(number, user_id="busy") for number in range(20)])
    watching.see(
        [ErasureRecord("e", "busy", shown(20).sent_ms), *answers_and_clicks(380, share=1.0, start=20)]
    )
    assert watching.shows("stillroom_accuracy", outcome="click") == 1.0


def test_a_fall_of_accuracy_raises_an_alarm(watching: Watching) -> None:
    watching.see(answers_and_clicks(3_000, share=0.5))
    watching.see(answers_and_clicks(1_500, share=0.1, start=3_000))
    assert watching.shows("stillroom_accuracy_alarm", outcome="click") == 1
    assert watching.shows("stillroom_accuracy_alarm", outcome="purchase") == 0


def test_a_monitor_that_starts_again_counts_outcomes_of_answers_from_before(
    store: Path, redis_server: RedisServer
) -> None:
    first = Watching(store, redis_server.url, outcome_window_seconds=30)
    records = answers_and_clicks(300, share=1.0)
    first.see([each for each in records if isinstance(each, ExposureRecord)])
    first.monitor.is_stopping = True
    first.monitor.run()
    second = Watching(store, redis_server.url, outcome_window_seconds=30)
    second.see([each for each in records if isinstance(each, EventRecord)])
    second.see([shown(700, user_id="somebody")])
    assert second.shows("stillroom_accuracy", outcome="click") == 1.0


EXPERIMENT = """
[[experiment]]
name = "vases"
window_seconds = 60
guardrails.empty_rate = { limit = 0.02, minimum_count = 100 }

[[experiment.arm]]
name = "control"
weight = 0.5

[[experiment.arm]]
name = "empty"
weight = 0.5
"""


def test_an_arm_that_answers_with_nothing_is_stopped_and_reported(
    store: Path, redis_server: RedisServer, tmp_path: Path
) -> None:
    file = tmp_path / "experiments.toml"
    file.write_text(EXPERIMENT)
    watching = Watching(store, redis_server.url, experiments=str(file))
    arms = ("control", "empty")
    watching.see(
        [
            shown(number, experiment="vases", arm=arms[number % 2], item_ids=[] if number % 2 else ["item-1"])
            for number in range(400)
        ]
    )
    watching.see([click(number) for number in range(0, 400, 4)])
    (stop,) = read_stops(watching.ask(*READ_STOPS))
    assert (stop.experiment, stop.arm, stop.cause) == ("vases", "empty", "empty_rate")
    labels = {"experiment": "vases", "arm": "empty", "guardrail": "empty_rate"}
    assert watching.shows("stillroom_experiment_arm_stopped", **labels) == 1
    watching.ask(*resume_command("vases", "empty"))
    watching.monitor._due["decide"] = 0.0
    watching.monitor.turn()
    assert read_stops(watching.ask(*READ_STOPS)) == []
    assert watching.shows("stillroom_experiment_arm_stopped", **labels) is None
    assert watching.shows("stillroom_experiment_srm_alarm", experiment="vases") == 0
    counted = watching.shows(
        "stillroom_arm_outcomes_total", experiment="vases", arm="control", outcome="click"
    )
    assert counted == 100
    report = read_report(watching.ask(*read_command("vases")))
    assert report is not None
    assert report.arms[0].n_answers == 200


def test_what_an_experiment_counted_outlives_the_monitor(
    store: Path, redis_server: RedisServer, tmp_path: Path
) -> None:
    file = tmp_path / "experiments.toml"
    file.write_text(EXPERIMENT)
    of_control = {"experiment": "vases", "arm": "control"}
    first = Watching(store, redis_server.url, experiments=str(file))
    first.see([shown(number, **of_control) for number in range(50)])
    first.monitor.is_stopping = True
    first.monitor.run()
    second = Watching(store, redis_server.url, experiments=str(file))
    second.see([shown(number, **of_control) for number in range(50, 60)])
    report = read_report(second.ask(*read_command("vases")))
    assert report is not None
    assert report.arms[0].n_answers == 60


def test_a_forgotten_person_is_in_nothing_that_the_monitor_keeps(
    store: Path, redis_server: RedisServer, tmp_path: Path
) -> None:
    file = tmp_path / "experiments.toml"
    file.write_text(EXPERIMENT)
    watching = Watching(store, redis_server.url, experiments=str(file))
    of_control = {"experiment": "vases", "arm": "control"}
    watching.see([shown(number, **of_control, unit=f"user-{number}") for number in range(20)])
    moment = shown(20).sent_ms
    watching.see([ErasureRecord("e", shown(3).user_id or "", moment)])
    watching.monitor.is_stopping = True
    watching.monitor.run()
    kept = watching.client.hgetall("stillroom:monitor:state")[b"experiments"]
    assert b"user-4" in kept
    assert b"user-3" not in kept
    report = read_report(watching.ask(*read_command("vases")))
    assert report is not None
    assert report.arms[0].n_answers == 20  # which names nobody
