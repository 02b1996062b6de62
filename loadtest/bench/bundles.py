"""Provide bundles to measure with, made once by `python -m training scale-bundle` and kept in a folder each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.bench.errors import BenchFailed

BUNDLES = Path("data/bench")
N_PEOPLE_IDS = 300_000
"""Number of people who can be requested: the known ones, and fresh ones for every round."""

N_ITEM_IDS = 20_000
SUFFIXES = {"k": 1_000, "m": 1_000_000}


@dataclass(frozen=True)
class Shop:
    """A store with one promoted bundle, and the ids to ask with.

    n_people: of the bundle; people and items are files of ids, one per line.
    """

    size: str
    n_items: int
    n_people: int
    store: Path
    people_file: Path
    items_file: Path
    manifest: dict[str, Any]

    def people(self) -> list[str]:
        """Ids of people, in row order."""
        return self.people_file.read_text().splitlines()

    def items(self) -> list[str]:
        """Ids of items, by falling popularity."""
        return self.items_file.read_text().splitlines()

    def bundle_bytes(self) -> int:
        """Return the bytes on disk of all files together."""
        return sum(int(entry["size_bytes"]) for entry in self.manifest["files"].values())

    def stated_recall(self) -> float | None:
        """Return recall@100 of the search as training measured it; None if the manifest does not state it."""
        index = self.manifest["student"].get("index")
        return None if index is None else float(index["recall"])


def size_words(n: int) -> str:
    """Write 10_000 as "10k", 1_000_000 as "1m", 1_500 as "1500"."""
    for suffix, unit in reversed(SUFFIXES.items()):
        if n >= unit and n % unit == 0:
            return f"{n // unit}{suffix}"
    return str(n)


def parse_size(words: str) -> int:
    """Read what `size_words` wrote. Raises BenchFailed for anything else."""
    number, unit = (words[:-1], SUFFIXES[words[-1]]) if words[-1:] in SUFFIXES else (words, 1)
    if not number.isdigit() or not int(number):
        raise BenchFailed(f"{words!r} is no size; write 10k, 100k, 1m or a plain number")
    return int(number) * unit


def generated_shop(n_items: int, n_people: int, say: Callable[[str], None], folder: Path = BUNDLES) -> Shop:
    """Return the kept shop of this size, or make it if it is not there. Raises BenchFailed if that fails."""
    size = size_words(n_items)
    store = folder / f"{size}x{size_words(n_people)}"
    if not (store / "current").exists():
        say(f"making a bundle of {n_items:,} items and {n_people:,} people in {store}; it is kept")
        _python("training", "scale-bundle", f"--items={n_items}", f"--people={n_people}", f"--store={store}")
    return shop_in(store, size)


def shop_in(store: Path, size: str | None = None) -> Shop:
    """Return the promoted bundle of a store. size: its name in the report; by default, made from its items."""
    try:
        version = (store / "current").read_text().split()[0]
        manifest = json.loads((store / version / "manifest.json").read_text())
    except (OSError, IndexError) as error:
        raise BenchFailed(f"no promoted bundle in {store}: {error}") from error
    n_items, n_people = manifest["items"]["n_ids"], manifest["people"]["n_ids"]
    return Shop(
        size or size_words(n_items),
        n_items,
        n_people,
        store,
        people_file=_ids_file(store, version, "people", N_PEOPLE_IDS),
        items_file=_ids_file(store, version, "items", N_ITEM_IDS),
        manifest=manifest,
    )


def _ids_file(store: Path, version: str, kind: str, limit: int) -> Path:
    """Return a file of a bundle's ids, kept beside it because reading them means verifying the bundle."""
    file = store / f"ids-{version}-{kind}.txt"
    if not file.exists():
        file.write_text(_python("models", "ids", f"--{kind}", f"--limit={limit}", f"--store={store}"))
    return file


def _python(module: str, *words: str) -> str:
    done = subprocess.run([sys.executable, "-m", module, *words], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise BenchFailed(f"`python -m {module} {' '.join(words)}` ended with {done.returncode}; see above")
    return done.stdout
