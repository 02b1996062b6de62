"""What a run says of how it is repeated, read back by the commands themselves."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import training.data.read
import training.data.shop
import training.pipeline.train
from training.__main__ import app
from training.base.errors import TooLittleData
from training.commands.repeating import repeating
from training.data.read import ShopFiles


def test_the_command_has_what_the_run_was_given_and_nothing_else() -> None:
    options = {
        "items": Path("my items.csv"),
        "columns": "",
        "protocol": ["a", "b"],
        "tune": True,
        "quick": False,
    }
    assert repeating("evaluate", Path("orders.csv"), options, seed=0) == (
        "python -m training evaluate orders.csv --items 'my items.csv' --protocol a --protocol b --tune --seed 0 "
        "--settings settings.toml"
    )


def test_the_command_of_a_run_with_items_and_columns_asks_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[tuple[ShopFiles, str]] = []

    def read(files: ShopFiles, _: object) -> ShopFiles:
        return files

    def train(files: ShopFiles, settings: object, *, command: str, **_: Any) -> None:
        runs.append((files, command))
        raise TooLittleData("of a test")

    monkeypatch.setattr(training.data.read, "read_with_notes", read)
    monkeypatch.setattr(training.data.shop, "require_trainable", lambda *_, **__: None)
    monkeypatch.setattr(training.pipeline.train, "train", train)
    monkeypatch.chdir(tmp_path)
    Path("settings.toml").write_text("seed = 3")
    columns = "user_id=customer number,item_id=sku,time=at"
    first = [
        "train",
        "orders.csv",
        "--items",
        "the items.csv",
        "--columns",
        columns,
        "--quick",
        "--seed",
        "3",
    ]
    CliRunner().invoke(app, first)
    CliRunner().invoke(app, shlex.split(runs[0][1])[3:])
    assert runs[1] == runs[0]
    assert runs[0][0].items == Path("the items.csv")
