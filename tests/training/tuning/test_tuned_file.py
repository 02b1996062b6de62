from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from training.recipe.settings import TrainingSettings, load_settings
from training.tuning.tuned_file import write_tuned


@pytest.fixture
def before() -> TrainingSettings:
    return TrainingSettings()


@pytest.fixture
def after(before: TrainingSettings) -> TrainingSettings:
    """Changed: a top-level value, a whole number, one too small to be written without an exponent."""
    return before.model_copy(
        update={
            "seed": 7,
            "als": replace(before.als, n_factors=77),
            "neural": replace(before.neural, learning_rate=0.1 + 0.2, l2=2.5e-7),
        }
    )


def test_the_file_is_read_back_as_the_tuned_settings(
    before: TrainingSettings, after: TrainingSettings, tmp_path: Path
) -> None:
    write_tuned(before, after, tmp_path / "tuned.toml")
    assert load_settings(tmp_path / "tuned.toml", quick=False, seed=None) == after


def test_only_changed_values_are_written(
    before: TrainingSettings, after: TrainingSettings, tmp_path: Path
) -> None:
    write_tuned(before, after, tmp_path / "tuned.toml")
    assert tomllib.loads((tmp_path / "tuned.toml").read_text()) == {
        "seed": 7,
        "als": {"n_factors": 77},
        "neural": {"learning_rate": 0.1 + 0.2, "l2": 2.5e-7},
    }


def test_settings_that_no_search_improved_give_an_empty_file(
    before: TrainingSettings, tmp_path: Path
) -> None:
    write_tuned(before, before, tmp_path / "tuned.toml")
    assert tomllib.loads((tmp_path / "tuned.toml").read_text()) == {}
