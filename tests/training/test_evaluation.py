"""`python -m training evaluate`, small, on a shop and on files in each published layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.support.blocks import N_BLOCKS, N_EVENTS, N_ITEMS, block_shop
from tests.support.settings import FEW_MEMBERS
from training.__main__ import app
from training.base.errors import SettingsInvalid
from training.base.runs import Run
from training.data.published import N_NEGATIVES
from training.data.shop import Shop
from training.quality.schema import Quality
from training.recipe.settings import ALL_MEMBERS

N_PEOPLE = 60
MEMBERS = {"popularity", "als", "ease"}
STUDENTS = {"student", "student_pruned", "student_shipped", "student_without_distillation"}
BASELINES = {
    "random",
    "popular",
    "popular_week",
    "most_taken",
    "most_taken_then_popular",
    "last_looked_at",
    "tifu_knn",
}
MODELS = {*BASELINES, "ensemble", *ALL_MEMBERS} | STUDENTS
RETAINED = {"ndcg@10", "catalogue_ndcg@20", "hr@10"}


def evaluate(folder: Path, *arguments: str) -> Result:
    (folder / "few.toml").write_text(FEW_MEMBERS)
    options = ["--settings", str(folder / "few.toml"), "--runs", str(folder / "runs")]
    return CliRunner().invoke(app, ["evaluate", *arguments, *options], catch_exceptions=False)


def evaluation_of(folder: Path) -> Quality:
    return Run.open(folder / "runs" / "latest").evaluation()


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The block shop, evaluated under one protocol, with the report's two files."""
    folder, shop = tmp_path_factory.mktemp("evaluated"), block_shop()
    shop.events.write_parquet(folder / "interactions.parquet")
    shop.items.write_parquet(folder / "items.parquet")
    assert evaluate(folder, str(folder), "--protocol", "leave_last_out").exit_code == 0
    options = ["--run", str(folder / "runs" / "latest"), "--out", str(folder / "reports")]
    assert CliRunner().invoke(app, ["report", *options], catch_exceptions=False).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def quality(reported: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((reported / "reports" / "quality.json").read_text())
    return found


def test_every_model_is_measured_with_a_student_that_was_not_distilled(quality: dict[str, Any]) -> None:
    assert list(quality["protocols"]) == ["leave_last_out"]
    assert set(quality["protocols"]["leave_last_out"]["models"]) == MODELS


def test_the_report_keeps_the_command_that_repeats_it(reported: Path, quality: dict[str, Any]) -> None:
    said = (
        f"python -m training evaluate {reported} --protocol leave_last_out --seed 0 --settings settings.toml"
    )
    assert quality["command"] == said


def test_members_beside_the_ensemble_are_measured_and_said_to_be_beside(quality: dict[str, Any]) -> None:
    assert quality["recipe"] == {
        "is_tuned": False,
        "members": ["popularity", "als", "ease"],
        "beside": [name for name in ALL_MEMBERS if name not in MEMBERS],
    }


def test_a_block_shop_is_understood_by_the_ensemble_and_what_ships(quality: dict[str, Any]) -> None:
    models = quality["protocols"]["leave_last_out"]["models"]
    assert models["ensemble"]["auc"] > 0.9
    assert models["student_shipped"]["auc"] > 0.9
    assert models["random"]["auc"] == pytest.approx(0.5, abs=0.15)


def test_claims_have_intervals(quality: dict[str, Any]) -> None:
    assert set(quality["intervals"]["leave_last_out"]) == {
        *(f"ensemble_minus_{name}" for name in (*ALL_MEMBERS, "best_member", "student_shipped")),
        "student_shipped_minus_popular",
        "student_minus_student_without_distillation",
        "student_over_ensemble_retention",
        "student_shipped_over_ensemble_retention",
    }


def test_what_the_student_keeps_is_told_of_known_and_new_people(quality: dict[str, Any]) -> None:
    retention = quality["retention"]["leave_last_out"]
    assert set(retention) == {"known_people", "new_people"}
    for of_group in retention.values():
        assert set(of_group) == RETAINED
        assert all(set(row) == {"value", "low", "high", "n_people"} for row in of_group.values())
    assert retention["new_people"]["ndcg@10"]["n_people"] == 12


def test_the_strategy_and_its_calibration_are_told(quality: dict[str, Any]) -> None:
    strategies, calibration = (
        quality["strategies"]["leave_last_out"],
        quality["calibration"]["leave_last_out"],
    )
    assert strategies["chosen"] == "stacking"
    assert set(strategies["table"]) == {"stacking"}
    assert {"brier", "ece", "bins", "test"} <= set(calibration)
    assert sum(row["n"] for row in calibration["test"]["bins"]) == 2 * 120


def test_each_member_has_an_importance_and_is_left_out_once(quality: dict[str, Any]) -> None:
    assert set(quality["importance"]["leave_last_out"]) == MEMBERS
    left_out = quality["leave_one_out"]["leave_last_out"]
    assert set(left_out) == MEMBERS
    assert all(row["training_seconds"] > 0 for row in left_out.values())


def test_what_ships_was_measured(quality: dict[str, Any]) -> None:
    compression = quality["compression"]
    assert compression["chosen"] in compression["candidates"]
    assert [row["sparsity"] for row in compression["pruning_curve"]] == [0.0, 0.5]
    assert set(quality["serving"]) == {"ensemble", "student", "student_pruned", "student_shipped"}
    assert set(quality["ratios"]) == {
        "size",
        "latency",
        "model_memory",
        "peak_memory",
        "accuracy_points",
    }


def test_studies_that_need_one_protocol_only_are_of_it(quality: dict[str, Any]) -> None:
    assert 0 <= quality["explanations"]["removal_pass_rate"] <= 1
    assert "no_distillation" in quality["ablations"]["distillation"]
    assert set(quality["cold_start"]["items"]["models"]) >= {"student_text", "content", "popular", "random"}
    assert {"explanations", "ablations", "cold_start"} <= set(quality["of_protocol"])
    assert set(quality["of_protocol"].values()) == {"leave_last_out"}


def test_the_page_shows_it_without_a_script(reported: Path) -> None:
    page = (reported / "reports" / "quality.html").read_text()
    assert "<svg" in page
    assert "<script" not in page


def lines_of_people(shop: Shop) -> list[tuple[str, list[str], list[int]]]:
    """Each person's items and times, oldest first."""
    people = shop.events.sort("user_id", "time").partition_by("user_id", maintain_order=True)
    return [(own["user_id"][0], own["item_id"].to_list(), own["time"].to_list()) for own in people]


def write_published(folder: Path, shop: Shop) -> None:
    """The last item of everybody is the test, with negatives from what the person has not touched."""
    rng = np.random.default_rng(0)
    catalogue = [f"item-{item:03}" for item in range(N_ITEMS)]
    train, test, candidates = [], [], []
    for user_id, items, times in lines_of_people(shop):
        rows = [f"{user_id}\t{item}\t5\t{time}\n" for item, time in zip(items, times, strict=True)]
        train += rows[:-1]
        test.append(rows[-1])
        unseen = [item for item in catalogue if item not in items]
        candidates.append("\t".join([f"({user_id},{items[-1]})", *rng.choice(unseen, N_NEGATIVES)]) + "\n")
    texts = [
        f"{item}\t{title}\t{text}\n" for item, title, text in shop.items["item_id", "title", "text"].rows()
    ]
    for name, lines in {"train": train, "test": test, "negative": candidates, "items": texts}.items():
        (folder / f"blocks.{name}").write_text("".join(lines))


def test_published_train_and_test_files_are_evaluated_on_their_candidates(tmp_path: Path) -> None:
    write_published(tmp_path, block_shop(n_people=N_PEOPLE))
    options = {"train": "train", "test": "test", "candidates": "negative", "items": "items"}
    files = [
        part for name, file in options.items() for part in (f"--{name}", str(tmp_path / f"blocks.{file}"))
    ]
    finished = evaluate(tmp_path, *files)
    assert finished.exit_code == 0, finished.output
    evaluation = evaluation_of(tmp_path)
    published = evaluation.protocols["published"]
    assert set(published.models) == MODELS
    assert published.models["ensemble"]["ndcg@10"] > published.models["random"]["ndcg@10"] + 0.2
    assert published.split.n_test_people == N_PEOPLE
    assert published.split.n_validation_questions == 3 * N_PEOPLE
    assert evaluation.data is not None
    assert evaluation.data.n_events == (N_EVENTS - 1) * N_PEOPLE
    assert evaluation.data.layout == "train and test files as published"


def test_published_sequences_are_evaluated_over_the_whole_catalogue(tmp_path: Path) -> None:
    lines = [
        " ".join([user_id, *items]) + "\n"
        for user_id, items, _ in lines_of_people(block_shop(n_people=N_PEOPLE))
    ]
    (tmp_path / "blocks.txt").write_text("".join(lines))
    finished = evaluate(tmp_path, "--sequences", str(tmp_path / "blocks.txt"))
    assert finished.exit_code == 0, finished.output
    evaluation = evaluation_of(tmp_path)
    models = evaluation.protocols["published"].models
    assert set(models) == MODELS
    # A block has 15 items of which 8 are seen; chance finds one of 60.
    assert models["ensemble"]["catalogue_hr@10"] > 0.7 > N_BLOCKS * models["random"]["catalogue_hr@10"] / 2
    assert evaluation.protocols["published"].split.n_test_people == N_PEOPLE
    assert evaluation.data is not None
    assert evaluation.data.layout == "sequences as published"


def test_published_baskets_are_evaluated_as_a_whole(tmp_path: Path) -> None:
    history, future = {}, {}
    for user_id, items, _ in lines_of_people(block_shop(n_people=N_PEOPLE)):
        history[user_id] = [[-1], items[:2], items[2:4], items[4:6], [-1]]
        future[user_id] = [[-1], items[6:], [-1]]
    for name, told in (("history", history), ("future", future)):
        (tmp_path / f"blocks_{name}.json").write_text(json.dumps(told))
    finished = evaluate(tmp_path, "--baskets", str(tmp_path))
    assert finished.exit_code == 0, finished.output
    evaluation = evaluation_of(tmp_path)
    published = evaluation.protocols["published"]
    assert set(published.models) == MODELS
    assert published.models["ensemble"]["catalogue_recall@10"] > (
        published.models["random"]["catalogue_recall@10"] + 0.2
    )
    assert (published.split.n_test_people, published.split.n_validation_questions) == (N_PEOPLE, N_PEOPLE)
    assert evaluation.data is not None
    assert evaluation.data.layout == "baskets as published"
    assert f"--baskets {tmp_path}" in (evaluation.command or "")


def test_nothing_to_evaluate_on_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"either DATA, .* or published files by --train and --test or"):
        evaluate(tmp_path)


def test_a_shop_and_published_files_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="either DATA"):
        evaluate(tmp_path, str(tmp_path), "--sequences", str(tmp_path / "blocks.txt"))


def test_a_refused_evaluation_leaves_no_run_behind(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid):
        evaluate(tmp_path)
    assert not (tmp_path / "runs").exists()
