"""What `inspect` says of files, and what a refused file costs any command: no import of torch, and nothing left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.__main__ import app
from training.base.errors import DataError

RATINGS = (
    "userId,movieId,rating,timestamp\n1,296,5.0,1147880044\nguest,306,3.5,1147868817\n2,306,4.0,1147868818\n"
)
MOVIES = "movieId,title,genres\n296,Pulp Fiction (1994),Comedy|Crime\n306,Red,Drama\n"
EVENTS = "timestamp,visitorid,event,itemid\n" + "".join(
    f"{1_433_221_332_000 + place},v{place},{kind},i{place}\n"
    for place, kind in enumerate(["view"] * 5 + ["addtocart"] * 3 + ["stare"] * 4)
)
RUN = """
import sys
from typer.testing import CliRunner
from training.__main__ import app
from training.base.errors import DataError
found = CliRunner().invoke(app, sys.argv[1:])
print(found.output, found.exception)
sys.exit(3 if "torch" in sys.modules else 0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "ratings.csv").write_text(RATINGS)
    (tmp_path / "shop" / "movies.csv").write_text(MOVIES)
    (tmp_path / "events.csv").write_text(EVENTS)
    return tmp_path


def inspect(*words: str) -> tuple[str, int]:
    found = CliRunner().invoke(app, ["inspect", *words])
    return found.output, found.exit_code


def test_it_says_what_each_column_is_for_and_shows_rows_as_understood(folder: Path) -> None:
    said, code = inspect(str(folder / "shop"), "--accept", "missing-user")
    assert code == 1
    for words in (
        "ratings.csv: userId (person), movieId (item), rating (rating), timestamp (time)",
        "movies.csv: movieId (item), title (title), genres (category, attribute categories, words)",
        "2 of 3 rows kept",
        "missing user (first in line 3: 'guest')",
        "every row is a rating",
        "2006-05-17 15:34:04  1  rating  296 (Pulp Fiction (1994))  value 5",
        "100.0% of the events are of items in this table",
        "0 people have 5 events or more, 50 needed",
    ):
        assert words in said


def test_it_counts_kinds_and_names_the_option_for_those_that_nobody_knows(folder: Path) -> None:
    said, code = inspect(str(folder / "events.csv"))
    assert code == 1
    assert "'addtocart' is cart" in said
    assert "'stare' is not known" in said
    assert "--kinds stare=view" in said
    said, _ = inspect(str(folder / "events.csv"), "--kinds", "stare=drop")
    assert "'stare' is drop" in said
    assert "--kinds stare=view" not in said


def test_it_lists_the_states_of_orders_and_which_of_them_are_returns(folder: Path) -> None:
    rows = "u,i,1700000000,paid\nu,j,1700000001,paid\nv,i,1700000002,Refunded\nv,j,1700000003,zurueck\n"
    (folder / "orders.csv").write_text("user_id,item_id,time,status\n" + rows)
    said, _ = inspect(str(folder / "orders.csv"))
    assert "'paid' (2 rows) stays" in said
    assert "'refunded' (1 rows) is a return" in said
    assert "'zurueck' (1 rows) stays" in said


def test_it_ends_with_the_ready_command_where_there_is_enough_to_train_on(folder: Path) -> None:
    lines = [
        f"u{user},i{(user + step) % 60},{1_700_000_000 + 100 * user + step},{'buy' if step else 'look_at'}"
        for user in range(60)
        for step in range(6)
    ]
    (folder / "log.csv").write_text("user,item,time,action\n" + "\n".join(lines) + "\n")
    said, code = inspect(str(folder / "log.csv"), "--kinds", "look_at=view")
    assert code == 0, said
    assert "60 of 60 items may be recommended" in said
    assert f"ready: python -m training train {folder / 'log.csv'} --kinds look_at=view" in said


def test_a_word_for_a_kind_that_no_row_has_is_an_error(folder: Path) -> None:
    said, code = inspect(str(folder / "events.csv"), "--kinds", "stare=drop,page_scrol=drop")
    assert code == 1
    assert "--kinds names 'page_scrol', which events.csv does not have" in said


def test_neither_inspect_nor_a_failed_train_loads_torch_or_leaves_a_folder(folder: Path) -> None:
    runs = folder / "runs"
    for words in (
        ["inspect", str(folder / "shop")],
        ["train", str(folder / "events.csv"), "--runs", str(runs)],
        ["train", str(folder / "shop"), "--runs", str(runs), "--accept", "missing-user"],
        ["evaluate", str(folder / "events.csv"), "--runs", str(runs)],
        ["retrain", str(folder / "events.csv"), "--runs", str(runs), "--store", str(folder / "store")],
        ["tune", str(folder / "events.csv"), "--out", str(folder / "tuned.toml")],
    ):
        done = subprocess.run(
            [sys.executable, "-c", RUN, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        assert "--accept" in done.stdout or "needed" in done.stdout
    assert not runs.exists()


def test_a_published_evaluation_that_cannot_read_its_files_leaves_no_folder(folder: Path) -> None:
    runs = folder / "runs"
    (folder / "train.tsv").write_text("1\t2\t5\t1700000000\n")
    (folder / "test.tsv").write_text("no table at all\n")
    published = ["--train", str(folder / "train.tsv"), "--test", str(folder / "test.tsv")]
    found = CliRunner().invoke(app, ["evaluate", *published, "--runs", str(runs)])
    assert isinstance(found.exception, DataError)
    assert not runs.exists()
