"""`python -m models`: what an operator sees and what a script can tell by the exit status."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from models.__main__ import app
from models.bundles.bundle import write_bundle
from models.bundles.manifest import parse_manifest
from models.bundles.registry import Registry
from models.errors import GoldenMismatch, RegistryError, StoreMissing
from tests.support.bundles import tiny_contents


def run(store: Path, command: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [command, *arguments, "--store", str(store)])


@pytest.fixture
def other(store: Path) -> str:
    """A second version, not promoted."""
    return write_bundle(store, tiny_contents(n_items=20)).name


def test_list_marks_the_current_version(store: Path, other: str) -> None:
    lines = run(store, "list").stdout.splitlines()
    assert lines[0].startswith(f"* {Registry(store).current()}")
    assert "40 items" in lines[0]
    assert lines[1].startswith(f"  {other}")


def test_list_of_an_empty_store_is_empty(tmp_path: Path) -> None:
    result = run(tmp_path, "list")
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize(
    "command", [["list"], ["ids"], ["show", "1"], ["verify", "1"], ["promote", "1"], ["rollback"]]
)
def test_every_command_says_where_there_is_no_store(tmp_path: Path, command: list[str]) -> None:
    result = run(tmp_path / "nowhere", *command)
    assert isinstance(result.exception, StoreMissing)
    assert f"there is no store at {tmp_path / 'nowhere'}" in str(result.exception)


def test_list_shows_a_broken_bundle_and_the_others(store: Path, other: str) -> None:
    (store / Registry(store).current() / "manifest.json").write_bytes(b"{")
    result = run(store, "list")
    assert "unusable: manifest.json is not JSON" in result.stdout
    assert other in result.stdout


def test_show_prints_the_manifest(store: Path) -> None:
    version = Registry(store).current()
    assert parse_manifest(run(store, "show", version).stdout_bytes).version == version


def test_verify_counts_what_holds(store: Path) -> None:
    result = run(store, "verify", Registry(store).current())
    assert "74 files and 4 golden requests hold" in result.stdout


@pytest.mark.parametrize("command", ["verify", "promote"])
def test_golden_requests_are_replayed_and_current_stays(store: Path, command: str) -> None:
    before = Registry(store).current()
    contents = tiny_contents()
    requests = contents.golden.requests
    requests[1] = msgspec.structs.replace(requests[1], scores=[9.0] * 10)
    bad = write_bundle(store, contents).name
    assert isinstance(run(store, command, bad).exception, GoldenMismatch)
    assert Registry(store).current() == before


def test_promote_and_rollback_say_what_is_current(store: Path, other: str) -> None:
    first = Registry(store).current()
    assert run(store, "promote", other).stdout == f"current is {other}\n"
    assert run(store, "rollback").stdout == f"current is {first}\n"


def test_prune_names_what_it_deleted(store: Path, other: str) -> None:
    Registry(store).promote(other)
    newest = write_bundle(store, tiny_contents(n_items=24)).name
    Registry(store).promote(newest)
    assert run(store, "prune", "--keep", "1").stdout.startswith("deleted 1: 20240101T000000Z-")


def test_prune_of_nothing_says_so(store: Path) -> None:
    assert run(store, "prune").stdout == "deleted 0: none\n"


@pytest.mark.parametrize("command", ["show", "verify", "promote"])
def test_unknown_version_is_an_error(store: Path, command: str) -> None:
    result = run(store, command, "no-such-version")
    assert isinstance(result.exception, RegistryError)


def no_such_version(store: Path) -> str:
    return "error: no version 'nothing' in "


def store_is_a_file(store: Path) -> str:
    store.rename(store.with_name("elsewhere"))
    store.touch()
    return "error: there is no store at "


def current_is_a_folder(store: Path) -> str:
    (store / "current").unlink()
    (store / "current").mkdir()
    return "error: [Errno 21] Is a directory"


@pytest.mark.parametrize(
    ("spoil", "command", "code"),
    [
        (no_such_version, ["promote", "nothing"], 1),
        (store_is_a_file, ["prune"], 2),
        (store_is_a_file, ["list"], 2),
        (current_is_a_folder, ["list"], 1),
    ],
)
def test_error_is_one_line_and_a_status(
    store: Path, spoil: Callable[[Path], str], command: list[str], code: int
) -> None:
    expected = spoil(store)
    result = subprocess.run(
        [sys.executable, "-m", "models", *command, "--store", str(store)], capture_output=True, text=True
    )
    assert result.returncode == code
    assert result.stderr.startswith(expected)
    assert result.stderr.count("\n") == 1
