"""Folders and files about people: only the service's own account may read them."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from pathlib import Path

logger = logging.getLogger(__name__)

FOLDER_MODE, FILE_MODE = 0o700, 0o600


def make_private_folder(folder: Path) -> None:
    """Make a folder and its parents; an existing one is closed to others. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    _close_to_others(folder, FOLDER_MODE)


def open_private(file: Path, flags: int) -> int:
    """Return a descriptor; the flags may create the file, which is closed to others. Raises OSError."""
    descriptor = os.open(file, flags | os.O_CLOEXEC, FILE_MODE)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            _close_to_others(file, FILE_MODE)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write_private(file: Path, data: bytes) -> None:
    """Write a whole small file. Raises OSError."""
    descriptor = open_private(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with os.fdopen(descriptor, "wb") as writing:
        writing.write(data)


def _close_to_others(path: Path, mode: int) -> None:
    if not path.stat().st_mode & 0o077:
        return
    try:
        path.chmod(mode)
    except PermissionError:  # it belongs to another account, which lets us in
        _warn_once(path)


@lru_cache(256)
def _warn_once(path: Path) -> None:
    logger.warning("%s is open to others and not ours to close; it holds what people did: chmod go-rwx", path)
