"""The histogram by stage says exactly what prometheus_client's would, from one process and from shared files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from service.telemetry.stage_seconds import StageSeconds

BOUNDS = (0.001, 0.01, 0.1)
STAGES = ("parse", "score")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(registry: CollectorRegistry) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def by_prometheus_client(requests: list[dict[str, float]]) -> Samples:
    registry = CollectorRegistry()
    histogram = Histogram("seconds", "Time", ["stage"], buckets=BOUNDS, registry=registry)
    for stage in STAGES:
        histogram.labels(stage)
    for request in requests:
        for stage, seconds in request.items():
            histogram.labels(stage).observe(seconds)
    return samples(registry)


SECONDS = st.one_of(st.sampled_from([0.0, *BOUNDS]), st.floats(0, 1, width=32))


@given(st.lists(st.dictionaries(st.sampled_from(STAGES), SECONDS), max_size=10))
def test_every_sample_is_prometheus_clients(requests: list[dict[str, float]]) -> None:
    registry = CollectorRegistry()
    histogram = StageSeconds("seconds", "Time", STAGES, BOUNDS)
    registry.register(histogram)
    for request in requests:
        histogram.observe(request)
    assert samples(registry) == by_prometheus_client(requests)


def test_shared_files_are_merged_over_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [{"parse": 0.0005, "score": 0.05}, {"parse": 0.001, "score": 7.0}, {"score": 0.25}]
    for worker, own in enumerate((requests[:2], requests[2:])):
        monkeypatch.setattr("os.getpid", lambda worker=worker: 1000 + worker)
        histogram = StageSeconds("seconds", "Time", STAGES, BOUNDS, str(tmp_path))
        for request in own:
            histogram.observe(request)
    assert len(list(tmp_path.iterdir())) == 2
    merged = CollectorRegistry()
    MultiProcessCollector(merged, str(tmp_path))  # type: ignore[no-untyped-call]
    assert samples(merged) == by_prometheus_client(requests)


def test_unknown_stage_is_an_error() -> None:
    with pytest.raises(KeyError):
        StageSeconds("seconds", "Time", STAGES, BOUNDS).observe({"packing": 1.0})
