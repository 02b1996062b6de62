"""The README's notebook, run as it stands, and what it says of libraries."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import stillroom
from models.bundles.bundle import write_bundle
from models.bundles.registry import Registry
from stillroom import Model
from tests.support.blocks import N_ITEMS, block_of_item, block_shop
from tests.support.bundles import tiny_contents
from tests.support.repository import ROOT
from tests.support.settings import FEW_MEMBERS
from tests.test_arrows import HEAVY
from training.base.errors import SettingsInvalid
from training.generator.generator import generate_shop
from training.generator.settings import GeneratorSettings

FEW = tomllib.loads(FEW_MEMBERS) | {"certification": {"speed_tie": 1.0}}
"""Settings as a notebook gives them; size decides what ships, since a busy machine measures other speeds."""

LOAD_AND_ASK = """
import sys
import stillroom
assert stillroom.load_bundle(sys.argv[1]).recommend(limit=3)
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""

READ_WITHOUT_POLARS = """
import sys
sys.modules["polars"] = None
import stillroom
try:
    stillroom.read_shop("anything")
except stillroom.TrainingMissing as error:
    print(error)
"""


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, timeout=120).stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("trained")
    return stillroom.train(
        block_shop(), store=folder / "store", runs=folder / "runs", settings=FEW, seed=5, promote=True
    )


def test_the_readmes_notebook_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    section = (ROOT / "README.md").read_text().partition("## In a notebook\n")[2].partition("\n## ")[0]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert code is not None
    monkeypatch.chdir(tmp_path)
    quicker = FEW | {"distill": {"n_epochs": 4, "batch_size": 64}}  # quick takes minutes
    monkeypatch.setattr("training.recipe.settings.QUICK", quicker)
    generate_shop(
        GeneratorSettings(n_people=220, n_items=80, mean_events_per_person=60.0), Path("data/demo-shop")
    )
    names: dict[str, object] = {}
    exec(compile(code[1], "README.md", "exec"), names)
    *answer, figures = capsys.readouterr().out.splitlines()
    assert len(answer) == 3
    assert all(0 < float(figure) < 1 for figure in figures.split())
    assert isinstance(names["same"], Model)
    assert not Registry(Path("models/notebook")).promotions()


def test_a_trained_model_recommends_what_belongs_to_a_person(trained: Model) -> None:
    items = trained.bundle.items.vocabulary
    found = [items.find(each.item_id) for each in trained.recommend("user-001", limit=5)]
    blocks = [block_of_item(row) for row in found if row is not None and row < N_ITEMS]
    assert blocks.count(1) >= 4


def test_a_trained_model_is_promoted_if_asked(trained: Model) -> None:
    assert Registry(trained.bundle.path.parent).current() == trained.version


def test_settings_are_those_of_the_bundle(trained: Model) -> None:
    settings = trained.bundle.manifest.training.settings
    assert (settings["seed"], settings["als"]["n_factors"]) == (5, FEW["als"]["n_factors"])


def test_a_bundle_knows_what_was_measured(trained: Model) -> None:
    assert trained.metrics["next_basket"]["student_shipped"]["auc"] > 0.5


def test_evaluation_gives_figures_by_model(trained: Model) -> None:
    figures = stillroom.evaluate(block_shop(), protocol="next_basket", settings=FEW, seed=5)
    assert figures == trained.metrics["next_basket"]


def test_a_setting_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="nonsense"):
        stillroom.train(block_shop(), settings={"nonsense": 1})


def test_columns_of_a_shop_are_mapped(tmp_path: Path) -> None:
    events = block_shop().events.rename({"user_id": "customer"})
    events.write_parquet(tmp_path / "orders.parquet")
    shop = stillroom.read_shop(tmp_path / "orders.parquet", columns={"user_id": "customer"})
    assert shop.events.height == events.height


def test_loading_and_recommending_need_no_training_library(tmp_path: Path) -> None:
    path = write_bundle(tmp_path, tiny_contents())
    loaded = set(run(LOAD_AND_ASK, str(path)).split())
    assert {"stillroom", "models", "onnxruntime"} <= loaded
    assert not loaded & {*HEAVY, "training", "service", "rich"}


def test_what_is_not_installed_is_said() -> None:
    said = run(READ_WITHOUT_POLARS)
    assert "polars is not installed" in said
    assert "stillroom[training]" in said
