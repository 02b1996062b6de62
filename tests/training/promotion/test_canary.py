"""A canary in the declaration of experiments."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.bundles.registry import Registry
from models.errors import ExperimentsInvalid, RegistryError
from models.experiments.assignment import Assignment
from models.experiments.declaration import Declaration
from models.experiments.known import known_variants
from models.experiments.reading import read_declaration
from tests.training.promotion.bundles import block_bundle
from training.__main__ import app
from training.base.errors import CanaryRefused
from training.promotion.canary import canary_name, set_canary

OTHERS = """# Ask Anna before changing this.
[[layer]]
name = "home"  # the front page
placements = ["home"]

[[experiment]]
name = "vases"
layer = "home"

[[experiment.arm]]
name = "control"
weight = 0.5

[[experiment.arm]]
name = "same"
weight = 0.5
"""
AFTER = """
[[experiment]]
name = "lamps"

[[experiment.arm]]
name = "control"
weight = 0.9

[[experiment.arm]]
name = "same"
weight = 0.1
"""


class Canaries:
    """A store with a bundle in service and another, and a declaration."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "experiments.toml"
        self.store = folder / "store"
        self.in_service = block_bundle(self.store)
        self.version = block_bundle(self.store, day=2)
        Registry(self.store).promote(self.in_service)

    def set(self, share_percent: float, version: str | None = None) -> str:
        return set_canary(version or self.version, share_percent, file=self.file, store=self.store)

    def declared(self) -> Declaration:
        """As a service reads it."""
        return read_declaration(self.file, known_variants(Registry(self.store)))

    def shares(self) -> dict[str, float]:
        experiment = self.declared().experiment(canary_name(self.version))
        assert experiment is not None
        low, high = experiment.share
        return {arm.version: arm.weight * (high - low) for arm in experiment.arms}

    def arms(self, n_people: int) -> Counter[tuple[str, str] | None]:
        """How many people each experiment and arm has."""
        assignment = Assignment(self.declared())
        found = [assignment.assign(f"user-{number}", None, "home", 0.0) for number in range(n_people)]
        return Counter(None if one is None else (one.experiment, one.arm) for one in found)


@pytest.fixture
def canaries(tmp_path: Path) -> Canaries:
    return Canaries(tmp_path)


def test_canary_is_an_arm_with_guardrails_beside_what_is_in_service(canaries: Canaries) -> None:
    canaries.set(5)
    assert canaries.shares() == {"current": 0.05, canaries.version: 0.05}
    [experiment] = canaries.declared().experiments
    assert experiment.control.version == "current"
    guardrails = experiment.guardrails
    assert all((guardrails.p99_ms, guardrails.error_rate, guardrails.empty_rate))
    assert [file.name for file in canaries.file.parent.iterdir() if file.is_file()] == ["experiments.toml"]


def test_other_experiments_and_comments_stay_while_a_canary_comes_grows_and_goes(canaries: Canaries) -> None:
    canaries.file.write_text(OTHERS)
    canaries.set(5)
    canaries.file.write_text(canaries.file.read_text() + AFTER)
    text = canaries.file.read_text()
    canaries.set(12.5)
    assert canaries.shares() == {"current": 0.125, canaries.version: 0.125}
    assert canaries.file.read_text() == text.replace("[0, 0.1]", "[0, 0.25]")
    canaries.set(0)
    assert [each.name for each in canaries.declared().experiments] == ["vases", "lamps"]
    assert canaries.file.read_text() == OTHERS + AFTER


def test_canary_has_its_people_though_another_experiment_is_for_everybody(canaries: Canaries) -> None:
    canaries.file.write_text(OTHERS)
    canaries.set(10)
    name = canary_name(canaries.version)
    assert canaries.file.read_text().startswith("[[layer]]  # written by")
    assert "\n\n# Ask Anna before changing this.\n[[layer]]\n" in canaries.file.read_text()
    arms = canaries.arms(4000)
    assert sum(arms.values()) == 4000
    assert arms[name, "canary"] == pytest.approx(400, abs=80)
    assert arms[name, "in-service"] == pytest.approx(400, abs=80)
    assert arms["vases", "same"] == pytest.approx(1600, abs=160)


def test_two_canaries_run_beside_each_other_and_end_one_by_one(canaries: Canaries) -> None:
    canaries.file.write_text(OTHERS)
    other = block_bundle(canaries.store, day=3)
    canaries.set(10)
    canaries.set(10, other)
    arms = canaries.arms(4000)
    assert min(arms[canary_name(version), "canary"] for version in (canaries.version, other)) > 200
    canaries.set(0)
    canaries.set(0, other)
    assert canaries.file.read_text() == OTHERS


@pytest.mark.parametrize("share", [0.3, 1, 33.3333333, 50])
def test_any_share_up_to_half_is_held(canaries: Canaries, share: float) -> None:
    canaries.set(share)
    assert canaries.shares()[canaries.version] == pytest.approx(share / 100, rel=1e-5)


def test_file_that_is_invalid_stays_as_it_is_and_the_line_is_said(canaries: Canaries) -> None:
    broken = OTHERS.replace("weight = 0.5", "weight = 0.6")
    canaries.file.write_text(broken)
    with pytest.raises(ExperimentsInvalid, match=r"experiments\.toml:6: the weights of 'vases' sum to 1\.2"):
        canaries.set(5)
    assert canaries.file.read_text() == broken


def test_canary_that_makes_no_sense_is_refused_and_nothing_is_written(canaries: Canaries) -> None:
    with pytest.raises(CanaryRefused, match="in service already"):
        canaries.set(5, canaries.in_service)
    with pytest.raises(CanaryRefused, match="none to end"):
        canaries.set(0)
    with pytest.raises(RegistryError, match="no version"):
        canaries.set(5, "20200101T000000Z-000000000000")
    assert not canaries.file.exists()


def test_canary_that_was_changed_by_hand_is_left_alone(canaries: Canaries) -> None:
    canaries.set(5)
    text = canaries.file.read_text().replace('name = "canary"', 'name = "bird"')
    canaries.file.write_text(text)
    with pytest.raises(CanaryRefused, match="edit the file by hand"):
        canaries.set(10)
    assert canaries.file.read_text() == text


def test_command_takes_the_file_that_the_service_follows(
    canaries: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLROOM_EXPERIMENTS", str(canaries.file))
    done = CliRunner().invoke(
        app, ["canary", canaries.version, "--share", "10", "--store", str(canaries.store)]
    )
    assert done.exit_code == 0, done.output
    assert canaries.shares()[canaries.version] == 0.1
