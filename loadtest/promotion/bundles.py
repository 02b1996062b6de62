"""Make bundles of one generated shop, each with another student, and a store to promote them in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.bundles import size_words
from loadtest.errors import LoadTestError

SPOILT = "user_tower.onnx"
N_IDS = 2000


class BundlesMissing(LoadTestError):
    """The bundles could not be made; the command's output is above."""


@dataclass(frozen=True)
class DrillStore:
    """A store of bundles for a drill.

    good: versions in the order in which they are promoted. bad: one that does not verify, "" for none. people, items:
    ids.
    """

    folder: Path
    good: list[str]
    bad: str
    people: list[str]
    items: list[str]

    def current(self) -> str:
        """Return the promoted version."""
        return (self.folder / "current").read_text().split()[0]

    def put_by_hand(self, version: str) -> str:
        """Write `current` by hand, without verification, and return its text from before."""
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
        """Return the bytes on disk of one good bundle."""
        return sum(file.stat().st_size for file in (self.folder / self.good[0]).iterdir())


def kept_bundles(
    folder: Path, n_items: int, n_people: int, n_bundles: int, say: Callable[[str], object]
) -> list[Path]:
    """Return bundles of this size; make those that are missing or of an older format."""
    store = folder / f"{size_words(n_items)}x{size_words(n_people)}"
    if store.exists() and "unusable" in _python("models", "list", f"--store={store}"):
        shutil.rmtree(store)
    for seed in range(len(_versions(store)), n_bundles):
        say(f"making bundle {seed + 1} of {n_bundles} in {store}; it is kept")
        size = [f"--items={n_items}", f"--people={n_people}", f"--student-seed={seed}"]
        _python("training", "scale-bundle", *size, f"--store={store}", "--no-promote")
    return _versions(store)[:n_bundles]


def lay_out(
    bundles: list[Path],
    folder: Path,
    *,
    spoils_last: bool = True,
    ids: tuple[list[str], list[str]] | None = None,
) -> DrillStore:
    """Lay out a store of these bundles' files, with the first one promoted.

    spoils_last: damage the last one by a bit. ids: of people and items, if they are known already.
    """
    folder.mkdir(parents=True)
    for bundle in bundles:
        put(bundle, folder)
    names = [bundle.name for bundle in bundles]
    good, bad = (names[:-1], names[-1]) if spoils_last else (names, "")
    if bad:
        spoil(folder / bad)
    (folder / "current").write_text(f"{good[0]}\n")
    people, items = ids or ids_in(folder)
    return DrillStore(folder, good, bad, people, items)


def ids_in(store: Path) -> tuple[list[str], list[str]]:
    """Return the first people and items of the promoted bundle."""
    people, items = (
        _python("models", "ids", f"--{kind}", f"--limit={N_IDS}", f"--store={store}").splitlines()
        for kind in ("people", "items")
    )
    return people, items


def put(bundle: Path, store: Path) -> None:
    """Put a bundle into a store, which shares its files."""
    shutil.copytree(bundle, store / bundle.name, copy_function=_link)


def spoil(bundle: Path) -> None:
    """Flip one bit in this bundle alone."""
    spoilt = bundle / SPOILT
    content = bytearray(spoilt.read_bytes())
    content[len(content) // 2] ^= 1
    spoilt.unlink()
    spoilt.write_bytes(bytes(content))


def _versions(store: Path) -> list[Path]:
    return sorted(manifest.parent for manifest in store.glob("[!.]*/manifest.json"))


def _link(source: str, target: str) -> None:
    """Link a file under two names; copy it only if the folders are on different disks."""
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
