"""A damaged bundle passes everything that a service verifies, and answers wrongly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from models.bundles.bundle import read_bundle
from models.bundles.golden import replay_golden
from models.bundles.registry import Registry
from tests.support.repository import ROOT


def test_a_damaged_bundle_is_whole_and_promoted_and_wrong(store: Path) -> None:
    registry = Registry(store)
    before = read_bundle(registry.path(registry.current()))
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.alerts.damage", str(store)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    after = read_bundle(registry.path(registry.current()))
    assert after.version == done.stdout.strip() != before.version
    damaged = after.load_student()
    replay_golden(damaged, after.text_encoder, after.golden)
    people = [before.people.histories[row] for row in range(len(before.people.histories))]
    whole = before.load_student().recommend(people, 5).item_indices
    assert np.mean(damaged.recommend(people, 5).item_indices == whole) < 0.5
