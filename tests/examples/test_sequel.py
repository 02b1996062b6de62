"""Somebody's own member, installed as any package: found, fitted, stacked, bundled, served; named where missing."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import stillroom
from models.bundles.bundle import read_manifest
from models.bundles.registry import Registry
from models.errors import MemberMissing
from models.experiments.declaration import CURRENT
from models.history import History
from models.members.installed import GROUP as FITTED_GROUP
from models.members.installed import fitted_member
from service.bundles.holder import BundleRefused
from stillroom import Model
from tests.support.blocks import block_shop
from tests.support.repository import ROOT
from tests.support.service import running
from tests.support.settings import SMALL
from tests.test_arrows import HEAVY, SERVE_EACH_MODEL_AND_PLACE_ONE_NEW_ITEM
from training.base.errors import SettingsInvalid
from training.base.runs import Run
from training.ensemble.ensemble import Ensemble
from training.members.installed import member_class
from training.recipe.settings import dump_settings, load_settings, settings_from
from training.tuning.tuned_file import write_tuned

EXAMPLE = ROOT / "examples" / "sequel"
SETTINGS = tomllib.loads('members = ["als", "sequel"]' + SMALL + "[other_members.sequel]\nn_last = 2\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that the example is installed into, and that this process looks into."""
    folder = tmp_path_factory.mktemp("site")
    source = folder / "source"
    subprocess.run(["cp", "-r", EXAMPLE, source], check=True)  # builds leave folders behind
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*install, "--no-index", "--target", folder / "packages", source], check=True, capture_output=True
    )
    sys.path.insert(0, str(folder / "packages"))
    yield folder / "packages"
    sys.path.remove(str(folder / "packages"))
    for name in [name for name in sys.modules if name.startswith("stillroom_sequel")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def model(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A bundle whose ensemble has the member."""
    folder = tmp_path_factory.mktemp("trained")
    return stillroom.train(
        block_shop(), store=folder / "store", runs=folder / "runs", settings=SETTINGS, seed=5, promote=True
    )


def run(site: Path, *arguments: str) -> str:
    """Python in a process of its own where the example is installed."""
    path = os.pathsep.join([str(site), str(ROOT)])
    finished = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        timeout=300,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_it_keeps_the_contract_of_members(site: Path) -> None:
    said = run(site, "-m", "pytest", "-p", "no:cacheprovider", str(EXAMPLE / "tests"))
    assert "14 passed" in said


def test_settings_name_it_and_have_its_table(site: Path) -> None:
    settings = settings_from(SETTINGS, quick=False, seed=None)
    assert [member.name for member in settings.fresh_members()] == ["als", "sequel"]
    assert dump_settings(settings)["other_members"] == {"sequel": {"n_last": 2}}
    assert "sequel" not in settings.beside().members


def test_a_member_with_a_table_alone_is_measured_beside_the_ensemble(site: Path) -> None:
    settings = settings_from({"other_members": {"sequel": {}}}, quick=False, seed=None)
    assert "sequel" not in settings.members
    assert "sequel" in [member.name for member in settings.beside().fresh_members()]


def test_what_tuning_writes_is_read_again(site: Path, tmp_path: Path) -> None:
    settings = settings_from(SETTINGS, quick=False, seed=None)
    write_tuned(load_settings(None, quick=False, seed=None), settings, tmp_path / "tuned.toml")
    assert load_settings(tmp_path / "tuned.toml", quick=False, seed=None) == settings


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"members": ["sequels"]}, "no installed packages declare the member 'sequels'"),
        ({"members": ["student"]}, "cannot be called 'student'"),
        ({"other_members": {"sequel": {"n_lsat": 2}}}, "sequel.n_lsat: Unexpected keyword argument"),
        ({"other_members": {"sequel": {"n_last": 0}}}, "sequel.n_last: Input should be greater than"),
        ({"other_members": {"als": {}}}, r"write \[als\] instead"),
        ({"other_members": 3}, "write a table a member"),
    ],
)
def test_a_wrong_setting_is_named(site: Path, wrong: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsInvalid, match=said):
        settings_from(wrong, quick=False, seed=None)


def test_the_bundle_says_which_package_it_came_from(model: Model) -> None:
    entry = read_manifest(model.bundle.path).variants
    assert entry is not None
    assert entry.members == ("als", "sequel")
    assert entry.packages == {"sequel": "stillroom-sequel==0.1.0"}


def test_the_bundle_carries_it_and_the_ensemble_asks_it(model: Model) -> None:
    variants = model.bundle.load_variants()
    assert variants.names == ("als", "sequel", "ensemble")
    history = model.bundle.people.find("user-000")
    assert history is not None
    assert np.isfinite(variants.score("sequel", [history])).any()
    assert np.isnan(variants.score("sequel", [History.empty()])).all()


def test_the_service_runs_it_without_any_training_library(site: Path, model: Model) -> None:
    store = str(model.bundle.path.parent)
    loaded = set(run(site, "-c", SERVE_EACH_MODEL_AND_PLACE_ONE_NEW_ITEM, store).split())
    assert {"service", "stillroom_sequel"} <= loaded
    assert not loaded & {*HEAVY, "training"}


def test_where_the_package_is_missing_it_is_named_and_the_student_answers(
    site: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(site)])
    found = stillroom.load_bundle(model.bundle.path)
    assert found.recommend("user-000", limit=3)
    with pytest.raises(MemberMissing, match=r"pip install 'stillroom-sequel==0\.1\.0'"):
        found.bundle.load_variants()
    with pytest.raises(MemberMissing, match=r"'sequel' comes from stillroom-sequel==0\.1\.0"):
        Registry(model.bundle.path.parent).promote(model.version)


async def test_a_service_without_the_package_answers_and_refuses_its_arm_by_name(
    site: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(site)])
    async with running(model.bundle.path.parent) as service:
        assert (await service.recommend(user_id="user-000"))["tier"] == "student"
        with pytest.raises(BundleRefused, match=r"pip install 'stillroom-sequel==0\.1\.0'"):
            await service.parts.bundles.hold(frozenset(), frozenset({CURRENT}))


def test_a_report_reads_the_ensemble_of_the_run_again(model: Model) -> None:
    run = Run.open(model.bundle.path.parents[1] / "runs" / "latest")
    ensemble, histories = Ensemble.load(run.ensemble), run.histories()[:3]
    assert [member.name for member in ensemble.members] == ["als", "sequel"]
    bundled = model.bundle.load_variants().score("sequel", histories)
    np.testing.assert_array_equal(ensemble.members[1].score(histories), bundled)


def forged(folder: Path, package: str, group: str, value: str) -> None:
    """Pretend that a package is installed which declares the member "mine"."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nmine = {value}\n")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_module:Mine", r"of one==1\.0 cannot be imported: No module named 'no_such_module'"),
        ("models.members.popularity:FittedPopularity", "must be a FittedMember whose name is 'mine'"),
        ("models.history:History", "must be a FittedMember"),
    ],
)
def test_a_package_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    forged(tmp_path, "one", FITTED_GROUP, value)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MemberMissing, match=said):
        fitted_member("mine", "one==1.0")


def test_two_packages_with_one_name_are_both_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("one", "two"):
        forged(tmp_path, package, FITTED_GROUP, "models.history:History")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MemberMissing, match=r"one==1\.0, two==1\.0 all declare the member 'mine'"):
        fitted_member("mine", "one==1.0")


def test_a_member_that_does_not_say_how_it_runs_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged(tmp_path, "half", "stillroom.members", "training.members.popularity:Popularity")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SettingsInvalid, match=r"must declare stillroom\.fitted_members: mine"):
        member_class("mine")
