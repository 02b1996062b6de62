"""A shop whose item table lost items that people had bought: learned from, and in no answer of the bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from models.bundles.bundle import Bundle, read_bundle
from models.bundles.registry import Registry
from models.history import EventKind
from service.bundles.serving import ServingBundle
from tests.support.blocks import may_be_recommended, shop_with_items_gone
from tests.support.service import ids_of, running
from tests.support.settings import FEW_MEMBERS
from training.__main__ import app
from training.base.progress import Stages
from training.base.runs import Run
from training.pipeline.train import prepare
from training.quality.schema import Quality
from training.recipe.settings import TrainingSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a shop on disk, trained on; output.txt is what the command printed."""
    folder, shop = tmp_path_factory.mktemp("items-gone"), shop_with_items_gone()
    (folder / "shop").mkdir()
    again = shop.events.head(1).with_columns(kind=pl.lit(EventKind.CART, pl.UInt8), time=pl.col("time") + 60)
    pl.concat([shop.events, again]).write_parquet(folder / "shop" / "interactions.parquet")
    in_table = shop.items.filter("is_listed").with_columns(availability="available")
    in_table.drop("is_listed", "available").write_csv(folder / "shop" / "items.csv")
    (folder / "few.toml").write_text(FEW_MEMBERS)
    arguments = [
        str(folder / "shop"),
        "--settings",
        str(folder / "few.toml"),
        "--store",
        str(folder / "store"),
    ]
    command = ["train", *arguments, "--runs", str(folder / "runs")]
    finished = CliRunner().invoke(app, command, catch_exceptions=False)
    assert finished.exit_code == 0, finished.output
    (folder / "output.txt").write_text(finished.output)
    return folder


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    registry = Registry(folder / "store")
    return read_bundle(registry.path(registry.current()))


@pytest.fixture(scope="module")
def evaluation(folder: Path) -> Quality:
    return Run.open(folder / "runs" / "latest").evaluation()


def test_the_command_says_how_many_items_may_be_recommended(folder: Path) -> None:
    said = "53 of 61 items may be recommended; 4 are not available, 4 have no row in the item table"
    assert said in (folder / "output.txt").read_text()


def test_the_bundle_has_every_item_and_says_which_may_be_recommended(bundle: Bundle) -> None:
    item_ids = bundle.items.vocabulary.ids_of(range(len(bundle.items)))
    assert len(item_ids) == 61
    assert bundle.items.available.tolist() == [may_be_recommended(item_id) for item_id in item_ids]


def test_what_is_gone_is_learned_from(bundle: Bundle) -> None:
    touched = np.unique(bundle.people.histories.item_indices)
    assert (~bundle.items.available[touched]).sum() == 8
    gone = np.flatnonzero(~bundle.items.available)
    assert (bundle.items.popularity[gone] > 0).all()


def test_a_segments_list_begins_with_what_may_be_recommended(bundle: Bundle) -> None:
    for ranked in bundle.items.segment_popular:
        available = bundle.items.available[ranked[ranked >= 0]]
        assert available.tolist() == sorted(available.tolist(), reverse=True)
    assert not bundle.items.available[bundle.items.segment_popular[bundle.items.segment_popular >= 0]].all()


def test_no_golden_request_was_answered_with_what_is_gone(bundle: Bundle) -> None:
    serving = ServingBundle(bundle)
    serving.replay_golden()
    serving.load_variants()
    answered = {item for request in bundle.golden.requests for item in request.item_indices}
    assert bundle.items.available[list(answered)].all()


async def test_the_service_recommends_nothing_that_is_gone(folder: Path, bundle: Bundle) -> None:
    async with running(folder / "store") as service:
        people = bundle.people.people.ids_of(range(40))
        answers = [await service.recommend(user_id=user_id, limit=10) for user_id in people]
        similar = [await service.post("/similar", {"item_id": f"item-{item:03}"}) for item in range(60)]
    answered = {item_id for answer in (*answers, *similar) for item_id in ids_of(answer)}
    assert all(len(answer["items"]) == 10 for answer in answers)
    assert all(may_be_recommended(item_id) for item_id in answered)


def test_what_somebody_bought_is_kept_below_the_cart_that_it_lies_in_again(bundle: Bundle) -> None:
    """The cart may be taken back, and then it counts as bought."""
    event = shop_with_items_gone().events.row(0, named=True)
    history, item = bundle.people.find(event["user_id"]), bundle.items.vocabulary.find(event["item_id"])
    assert history is not None
    kinds = history.kinds[history.item_indices == item].tolist()
    assert kinds == [EventKind.PURCHASE, EventKind.CART]


def test_the_run_tells_what_was_not_evaluated(evaluation: Quality) -> None:
    split, data = evaluation.protocols["next_basket"].split, evaluation.data
    assert data is not None
    assert split.n_recommendable_items == data.n_recommendable_items == 53
    assert split.left_out is not None
    assert split.left_out.test.items > 0
    assert split.left_out.validation.items > 0


def test_a_setting_lets_items_without_a_row_be_recommended() -> None:
    shop, stages = shop_with_items_gone(), Stages(Console(quiet=True))
    usual, unlisted_too = (
        prepare(shop, TrainingSettings(recommend_unlisted=setting), stages).catalogue.recommendable
        for setting in (False, True)
    )
    assert (usual.sum(), unlisted_too.sum()) == (53, 57)
