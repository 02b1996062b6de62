import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.history import EventKind
from models.removals import RETURN
from training.base.errors import SettingsInvalid
from training.data.left_out import RETURNED
from training.data.read import read_shop
from training.data.returns import SENT_BACK
from training.data.shop import Shop, require_trainable
from training.generator.generator import generate_shop
from training.generator.settings import BOUNDS, GeneratorSettings

SMALL = GeneratorSettings(n_people=3_000, n_items=600, n_categories=6, people_per_chunk=1_000, n_days=90)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_shop(SMALL, tmp_path_factory.mktemp("shops") / "small")


@pytest.fixture(scope="module")
def shop(folder: Path) -> Shop:
    return read_shop(folder)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("side", [0, 1])
def test_setting_out_of_bounds_is_refused_by_name(name: str, side: int) -> None:
    beyond = BOUNDS[name][side] + (1 if side else -1)
    with pytest.raises(SettingsInvalid, match=f"{name} is"):
        GeneratorSettings(**{name: beyond})  # type: ignore[arg-type]


def test_every_category_needs_an_item() -> None:
    with pytest.raises(SettingsInvalid, match="each category needs an item"):
        GeneratorSettings(n_items=5, n_categories=6)


def test_only_returns_are_dropped_when_read_back_and_it_is_trainable(folder: Path, shop: Shop) -> None:
    require_trainable(shop)
    returns = pl.read_parquet(folder / "interactions").filter(kind=RETURN)
    assert shop.dropped.n_dropped == shop.dropped.dropped[RETURNED] == returns.height > 0
    assert shop.dropped.notes == {SENT_BACK: returns.height}
    assert (shop.n_people, shop.items.height) == (3_000, 600)


def test_summary_holds_the_settings_and_the_number_of_events(folder: Path, shop: Shop) -> None:
    summary = json.loads((folder / "shop.json").read_text())
    assert summary["n_events"] == shop.dropped.n_read
    assert GeneratorSettings(**summary["settings"]) == SMALL


def test_people_are_written_in_chunks(folder: Path) -> None:
    parts = sorted(path.name for path in (folder / "interactions").iterdir())
    assert parts == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]


def test_same_seed_gives_the_same_shop(tmp_path: Path, shop: Shop) -> None:
    again = read_shop(generate_shop(SMALL, tmp_path / "again"))
    assert again.events.equals(shop.events)
    assert again.items.equals(shop.items)


def test_another_seed_gives_another_shop(tmp_path: Path, shop: Shop) -> None:
    other = GeneratorSettings(n_people=3_000, n_items=600, n_categories=6, seed=1)
    assert not read_shop(generate_shop(other, tmp_path / "other")).events.equals(shop.events)


def test_events_a_person_are_near_the_mean_requested(shop: Shop) -> None:
    assert shop.events.height / shop.n_people == pytest.approx(SMALL.mean_events_per_person, rel=0.1)


def test_all_four_kinds_occur_in_the_order_of_a_funnel(shop: Shop) -> None:
    counts = dict(shop.events["kind"].value_counts().rows())
    funnel = [counts[kind] for kind in (EventKind.VIEW, EventKind.CLICK, EventKind.CART, EventKind.PURCHASE)]
    assert funnel == sorted(funnel, reverse=True)
    assert EventKind.RATING not in counts


def test_a_return_has_the_price_of_its_item(folder: Path) -> None:
    returns = pl.read_parquet(folder / "interactions").filter(kind=RETURN)
    priced = returns.join(pl.read_parquet(folder / "items.parquet"), on="item_id")
    assert (priced["value"] == priced["price"]).all()


def test_nobody_touches_an_item_before_it_arrives(folder: Path, shop: Shop) -> None:
    arrivals = pl.read_parquet(folder / "items.parquet").select("item_id", "arrival_time")
    touched = shop.events.join(arrivals, on="item_id")
    assert (touched["time"] >= touched["arrival_time"]).all()
    assert (arrivals["arrival_time"] > SMALL.start_time).mean() == pytest.approx(
        SMALL.new_item_share, abs=0.05
    )


