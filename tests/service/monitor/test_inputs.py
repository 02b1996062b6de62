"""Kinds of events are watched as a model sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.bundles.bundle import read_bundle
from models.history import EventKind
from models.monitoring import inputs
from service.monitor.inputs import InputWatch
from service.monitor.metrics import MonitorMetrics
from service.monitor.watched import WatchedBundle
from tests.support.bundles import tiny_bundle
from tests.support.events import event


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("purchase", [EventKind.PURCHASE]),
        ("dislike", [EventKind.DISLIKE]),
        ("return", [EventKind.DISLIKE]),
        ("removal", []),
        ("impression", []),
    ],
)
def test_a_return_is_a_dislike_and_what_no_model_sees_is_not_counted(
    tmp_path: Path, kind: str, seen: list[int]
) -> None:
    watched = WatchedBundle(read_bundle(tiny_bundle(tmp_path)), {})
    watch = InputWatch(watched, MonitorMetrics(), minimum=10, seconds=60.0)
    watch.happened(event(kind=kind, item_id="item-1"))
    assert watch._numbers[inputs.EVENT_KIND] == seen
