"""The whole way, small: a shop's files in, a promoted bundle and a report out, through the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.bundles.bundle import Bundle, read_bundle
from models.bundles.golden import replay_golden
from models.bundles.registry import Registry
from tests.support.blocks import N_ITEMS, block_of_item, block_shop
from tests.support.settings import SMALL
from training.__main__ import app
from training.base.errors import SettingsInvalid, SourceUnreadable, TooLittleData
from training.base.runs import Run
from training.evaluation.requirements import REQUIREMENTS
from training.quality.figures import ColumnUse
from training.recipe.settings import EARNING

MODELS = {
    "random",
    "popular",
    "popular_week",
    "most_taken",
    "most_taken_then_popular",
    "last_looked_at",
    "tifu_knn",
    *EARNING,
    "ensemble",
    "student",
    "student_pruned",
    "student_shipped",
}
METRICS = {
    "accuracy",
    "auc",
    "hr@10",
    "ndcg@10",
    "catalogue_recall@20",
    "catalogue_capped_recall@20",
    "catalogue_ndcg@20",
    "catalogue_hr@10",
    "catalogue_recall@10",
    "catalogue_ndcg@10",
    "coverage",
    "novelty",
    "popularity_bias",
}
FIGURES = {"latency_p50_ms", "latency_p99_ms", "size_bytes", "peak_memory_bytes", "cost_per_request_usd"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block shop on disk, trained on."""
    folder = tmp_path_factory.mktemp("whole-way")
    shop = block_shop()
    (folder / "shop").mkdir()
    shop.events.write_parquet(folder / "shop" / "interactions.parquet")
    shop.items.write_parquet(folder / "shop" / "items.parquet")
    # Which version ships is decided by size: by speed, a busy machine may ship another one of the same seed.
    (folder / "small.toml").write_text(f"{SMALL}\n[certification]\nspeed_tie = 1.0\n")
    finished = run(
        folder, "train", str(folder / "shop"), "--settings", str(folder / "small.toml"), "--seed", "5"
    )
    assert finished.exit_code == 0, finished.output
    (folder / "output.txt").write_text(finished.output)
    return folder


def run(folder: Path, command: str, *arguments: str):  # type: ignore[no-untyped-def]  # typer's Result is untyped
    options = ["--store", str(folder / "store"), "--runs", str(folder / "runs")] if command == "train" else []
    return CliRunner().invoke(app, [command, *arguments, *options], catch_exceptions=False)


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    registry = Registry(folder / "store")
    return read_bundle(registry.path(registry.current()))


def test_the_run_says_what_each_stage_took(folder: Path) -> None:
    run_folder = Run.open(folder / "runs" / "latest").folder
    rows = json.loads((run_folder / "stages.json").read_text())
    names = [row["name"] for row in rows]
    expected = ["index", "split", *EARNING, "pairs", "choice", "thresholds", *EARNING, "labels", "distil"]
    assert [name for name in names if name in expected] == expected
    assert all(row["seconds"] > 0 and row["peak_memory_bytes"] > 0 for row in rows)


def test_the_new_bundle_is_promoted_and_answers_its_golden_requests(bundle: Bundle) -> None:
    assert len(bundle.golden.requests) > 1
    assert len(bundle.golden.texts) > 1
    replay_golden(bundle.load_student(), bundle.text_encoder, bundle.golden)


def test_the_new_bundle_carries_the_ensemble_that_was_measured(bundle: Bundle) -> None:
    variants, training = bundle.load_variants(), bundle.manifest.training
    assert variants.names[-1] == "ensemble"
    assert set(variants.names) <= set(training.metrics["next_basket"])
    assert training.ensemble is not None
    assert bundle.manifest.variants is not None
    assert bundle.manifest.variants.strategies[0] == training.ensemble.strategy


def test_the_bundle_recommends_the_persons_block(bundle: Bundle) -> None:
    student = bundle.load_student()
    histories = [bundle.people.histories[row] for row in range(40)]
    seen = [history.item_indices for history in histories]
    top = student.recommend(histories, 1, blocked=seen).item_indices[:, 0]
    right = [block_of_item(int(item)) == person % 4 for person, item in enumerate(top)]
    assert np.mean(right) > 0.9


def test_histories_in_the_bundle_reach_to_the_last_event(bundle: Bundle) -> None:
    assert bundle.people.histories.times.max() == block_shop().events["time"].max()


