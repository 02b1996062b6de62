"""The Makefile, the pinned versions and the scripts that containers and CI run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAMES = {
    "up",
    "test",
    "check",
    "train",
    "retrain",
    "report",
    "simulate",
    "serve",
    "warm",
    "load",
    "bench",
    "export-events",
    "drill-events",
    "drill-promotion",
    "drill-alerts",
    "drill-faults",
    "fuzz",
    "compose-test",
    "openapi",
    "pictures",
    "clean",
    "help",
}


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run in the repository without the variables that an outer make sets."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, timeout=60
    )


def canonical(requirement: str) -> str:
    """The package name of a requirement line."""
    [name] = re.findall(r"^[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", str(name)).lower()


def pins() -> dict[str, str]:
    """constraints.txt as name to version."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonical(line): line.partition("==")[2] for line in lines}


def test_help_lists_every_target_with_a_line() -> None:
    listed = dict(re.findall(r"^  make (\S+) +(\S.*)$", run("make").stdout, re.MULTILINE))
    assert set(listed) == NAMES


def test_no_target_is_done_because_a_file_has_its_name(tmp_path: Path) -> None:
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / ".venv").mkdir()
    for name in (".venv/.installed-training", ".venv/.installed-everything", *NAMES):
        (tmp_path / name).touch()
    done = run("make", "--dry-run", "--directory", str(tmp_path), "DATA=x", *sorted(NAMES))
    assert done.returncode == 0, done.stderr
    assert "is up to date" not in done.stdout


def test_a_report_does_not_simulate_first() -> None:
    recipe, simulations = (run("make", "--dry-run", target).stdout for target in ("report", "simulate"))
    assert "training report" in recipe
    assert "simulate-" not in recipe
    assert re.findall(r"simulate-\w+", simulations) == ["simulate-experiments", "simulate-monitoring"]


def test_an_old_python_is_named_with_the_remedy() -> None:
    done = run("make", "compose-test", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "no Python 3.11 or newer" in done.stderr
    assert "no-such-python" in done.stderr
    assert "python3-venv" in done.stderr


def test_ci_runs_what_the_desk_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"^make (\w+)$", script, re.MULTILINE) == ["test", "check"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_every_requirement_is_pinned_to_a_published_version() -> None:
    extras = PROJECT["optional-dependencies"].values()
    asked = {canonical(line) for lines in (PROJECT["dependencies"], *extras) for line in lines}
    assert asked <= set(pins())
    assert all(re.fullmatch(r"[\w.]+", version) for version in pins().values())


def test_service_requirements_are_the_base_install() -> None:
    printed = run(sys.executable, "deploy/requirements.py").stdout.split("\n")
    assert printed[:-1] == PROJECT["dependencies"]


def test_training_requirements_come_with_their_extra() -> None:
    printed = run(sys.executable, "deploy/requirements.py", "training").stdout
    assert "torch" in {canonical(line) for line in printed.splitlines()}


def fill_store(store: Path, tmp_path: Path) -> tuple[str, list[str]]:
    """Run fill-store.sh with a `python` that only notes its arguments. Returns what was said and noted."""
    noted = tmp_path / "noted"
    noted.touch()
    fake = tmp_path / "bin" / "python"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >>"{noted}"\n')
    fake.chmod(0o755)
    path = f"{fake.parent}:{os.environ['PATH']}"
    done = run("sh", "deploy/fill-store.sh", str(store), "data", "runs", "--people", "7", PATH=path)
    assert done.returncode == 0, done.stderr
    return done.stdout, noted.read_text().splitlines()


def test_an_empty_store_is_filled_from_a_generated_shop(tmp_path: Path) -> None:
    store = tmp_path / "store"
    _, noted = fill_store(store, tmp_path)
    assert noted == [
        "-m training generate --people 7 --out data/demo-shop",
        f"-m training train data/demo-shop --store {store} --runs runs --quick",
    ]


def test_a_store_with_a_promoted_bundle_is_left_alone(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "current").write_text("newest\noldest\n")
    said, noted = fill_store(store, tmp_path)
    assert noted == []
    assert "newest" in said
    assert "oldest" not in said


@pytest.mark.parametrize("target", sorted(NAMES))
def test_every_recipe_is_valid_shell(target: str, tmp_path: Path) -> None:
    for name in ("bin/python", ".installed-training", ".installed-everything"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    recipe = run("make", "--dry-run", target, f"VENV={tmp_path}")
    assert recipe.returncode == 0, recipe.stderr
    checked = subprocess.run(["bash", "-n"], input=recipe.stdout, capture_output=True, text=True)
    assert checked.stderr == ""


@pytest.mark.parametrize(
    ("words", "variable", "store"),
    [([], "", "models/store"), (["STORE=mine"], "", "mine"), ([], "theirs", "theirs")],
)
def test_the_store_comes_from_either_name(words: list[str], variable: str, store: str) -> None:
    """`make STORE=…` and the service's own STILLROOM_STORE mean the same folder."""
    printed = run("make", "--print-data-base", "--dry-run", "help", *words, STILLROOM_STORE=variable).stdout
    assert re.search(rf"^STORE :?= {store}$", printed, re.MULTILINE)
