"""Bundles of one generated shop, each with another student, and a store to promote them in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.bundles import size_words
from loadtest.errors import LoadTestError

N_GOOD = 3
"""One is in service, one is kept for a roll back, and the next one has to be loaded."""

SPOILT = "user_tower.onnx"
N_IDS = 2000


class BundlesMissing(LoadTestError):
    """The bundles could not be made; what was said is above."""


@dataclass(frozen=True)
class DrillStore:
    """good: versions in the order in which they are promoted. bad: one that does not verify. people, items: ids."""

    folder: Path
    good: list[str]
    bad: str
    people: list[str]
    items: list[str]

    def current(self) -> str:
        """The promoted version."""
        return (self.folder / "current").read_text().split()[0]

    def put_by_hand(self, version: str) -> str:
        """Write `current` as somebody does who verifies nothing; returns what stood there before."""
        file = self.folder / "current"
        before = file.read_text()
        self.restore(f"{version}\n{before}")
        return before

    def restore(self, text: str) -> None:
        """Replace `current` in one step."""
        temporary = self.folder / ".current-by-hand"
        temporary.write_text(text)
        temporary.replace(self.folder / "current")

    def bundle_bytes(self) -> int:
        """Of one good bundle on disk."""
        return sum(file.stat().st_size for file in (self.folder / self.good[0]).iterdir())


def kept_bundles(folder: Path, n_items: int, n_people: int) -> list[Path]:
    """One more than `N_GOOD` bundles of this size, made now where they are not there or of an older format."""
    store = folder / f"{size_words(n_items)}x{size_words(n_people)}"
    if "unusable" in _python("models", "list", f"--store={store}"):
        shutil.rmtree(store)
    for seed in range(len(_versions(store)), N_GOOD + 1):
        print(f"drill-promotion: making bundle {seed + 1} of {N_GOOD + 1} in {store}; it is kept", flush=True)
        size = [f"--items={n_items}", f"--people={n_people}", f"--student-seed={seed}"]
        _python("training", "scale-bundle", *size, f"--store={store}", "--no-promote")
    return _versions(store)[: N_GOOD + 1]


def lay_out(bundles: list[Path], folder: Path) -> DrillStore:
    """A store of these bundles' files, the first one promoted, the last one spoilt by a bit."""
    folder.mkdir(parents=True)
    for bundle in bundles:
        shutil.copytree(bundle, folder / bundle.name, copy_function=_link)
    spoilt = folder / bundles[-1].name / SPOILT
    content = bytearray(spoilt.read_bytes())
    content[len(content) // 2] ^= 1
    spoilt.unlink()
    spoilt.write_bytes(bytes(content))
    *good, bad = [bundle.name for bundle in bundles]
    (folder / "current").write_text(f"{good[0]}\n")
    people, items = (
        _python("models", "ids", f"--{kind}", f"--limit={N_IDS}", f"--store={folder}").splitlines()
        for kind in ("people", "items")
    )
    return DrillStore(folder, good, bad, people, items)


def _versions(store: Path) -> list[Path]:
    return sorted(manifest.parent for manifest in store.glob("[!.]*/manifest.json"))


def _link(source: str, target: str) -> None:
    """The same file under two names, copied only where the folders lie on different disks."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _python(module: str, *words: str) -> str:
    done = subprocess.run([sys.executable, "-m", module, *words], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise BundlesMissing(
            f"`python -m {module} {' '.join(words)}` ended with {done.returncode}; see above"
        )
    return done.stdout