def test_the_manifest_tells_where_the_bundle_came_from(bundle: Bundle) -> None:
    entry = bundle.manifest.training
    assert entry.seed == 5
    assert entry.settings["als"]["n_factors"] == 8
    assert set(entry.metrics["next_basket"]) == MODELS
    assert bundle.manifest.student.precision in bundle.manifest.student.reason
    assert len(bundle.items) == N_ITEMS + 1


def test_the_run_keeps_the_command_that_repeats_it(folder: Path) -> None:
    command = Run.open(folder / "runs" / "latest").evaluation().command
    assert command == f"python -m training train {folder / 'shop'} --seed 5 --settings settings.toml"


def test_every_column_is_printed_with_its_use(folder: Path) -> None:
    assert (
        "interactions.parquet: user_id (person), item_id (item), time (time)"
        in (folder / "output.txt").read_text()
    )


def test_the_run_keeps_every_column_and_its_use(folder: Path) -> None:
    data = Run.open(folder / "runs" / "latest").evaluation().data
    assert data is not None
    assert ColumnUse("interactions.parquet", "user_id", "person") in data.columns
    assert [use.column for use in data.columns if use.table == "items.parquet"] == block_shop().items.columns


def test_the_ensemble_beats_chance_and_the_student_follows_it(folder: Path) -> None:
    models = Run.open(folder / "runs" / "latest").evaluation().protocols["next_basket"].models
    assert models["ensemble"]["auc"] > 0.9 > models["popular"]["auc"]
    # Of two hundred short histories, so small a student also has to learn that nothing comes back here.
    assert models["student"]["catalogue_ndcg@20"] > 0.8 * models["ensemble"]["catalogue_ndcg@20"]


def test_the_report_has_every_promised_key(folder: Path) -> None:
    finished = run(
        folder, "report", "--run", str(folder / "runs" / "latest"), "--out", str(folder / "reports")
    )
    assert finished.exit_code == 0, finished.output
    quality = json.loads((folder / "reports" / "quality.json").read_text())
    assert quality["schema_version"] == 1
    models = quality["protocols"]["next_basket"]["models"]
    assert set(models) == MODELS
    assert all(set(values) == METRICS for values in models.values())
    assert set(quality["serving"]) == {"ensemble", "student", "student_pruned", "student_shipped"}
    assert all(set(figures) >= FIGURES for figures in quality["serving"].values())
    assert {row["figure"] for row in quality["requirements"]} == set(REQUIREMENTS)
    page = (folder / "reports" / "quality.html").read_text()
    assert "<svg" in page
    assert "<script" not in page
    assert not re.search(r"http://(?!www\.w3\.org|purl\.org|creativecommons\.org)", page)


def test_the_same_seed_makes_the_same_student(folder: Path, bundle: Bundle) -> None:
    finished = run(
        folder,
        "train",
        str(folder / "shop"),
        "--settings",
        str(folder / "small.toml"),
        "--seed",
        "5",
        "--no-promote",
    )
    assert finished.exit_code == 0
    registry = Registry(folder / "store")
    again = read_bundle(registry.path(registry.versions()[-1]))
    assert registry.current() == bundle.version
    histories = list(bundle.people.histories)[:5]
    one, other = bundle.load_student(), again.load_student()
    np.testing.assert_allclose(
        one.user_vectors(histories), other.user_vectors(histories), rtol=1e-3, atol=1e-4
    )


def test_a_setting_out_of_bounds_is_named(folder: Path) -> None:
    wrong = folder / "wrong.toml"
    wrong.write_text("[als]\nn_factors = 0\n[tower]\nn_haeds = 2\n")
    with pytest.raises(SettingsInvalid, match=r"als\.n_factors.*greater than or equal to 1.*tower\.n_haeds"):
        run(folder, "train", str(folder / "shop"), "--settings", str(wrong))


def test_a_source_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(SourceUnreadable, match="nothing at"):
        run(folder, "train", str(folder / "no-such-file.csv"))


def test_a_shop_that_is_too_small_says_what_is_missing(folder: Path) -> None:
    small = block_shop(n_people=8)
    (folder / "too-small").mkdir()
    small.events.write_parquet(folder / "too-small" / "interactions.parquet")
    small.items.write_parquet(folder / "too-small" / "items.parquet")
    with pytest.raises(TooLittleData, match="8 people have 5 events or more, 50 needed"):
        run(folder, "train", str(folder / "too-small"))
