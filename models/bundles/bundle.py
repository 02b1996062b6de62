"""The bundle: an immutable folder that training writes once and any number of services read.

    manifest.json       what is here, with a sha256 and size of each file
    user_tower.onnx     events to user vectors
    *.npy               item metadata, student tables, the catalogue's index, members' shares, text encoder,
                        everybody's recent history, all memory-mapped
    golden.json         requests with their answers     reference.json   histograms for drift
    variant_*           the ensemble and its members, where the bundle carries them (`models/bundles/variants.py`)

Nothing in it is a pickle. Everything is verified before it is used: variants when they are requested, all else when
the bundle is read.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.bundles.consistency import check_arrays, check_attributes, check_golden
from models.bundles.files import (
    MANIFEST,
    check_hashes,
    check_listing,
    read_array,
    read_json,
    sync_folder,
    write_array,
    write_file,
)
from models.bundles.golden import Golden
from models.bundles.locks import lock
from models.bundles.manifest import (
    SCHEMA_VERSION,
    FileEntry,
    Manifest,
    StudentEntry,
    TrainingEntry,
    VariantsEntry,
    VocabularyEntry,
    parse_manifest,
)
from models.bundles.variants import GOLDEN_FILE, PREFIX, Variants, VariantsGolden, replay_variants
from models.errors import (
    BundleInconsistent,
    BundleMissing,
    FeaturesReordered,
    FileMissing,
    ManifestInvalid,
    PathEscapes,
    VariantUnknown,
    VocabularyMismatch,
)
from models.history import FEATURE_ORDER, EventKind
from models.items import Items
from models.known_items import OwnItems, ShopsRule
from models.member_shares import MemberShares
from models.packed_histories import ColdHistories, Histories
from models.student import Student, StudentFiles
from models.text import TextEncoder
from models.vocabulary import Vocabulary

WRITING_LOCK = ".writing.lock"
"""Shared by all writers of bundles, so that a folder that is being written is not mistaken for a left-over."""

BLOBS = ("user_tower.onnx", "golden.json", "reference.json")

Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class VariantsContents:
    """What goes into a bundle besides the student, with its entry in the manifest."""

    variants: Variants
    golden: VariantsGolden
    entry: VariantsEntry


@dataclass(frozen=True)
class BundleContents:
    """Everything that goes into a bundle. reference: histograms for drift, JSON-serialisable. variants: None for a
    bundle of the student alone. known_items: see `Manifest`.
    """

    items: Items
    people: ColdHistories
    student: StudentFiles
    member_shares: MemberShares
    text_encoder: TextEncoder
    golden: Golden
    reference: dict[str, Any]
    student_entry: StudentEntry
    training_entry: TrainingEntry
    variants: VariantsContents | None = None
    known_items: ShopsRule = "rank"


@dataclass(frozen=True)
class Bundle:
    """A verified bundle; its arrays are memory-mapped."""

    path: Path
    manifest: Manifest
    items: Items
    people: ColdHistories
    student_files: StudentFiles
    member_shares: MemberShares
    text_encoder: TextEncoder
    golden: Golden
    reference: dict[str, Any]

    @property
    def version(self) -> str:
        """The bundle's name: creation time and content hash."""
        return self.manifest.version

    @property
    def own_items(self) -> OwnItems:
        """What lists do with a person's own items where a request does not say it."""
        return OwnItems(self.manifest.known_items, EventKind[self.manifest.student.target.upper()])

    def load_student(self, *, n_threads: int = 1) -> Student:
        """Start the student of this bundle."""
        return Student(self.student_files, n_threads=n_threads, max_events=self.manifest.student.max_events)

    def load_variants(self, *, is_gentle: bool = False) -> Variants:
        """Verify and map the ensemble and its members, and replay their golden requests.

        is_gentle: as in `read_bundle`. Raises VariantUnknown for a bundle of the student alone, and a BundleError
        that names what is wrong.
        """
        entry = self.manifest.variants
        if entry is None:
            raise VariantUnknown(
                f"bundle {self.version} carries its student alone; to have its ensemble too, train again with "
                f"max_variant_items at or above the {len(self.items):,} items there are"
            )
        files = {name: each for name, each in self.manifest.files.items() if name.startswith(PREFIX)}
        if GOLDEN_FILE not in files:
            raise FileMissing(f"the manifest lists no {GOLDEN_FILE}; this bundle is incomplete")
        check_hashes(self.path, files, is_gentle=is_gentle)
        variants = Variants.from_arrays(_read_arrays(self.path, files), entry, len(self.items))
        golden = read_json(self.path / GOLDEN_FILE, VariantsGolden)
        replay_variants(variants, golden, self.items.recommendable)
        return variants


