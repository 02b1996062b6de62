"""What a report calls "as shipped" is what `train` wrote into a bundle: both run here, on one shop with one seed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.bundles.bundle import read_manifest
from models.bundles.registry import Registry
from tests.support.blocks import block_shop
from tests.support.settings import SMALL
from training.__main__ import app
from training.base.runs import Run
from training.evaluation.page.render import render
from training.evaluation.page.report import assemble
from training.quality.schema import Quality
from training.recipe.settings import ALL_MEMBERS, EARNING

ONE_VERSION = """
[certification]
speed_tie = 1.0
[tuning]
seconds_per_member = 0.01
max_trials = 1
"""
"""No pruning, and of versions that are nearly as fast the smallest ships: a busy processor decides nothing."""


def run(folder: Path, command: str, *options: str) -> None:
    settings = folder / "small.toml"
    settings.write_text(SMALL.replace("n_points = 1", "n_points = 0") + ONE_VERSION)
    arguments = [
        str(folder / "shop"),
        "--settings",
        str(settings),
        "--seed",
        "5",
        "--runs",
        str(folder / command),
    ]
    finished = CliRunner().invoke(app, [command, *arguments, *options], catch_exceptions=False)
    assert finished.exit_code == 0, finished.output


def evaluation_of(runs: Path) -> Quality:
    return Run.open(runs / "latest").evaluation()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block shop on disk."""
    folder, shop = tmp_path_factory.mktemp("as-shipped"), block_shop()
    (folder / "shop").mkdir()
    shop.events.write_parquet(folder / "shop" / "interactions.parquet")
    shop.items.write_parquet(folder / "shop" / "items.parquet")
    return folder


@pytest.fixture(scope="module")
def shipped(folder: Path) -> dict[str, dict[str, float]]:
    """Metrics by model in the manifest of the bundle that `train` wrote."""
    run(folder, "train", "--store", str(folder / "store"))
    registry = Registry(folder / "store")
    return read_manifest(registry.path(registry.current())).training.metrics["next_basket"]


@pytest.fixture(scope="module")
def evaluated(folder: Path) -> Quality:
    run(folder, "evaluate", "--protocol", "next_basket")
    return evaluation_of(folder / "evaluate")


def test_what_evaluate_calls_shipped_is_in_the_manifest_of_the_bundle(
    shipped: dict[str, dict[str, float]], evaluated: Quality
) -> None:
    measured = evaluated.protocols["next_basket"].models
    assert set(measured) > set(shipped)
    assert {name: measured[name] for name in shipped} == shipped


def test_members_that_do_not_ship_are_measured_beside(evaluated: Quality) -> None:
    beside = [name for name in ALL_MEMBERS if name not in EARNING]
    assert evaluated.recipe is not None
    assert evaluated.recipe.beside == beside
    assert set(beside) <= set(evaluated.protocols["next_basket"].models)


def test_nothing_of_tuned_members_is_called_shipped(folder: Path) -> None:
    run(folder, "evaluate", "--protocol", "next_basket", "--tune")
    evaluation = evaluation_of(folder / "evaluate")
    assert evaluation.recipe is not None
    assert evaluation.recipe.is_tuned
    assert set(evaluation.tuning["next_basket"]) == set(ALL_MEMBERS)
    assert "student_tuned" in evaluation.protocols["next_basket"].models
    page = render(assemble(evaluation, {}))
    assert "student_shipped" not in assemble(evaluation, {}).to_json()
    assert "as shipped" not in page.lower()
