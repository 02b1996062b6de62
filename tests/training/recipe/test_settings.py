from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.repository import ROOT
from training.base.errors import SettingsInvalid
from training.recipe.settings import EARNING, describe_settings, load_settings, settings_document


def test_every_setting_has_a_default_bounds_and_a_meaning() -> None:
    rows = list(describe_settings())
    assert len(rows) > 40
    assert all(name and default and meaning for name, default, _, meaning in rows)
    assert all("x" in bounds or " · " in bounds for _, _, bounds, _ in rows)


def test_the_committed_document_is_current() -> None:
    committed = ROOT / "docs" / "training-settings.md"
    assert committed.read_text() == settings_document(), "run make openapi and commit docs/"


def test_a_file_overrides_quick_and_quick_overrides_defaults(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[neural]\nn_epochs = 9\n")
    settings = load_settings(file, quick=True, seed=4)
    assert settings.neural.n_epochs == 9
    assert settings.neural.n_factors == 32
    assert settings.tower.n_factors == 48
    assert settings.seed == 4
    assert load_settings(None, quick=False, seed=None).tower.n_factors == 64


def test_members_are_fresh_each_time() -> None:
    settings = load_settings(None, quick=True, seed=None)
    one, other = settings.fresh_members(), settings.fresh_members()
    assert all(first is not second for first, second in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = -1", "seed: Input should be greater than or equal to 0"),
        ("[als]\nn_haeds = 2", "als.n_haeds: Unexpected keyword argument"),
        ("[stacking]\nl2 = 'much'", "stacking.l2: Input should be a valid number"),
        ("[nonsense]\nx = 1", "nonsense: Extra inputs are not permitted"),
        ("this is not toml", "cannot be read as TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(file, quick=False, seed=None)
    assert said in str(refused.value)


def test_the_members_that_the_readme_names_are_those_of_a_default_bundle() -> None:
    readme = (ROOT / "README.md").read_text()
    in_example = set(re.findall(r'\{"member": "(\w+)"', readme))
    [listed] = re.findall(
        r"`members` names the models .*? a bundle that was trained with other", readme, re.DOTALL
    )
    assert in_example
    assert in_example <= set(EARNING)
    assert set(re.findall(r"`(\w+)`", listed)) - {"members", "share"} == set(EARNING)