def write_bundle(store: Path, contents: BundleContents, *, now: datetime | None = None) -> Path:
    """Write a bundle into a store and return its folder.

    Everything is written to a hidden temporary folder, synced and renamed, so a crash leaves nothing that a
    reader would see. Writing what is already there, second and contents, gives the folder that is there.
    now: creation time, UTC; the clock's if None. Raises BundleInconsistent, before it writes anything, for
    contents that `read_bundle` would refuse, ManifestInvalid for a manifest that JSON cannot hold, and a
    BundleError if what is already there does not verify.
    """
    arrays = _bundle_arrays(contents)
    _check_contents(contents, arrays)
    store.mkdir(parents=True, exist_ok=True)
    with lock(store / WRITING_LOCK, is_shared=True):
        temporary = store / f".writing-{secrets.token_hex(6)}"
        temporary.mkdir()
        try:
            files = _write_files(temporary, contents, arrays)
            manifest = _manifest(contents, files, now or datetime.now(UTC))
            write_file(temporary / MANIFEST, manifest.to_json())
            sync_folder(temporary)
            final = _put_in_place(temporary, store / manifest.version)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(store)
    return final


def read_bundle(path: Path, *, is_gentle: bool = False) -> Bundle:
    """Read a bundle and verify all but its variants. is_gentle: let others go first while its files are hashed.

    Raises a BundleError that names what is wrong: a missing, extra, truncated or altered file, a path that
    leaves the folder, another schema version, reordered features, ids that hash to another value, files that
    do not fit together.
    """
    manifest = read_manifest(path)
    check_listing(path, manifest, is_gentle=is_gentle, unhashed=(PREFIX,))
    for name in BLOBS:
        if name not in manifest.files:
            raise FileMissing(f"the manifest lists no {name}; this bundle is incomplete")
    if manifest.feature_order != FEATURE_ORDER:
        raise FeaturesReordered(
            f"the student reads {list(manifest.feature_order)}, this code feeds {list(FEATURE_ORDER)}"
        )
    arrays = _read_arrays(
        path, {name: each for name, each in manifest.files.items() if not name.startswith(PREFIX)}
    )
    check_arrays(arrays, manifest.student)
    check_attributes(arrays, manifest.attributes)
    items = Items.from_arrays(arrays, manifest.attributes)
    people = ColdHistories(
        Vocabulary.from_arrays(arrays, "user_ids"), Histories.from_arrays(arrays, "histories")
    )
    _check_vocabulary("items", items.vocabulary, manifest.items)
    _check_vocabulary("people", people.people, manifest.people)
    golden = read_json(path / "golden.json", Golden)
    check_golden(golden, arrays)
    people.expect_random_reads()
    return Bundle(
        path,
        manifest,
        items,
        people,
        _student_files(path, arrays, manifest),
        MemberShares.from_arrays(arrays, manifest.student.shares.members),
        TextEncoder.from_arrays(arrays),
        golden,
        reference=read_json(path / "reference.json", dict[str, Any]),
    )


def verify_files(path: Path, *, is_gentle: bool = False, only_variants: bool = False) -> None:
    """Check the files of a bundle that was read before against its manifest.

    only_variants: check only those that `read_bundle` leaves out. is_gentle and errors are as in `check_listing`.
    """
    manifest = read_manifest(path)
    read = tuple(name for name in manifest.files if not name.startswith(PREFIX)) if only_variants else ()
    check_listing(path, manifest, is_gentle=is_gentle, unhashed=read)


