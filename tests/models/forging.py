"""Bundles that are wrong on the inside: every file hashes, the folder's name fits, and yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.bundles.bundle import BLOBS, read_manifest
from models.bundles.consistency import LAYOUT, TABLES
from models.bundles.files import MANIFEST, write_array, write_file
from models.bundles.manifest import FileEntry, Manifest
from tests.support.bundles import tiny_attributes

ARRAYS = sorted([*LAYOUT, *TABLES["fp32"], "neighbour_items", *tiny_attributes().arrays()])
"""Every array of a bundle."""

FILES = sorted([*BLOBS, *(f"{name}.npy" for name in ARRAYS)])
"""Every file that a bundle lists."""


def reseal(
    bundle: Path,
    *,
    arrays: Mapping[str, npt.NDArray[Any]] | None = None,
    blobs: Mapping[str, bytes] | None = None,
    dropped: Iterable[str] = (),
    entries: Mapping[str, FileEntry] | None = None,
    **fields: Any,
) -> Path:
    """Change a bundle as a faulty writer would have written it and return its new folder.

    arrays and blobs: contents by name. dropped: files to leave out. entries and fields: what the manifest says.
    """
    manifest = read_manifest(bundle)
    files = dict(manifest.files)
    for name, array in (arrays or {}).items():
        files[f"{name}.npy"] = write_array(bundle / f"{name}.npy", array)
    for name, blob in (blobs or {}).items():
        files[name] = msgspec.structs.replace(
            write_file(bundle / name, blob),
            shape=files[name].shape if name in files else None,
            dtype=files[name].dtype if name in files else None,
        )
    for name in dropped:
        (bundle / name).unlink()
        del files[name]
    return seal(bundle, msgspec.structs.replace(manifest, files={**files, **(entries or {})}, **fields))


def seal(bundle: Path, manifest: Manifest) -> Path:
    """Give a manifest the version that fits it, write it and rename the folder."""
    manifest = msgspec.structs.replace(manifest, version=manifest.expected_version())
    (bundle / MANIFEST).write_bytes(manifest.to_json())
    return bundle.rename(bundle.with_name(manifest.version))


def array_of(bundle: Path, name: str) -> npt.NDArray[Any]:
    """A copy of one array of a bundle, to spoil."""
    return np.load(bundle / f"{name}.npy").copy()
