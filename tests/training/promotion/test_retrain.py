"""Train, compare, and promote or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from models.bundles.registry import Registry
from models.errors import BundleError
from tests.support.blocks import START, block_shop
from tests.support.bundles import LATEST, N_BLOCKS
from tests.support.settings import FEW_MEMBERS
from tests.training.promotion.bundles import block_bundle
from tests.training.promotion.exports import event, write_part
from training.__main__ import app
from training.base.errors import NothingFresh
from training.base.progress import Stages
from training.base.runs import Run
from training.commands.promotion import NOT_PROMOTED
from training.data.read import ShopFiles
from training.pipeline.train import Trained
from training.promotion.retrain import DECISION_FILE, PromotionDecision, retrain
from training.recipe.promotion import PromotionSettings
from training.recipe.settings import TrainingSettings

DAY = 86_400
FRESH = LATEST + 3 * DAY
"""After the last event that the bundles know of."""


class Retraining:
    """A store with a bundle in service, a history, and a training that brings the bundle it is told to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.in_service = block_bundle(self.store)
        Registry(self.store).promote(self.in_service)
        self.candidate = ""
        self.settings: list[TrainingSettings] = []
        self.meanwhile: str | None = None
        monkeypatch.setattr("training.promotion.retrain.train", self._train)

    def write_history(self, fresh_until: int = FRESH + 30 * DAY) -> None:
        """80 people with nine items of their block each, the last four of them after what the bundles know."""
        rows = []
        for person in range(80):
            for step in range(9):
                time = person + (LATEST - 8 * DAY + step * DAY if step < 5 else FRESH + step * DAY)
                if time <= fresh_until:
                    item = person % N_BLOCKS + N_BLOCKS * ((person // N_BLOCKS + step) % 10)
                    rows.append((f"person-{person:02}", f"item-{item}", time))
        rows += [("someone", f"item-{item % 40}-bis", LATEST - 20 * DAY + item) for item in range(40)]
        rows.append(("someone", "item-0-bis", LATEST + 2 * DAY))  # when the bundles' last event was
        (self.folder / "history").mkdir(exist_ok=True)
        table = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
        table.write_parquet(self.folder / "history" / "interactions.parquet")

    def run(self, settings: TrainingSettings | None = None, **how: Any) -> PromotionDecision:
        return retrain(
            ShopFiles(self.folder / "history").read(),
            None,
            settings or TrainingSettings(),
            Stages(Console(quiet=True)),
            store=self.store,
            runs=self.folder / "runs",
            console=Console(quiet=True),
            **how,
        )

    @property
    def current(self) -> str:
        return Registry(self.store).current()

    def _train(self, shop: object, settings: TrainingSettings, **how: Any) -> Trained:
        self.settings.append(settings)
        if self.meanwhile is not None:
            Registry(self.store).promote(self.meanwhile)
        return Trained(Run.create(how["runs"]), self.store / self.candidate)


@pytest.fixture
def retraining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Retraining:
    made = Retraining(tmp_path, monkeypatch)
    made.write_history()
    return made


def test_candidate_that_is_not_worse_is_promoted(retraining: Retraining) -> None:
    retraining.candidate = block_bundle(retraining.store, day=2)
    decision = retraining.run()
    assert decision.is_promoted
    assert retraining.current == retraining.candidate
    record = json.loads((decision.trained.run.folder / DECISION_FILE).read_text())
    assert (record["candidate"], record["in_service"]) == (retraining.candidate, retraining.in_service)
    assert record["is_promoted"]
    assert record["comparison"]["interval"] == [0.0, 0.0]
    assert record["fresh_since"] >= "2023-11-17"  # after LATEST and two days


def test_worse_candidate_stays_in_the_store_and_it_is_said_by_how_much(retraining: Retraining) -> None:
    retraining.candidate = block_bundle(retraining.store, day=2, is_right=False)
    decision = retraining.run()
    assert not decision.is_promoted
    assert retraining.current == retraining.in_service
    assert retraining.candidate in Registry(retraining.store).versions()
    assert decision.reason.startswith("worse: catalogue_ndcg@20 differs by -0.")
    everything_may_be_lost = TrainingSettings(promotion=PromotionSettings(max_loss=1.0))
    assert retraining.run(everything_may_be_lost).is_promoted


def test_slice_begins_after_the_last_event_that_the_bundle_in_service_has_seen(
    retraining: Retraining,
) -> None:
    retraining.write_history(fresh_until=FRESH + 5 * DAY + 39)
    retraining.candidate = block_bundle(retraining.store, day=2)
    decision = retraining.run()
    n_events, n_fresh = 80 * 5 + 41 + 40, 40
    [settings] = retraining.settings
    assert n_fresh / n_events - 1 / n_events < settings.split.test_share < n_fresh / n_events
    assert decision.comparison is not None
    assert decision.comparison.n_people == 40


def test_nothing_is_trained_where_nothing_or_too_little_is_fresh(retraining: Retraining) -> None:
    retraining.write_history(fresh_until=LATEST)
    with pytest.raises(NothingFresh, match="make export-events"):
        retraining.run()
    retraining.write_history(fresh_until=FRESH + 5 * DAY + 10)
    with pytest.raises(NothingFresh, match="at least 20 people"):
        retraining.run()
    assert retraining.settings == []


def test_nothing_is_promoted_that_was_compared_with_what_is_in_service_no_more(
    retraining: Retraining,
) -> None:
    retraining.candidate = block_bundle(retraining.store, day=2)
    retraining.meanwhile = block_bundle(retraining.store, day=3)
    decision = retraining.run()
    assert not decision.is_promoted
    assert "another bundle was promoted meanwhile" in decision.reason
    assert retraining.current == retraining.meanwhile


def test_comparing_alone_promotes_nothing(retraining: Retraining) -> None:
    retraining.candidate = block_bundle(retraining.store, day=2)
    decision = retraining.run(may_promote=False)
    assert decision.reason.endswith("not promoted, as asked")
    assert not decision.is_promoted
    assert retraining.current == retraining.in_service


def test_first_bundle_is_promoted_without_a_comparison(retraining: Retraining) -> None:
    retraining.candidate = block_bundle(retraining.store, day=2)
    (retraining.store / "current").unlink()
    decision = retraining.run()
    assert (decision.comparison, decision.is_promoted) == (None, True)
    assert retraining.settings == [TrainingSettings()]


def test_bundle_in_service_that_cannot_be_read_is_said_before_anything_is_trained(
    retraining: Retraining,
) -> None:
    tower = retraining.store / retraining.in_service / "user_tower.onnx"
    tower.write_bytes(tower.read_bytes()[:-1])
    with pytest.raises(BundleError):
        retraining.run()
    assert retraining.settings == []


def test_shop_is_retrained_with_what_its_live_log_exported_and_the_better_bundle_promoted(
    tmp_path: Path,
) -> None:
    """The whole way, without a stand-in. The bundle in service knows none of these items."""
    store, shop = tmp_path / "store", block_shop()
    Registry(store).promote(block_bundle(store))
    events = shop.events.with_columns(pl.col("time") + FRESH - (START + 13 * DAY))
    (tmp_path / "shop").mkdir()
    events.filter(pl.col("time") < FRESH).write_parquet(tmp_path / "shop" / "interactions.parquet")
    shop.items.write_parquet(tmp_path / "shop" / "items.parquet")
    rows = events.filter(pl.col("time") >= FRESH).select("user_id", "item_id", "time").rows()
    fresh = [msgspec.structs.replace(event(number, *row), request_id="r") for number, row in enumerate(rows)]
    write_part(tmp_path / "export", "interactions", fresh)
    (tmp_path / "small.toml").write_text(
        FEW_MEMBERS.replace("n_recovery_epochs = 2", "n_recovery_epochs = 1")
    )
    options = [
        "--store",
        str(store),
        "--runs",
        str(tmp_path / "runs"),
        "--settings",
        str(tmp_path / "small.toml"),
    ]
    again = ["retrain", str(tmp_path / "shop"), "--events", str(tmp_path / "export"), *options]
    done = CliRunner().invoke(app, again)
    assert done.exit_code == 0, done.output
    record = json.loads((Run.open(tmp_path / "runs" / "latest").folder / DECISION_FILE).read_text())
    assert Registry(store).promotions() == [record["candidate"], record["in_service"]]
    assert record["comparison"]["candidate"]["catalogue_ndcg@20"] > 0.2
    assert record["comparison"]["interval"][0] > 0
    assert record["prompted_share"] == 1.0
    assert "100% of what is compared on came from answers of the bundle in service" in done.output
    assert DECISION_FILE in done.output


def test_command_that_has_nothing_fresh_says_so_and_promotes_nothing(retraining: Retraining) -> None:
    retraining.write_history(fresh_until=LATEST)
    options = ["--store", str(retraining.store), "--runs", str(retraining.folder / "runs")]
    done = CliRunner().invoke(app, ["retrain", str(retraining.folder / "history"), *options])
    assert done.exit_code == NOT_PROMOTED, done.output
    assert "make export-events" in done.output


def test_command_that_promotes_nothing_says_so_by_its_exit_code(retraining: Retraining) -> None:
    retraining.candidate = block_bundle(retraining.store, day=2, is_right=False)
    options = ["--store", str(retraining.store), "--runs", str(retraining.folder / "runs")]
    done = CliRunner().invoke(app, ["retrain", str(retraining.folder / "history"), *options])
    assert done.exit_code == NOT_PROMOTED, done.output
    assert "worse: catalogue_ndcg@20" in done.output
    alone = ["retrain", str(retraining.folder / "history"), *options, "--no-promote"]
    assert CliRunner().invoke(app, alone).exit_code == 0
    assert f"python -m models promote {retraining.candidate}" in done.output
    assert (
        CliRunner()
        .invoke(app, ["retrain", str(retraining.folder / "history"), *options, "--max-loss", "1"])
        .exit_code
        == 0
    )
