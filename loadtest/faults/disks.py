"""A small separate disk that can be full while the machine's disk is not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtest.errors import ServerMissing


@contextmanager
def small_disk(folder: Path, n_bytes: int) -> Iterator[None]:
    """Make the folder a disk of this size within the block. Raises ServerMissing if this user may not mount one."""
    folder.mkdir()
    options = f"size={n_bytes},mode=0700"
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "stillroom-drill", str(folder)],
            capture_output=True,
            text=True,
        )
    except OSError as error:
        raise ServerMissing(f"no mount command: {error}") from error
    if mounted.returncode:
        raise ServerMissing(
            f"a disk of its own cannot be mounted ({mounted.stderr.strip()}): run the drill as root, in a container "
            "with --cap-add SYS_ADMIN, or leave this row out"
        )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def fill(folder: Path) -> Path:
    """Write until nothing more fits, and return the file that takes all the room."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as opened:
        for size in (65_536, 4096, 1):
            try:
                while opened.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue
    return filler