def read_manifest(path: Path) -> Manifest:
    """Read the manifest alone, checking it against the folder's name. Raises a BundleError."""
    if (path / MANIFEST).is_symlink():
        raise PathEscapes(f"{path / MANIFEST} is a link; a bundle's files lie directly in its folder")
    try:
        raw = (path / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise BundleMissing(f"no bundle at {path}: there is no {MANIFEST}") from error
    manifest = parse_manifest(raw)
    if path.name != manifest.version:
        raise ManifestInvalid(f"folder {path.name!r} holds the bundle {manifest.version!r}: it was renamed")
    return manifest


def _read_arrays(path: Path, files: Mapping[str, FileEntry]) -> dict[str, npt.NDArray[Any]]:
    return {
        name.removesuffix(".npy"): read_array(path / name, entry)
        for name, entry in files.items()
        if name.endswith(".npy")
    }


def _bundle_arrays(contents: BundleContents) -> Arrays:
    return {
        **contents.items.arrays(),
        **contents.people.people.arrays("user_ids"),
        **contents.people.histories.arrays("histories"),
        **contents.text_encoder.arrays(),
        **contents.student.arrays(),
        **contents.member_shares.arrays(),
        **({} if contents.variants is None else contents.variants.variants.arrays()),
    }


def _check_contents(contents: BundleContents, arrays: Arrays) -> None:
    if contents.student.precision != contents.student_entry.precision:
        raise BundleInconsistent(
            f"the student is {contents.student.precision}, its entry says {contents.student_entry.precision}"
        )
    index, entry = contents.student.index, contents.student_entry.index
    if (index.kind, index.n_lists, index.n_probes) != (entry.kind, entry.n_lists, entry.n_probes):
        raise BundleInconsistent(
            f"the index is {index.kind} with {index.n_probes} of {index.n_lists} lists looked into, "
            f"its entry says {entry.kind} with {entry.n_probes} of {entry.n_lists}"
        )
    named, told = contents.member_shares.members, contents.student_entry.shares.members
    if named != told:
        raise BundleInconsistent(f"shares are of the members {list(named)}, their entry says {list(told)}")
    check_arrays(arrays, contents.student_entry)
    check_attributes(arrays, contents.items.attributes.entries())
    check_golden(contents.golden, arrays)
    if contents.variants is not None:
        variants = Variants.from_arrays(arrays, contents.variants.entry, len(contents.items))
        replay_variants(variants, contents.variants.golden, contents.items.recommendable)


def _student_files(path: Path, arrays: Mapping[str, npt.NDArray[Any]], manifest: Manifest) -> StudentFiles:
    return StudentFiles.from_arrays(
        arrays,
        user_tower=(path / "user_tower.onnx").read_bytes(),
        n_probes=manifest.student.index.n_probes,
        precision=manifest.student.precision,
    )


def _write_files(folder: Path, contents: BundleContents, arrays: Arrays) -> dict[str, FileEntry]:
    blobs = (
        contents.student.user_tower,
        msgspec.json.encode(contents.golden),
        msgspec.json.encode(contents.reference),
    )
    entries = {name: write_file(folder / name, blob) for name, blob in zip(BLOBS, blobs, strict=True)}
    if contents.variants is not None:
        golden = msgspec.json.encode(contents.variants.golden)
        entries[GOLDEN_FILE] = write_file(folder / GOLDEN_FILE, golden)
    for name, array in arrays.items():
        entries[f"{name}.npy"] = write_array(folder / f"{name}.npy", array)
    return entries


def _manifest(contents: BundleContents, files: dict[str, FileEntry], now: datetime) -> Manifest:
    items, people = contents.items.vocabulary, contents.people.people
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        version="",
        created_at=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        feature_order=FEATURE_ORDER,
        items=VocabularyEntry(len(items), items.sha256()),
        people=VocabularyEntry(len(people), people.sha256()),
        student=contents.student_entry,
        training=contents.training_entry,
        files=files,
        variants=None if contents.variants is None else contents.variants.entry,
        attributes=contents.items.attributes.entries(),
        known_items=contents.known_items,
    )
    manifest = msgspec.structs.replace(manifest, version=manifest.expected_version())
    return parse_manifest(manifest.to_json())  # some values, such as a NaN metric, cannot be read back


def _put_in_place(temporary: Path, final: Path) -> Path:
    """Rename, or verify what has this name already: a name is a hash of contents, so it is the same bundle."""
    try:
        temporary.rename(final)
    except OSError:  # two writers may arrive here together, so checking before would not help
        if not final.exists():
            raise
        read_bundle(final)
    return final


def _check_vocabulary(kind: str, vocabulary: Vocabulary, entry: VocabularyEntry) -> None:
    found = VocabularyEntry(len(vocabulary), vocabulary.sha256())
    if found != entry:
        raise VocabularyMismatch(
            f"the {kind} hash to {found.sha256[:12]}… ({found.n_ids} ids), "
            f"the manifest says {entry.sha256[:12]}… ({entry.n_ids} ids)"
        )
