"""Stores to measure with."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.bench.bundles import generated_shop, parse_size, shop_in, size_words
from loadtest.bench.errors import BenchFailed


@pytest.mark.parametrize(
    ("n", "words"), [(10_000, "10k"), (1_000_000, "1m"), (10_000_000, "10m"), (1_500, "1500")]
)
def test_sizes_are_written_and_read_back(n: int, words: str) -> None:
    assert size_words(n) == words
    assert parse_size(words) == n


@pytest.mark.parametrize("words", ["", "k", "0", "1g", "-5", "1.5m"])
def test_what_is_no_size_is_refused(words: str) -> None:
    with pytest.raises(BenchFailed, match="no size"):
        parse_size(words)


def test_a_store_gives_its_sizes_and_the_ids_to_ask_with(store: Path) -> None:
    shop = shop_in(store)
    assert (shop.size, shop.n_items, shop.n_people) == ("40", 40, 12)
    assert shop.people() == [f"user-{number}" for number in range(12)]
    assert shop.items()[:2] == ["item-0", "item-1"]
    version = (store / "current").read_text().split()[0]
    on_disk = sum(file.stat().st_size for file in (store / version).iterdir() if file.name != "manifest.json")
    assert shop.bundle_bytes() == on_disk
    assert shop.stated_recall() == 1.0


def test_ids_are_read_once_and_kept(store: Path) -> None:
    first = shop_in(store)
    first.people_file.write_text("kept\n")
    assert shop_in(store).people() == ["kept"]


def test_a_kept_bundle_is_not_made_again(store: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "10kx1m").symlink_to(store)
    said: list[str] = []
    assert generated_shop(10_000, 1_000_000, said.append, kept).size == "10k"
    assert said == []


def test_an_empty_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchFailed, match=f"no promoted bundle in {tmp_path}"):
        shop_in(tmp_path)
