"""Many people cost disk and page cache, which processes share, and hardly any memory of a process's own."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.bundles.bundle import read_bundle, write_bundle
from models.packed_histories import ColdHistories, Histories
from models.vocabulary import Vocabulary
from tests.support.bundles import LATEST, N_ITEMS, tiny_contents

N_FEW, N_MANY, N_EVENTS = 1_000, 200_000, 3
N_FOUND = 2_000

READ_AND_FIND = """
import sys
from pathlib import Path
from models.bundles.bundle import read_bundle

def own_bytes():
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return 1024 * int(rollup.partition("Anonymous:")[2].split()[0])

def find(path, n_people, n_found):
    bundle = read_bundle(Path(path))
    for person in range(0, n_people, n_people // n_found):
        assert len(bundle.people.find(f"user-{person}")) == 3
    return bundle

few, n_few, many, n_many, n_found = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
kept = find(few, n_few, n_few)
before = own_bytes()
kept = kept, find(many, n_many, n_found)
print(own_bytes() - before)
"""


def many_people(n_people: int) -> ColdHistories:
    """People "user-0", "user-1", … with three events each."""
    n_events = n_people * N_EVENTS
    histories = Histories(
        np.arange(n_people + 1, dtype=np.int64) * N_EVENTS,
        np.arange(n_events, dtype=np.int32) % N_ITEMS,
        np.full(n_events, LATEST, np.int64),
        np.zeros(n_events, np.uint8),
    )
    return ColdHistories(Vocabulary.from_ids([f"user-{person}" for person in range(n_people)]), histories)


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells a process's own memory"
)
def test_memory_of_a_process_does_not_grow_with_people(tmp_path: Path) -> None:
    contents = tiny_contents()
    few, many = (
        write_bundle(tmp_path, dataclasses.replace(contents, people=many_people(n_people)))
        for n_people in (N_FEW, N_MANY)
    )
    arguments = [str(few), str(N_FEW), str(many), str(N_MANY), str(N_FOUND)]
    found = subprocess.run(
        [sys.executable, "-c", READ_AND_FIND, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    people_files = [*many.glob("user_ids.*"), *many.glob("histories.*")]
    people_bytes = sum(file.stat().st_size for file in people_files)
    assert people_bytes > 60 * N_MANY
    assert int(found.stdout) < people_bytes / 4


def test_every_one_of_many_people_is_found_at_their_row(tmp_path: Path) -> None:
    contents = dataclasses.replace(tiny_contents(), people=many_people(N_FEW))
    people = read_bundle(write_bundle(tmp_path, contents)).people.people
    assert [people.find(f"user-{person}") for person in range(N_FEW)] == list(range(N_FEW))