def test_events_stay_in_the_period(shop: Shop) -> None:
    days = (shop.events["time"] - SMALL.start_time) / 86_400
    assert days.min() >= 0  # type: ignore[operator]
    assert days.max() < SMALL.n_days + 1  # type: ignore[operator]


def test_attention_is_unequal(shop: Shop) -> None:
    counts = shop.events["item_id"].value_counts(sort=True)["count"]
    assert counts.head(60).sum() > 0.25 * shop.events.height


def test_text_tells_the_category(shop: Shop) -> None:
    assert shop.items.select(pl.col("text").str.contains(pl.col("category"), literal=True).all()).item()


def hits_at_20(shop: Shop, *, personal: bool) -> float:
    """Share of people whose last new item is among 20, by popularity or by items seen together.

    The plainest of collaborative models: cosine of item co-occurrence, summed over a person's items.
    """
    views = shop.events.filter(kind=EventKind.VIEW.value).unique(["user_id", "item_id"], maintain_order=True)
    people = views["user_id"].rank("dense").to_numpy().astype(np.int64) - 1
    items = views["item_id"].rank("dense").to_numpy().astype(np.int64) - 1
    is_last = np.diff(people, append=-1) != 0
    user_items = np.zeros((people.max() + 1, items.max() + 1), np.float32)
    user_items[people[~is_last], items[~is_last]] = 1
    popularity = user_items.sum(axis=0)
    together = user_items.T @ user_items
    np.fill_diagonal(together, 0)
    norms = np.sqrt(popularity + 10)
    scores = (
        user_items @ (together / norms / norms[:, None])
        if personal
        else np.tile(popularity, (len(user_items), 1))
    )
    scores[user_items > 0] = -np.inf
    held_out = items[is_last]
    targets = scores[np.arange(len(held_out)), held_out]
    return float(((scores > targets[:, None]).sum(axis=1) < 20).mean())


def test_what_similar_people_do_predicts_far_better_than_popularity(shop: Shop) -> None:
    assert hits_at_20(shop, personal=True) > 2 * hits_at_20(shop, personal=False)


def test_progress_counts_people(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    tiny = GeneratorSettings(n_people=25, n_items=20, people_per_chunk=10)
    generate_shop(tiny, tmp_path / "tiny", lambda *progress: seen.append(progress))
    assert seen == [(10, 25), (20, 25), (25, 25)]


def test_folder_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="exists already"):
        generate_shop(SMALL, tmp_path)


def test_interrupted_run_leaves_no_folder_under_its_name(tmp_path: Path) -> None:
    def interrupt(n_done: int, n_people: int) -> None:
        raise KeyboardInterrupt

    tiny = GeneratorSettings(n_people=25, n_items=20)
    with pytest.raises(KeyboardInterrupt):
        generate_shop(tiny, tmp_path / "tiny", interrupt)
    assert not (tmp_path / "tiny").exists()
    generate_shop(tiny, tmp_path / "tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


extremes = st.fixed_dictionaries(
    {
        "n_people": st.integers(1, 30),
        "n_items": st.integers(12, 60),
        "mean_events_per_person": st.floats(1, 40),
        "n_days": st.integers(1, 30),
        "taste_drift": st.floats(0, 1),
        "taste_strength": st.floats(0, 5),
        "popularity_exponent": st.sampled_from([0.0, 0.5, 1.0, 2.0]),
        "new_item_share": st.floats(0, 0.9),
        "consumable_share": st.floats(0, 1),
        "return_rate": st.floats(0, 0.5),
        "people_per_chunk": st.integers(1, 30),
    }
)


@given(extremes)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_settings_within_bounds_make_a_readable_shop(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, int]
) -> None:
    chosen = GeneratorSettings(**values)
    shop = read_shop(generate_shop(chosen, tmp_path_factory.mktemp("any") / "shop"))
    assert (shop.n_people, shop.items.height) == (chosen.n_people, chosen.n_items)
    assert shop.dropped.n_dropped == shop.dropped.dropped[RETURNED]
