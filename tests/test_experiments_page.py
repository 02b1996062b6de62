"""What docs/experiments.md shows is what the code takes."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from models.experiments.declaration import Experiment
from tests.support.experiments import declared

PAGE = (Path(__file__).parent.parent / "docs" / "experiments.md").read_text()


def test_the_example_is_a_declaration() -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert [each.name for each in declared(example).experiments] == ["new-student"]


def test_every_key_of_an_experiment_is_explained() -> None:
    [table] = re.findall(r"\| key of `\[\[experiment\]\]`.*?\n\n", PAGE, re.DOTALL)
    explained = {
        key for line in table.split("\n")[2:-2] for key in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert explained == {field.encode_name for field in msgspec.structs.fields(Experiment)}
