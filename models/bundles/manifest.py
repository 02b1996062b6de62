"""`manifest.json`: a bundle's files, its origin, what was measured, and what was chosen."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from models.attributes import AttributeEntry
from models.errors import ManifestInvalid, SchemaUnsupported
from models.known_items import ShopsRule

SCHEMA_VERSION = 8
"""The version that this code writes and reads. Before 7, a bundle has no clock of repurchases; before 6, a student
knew no kinds of events and ranked new items alone, so its answers would be wrong where own items are candidates."""


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file. shape and dtype are None for files that are not arrays."""

    sha256: str
    size_bytes: int
    shape: tuple[int, ...] | None = None
    dtype: str | None = None


class VocabularyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many ids there are, and their hash in row order."""

    n_ids: int
    sha256: str


class SharesEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The members whose shares in the ensemble's opinion the student estimates, and how good the estimates are.

    members: in the order of `member_weights.npy`. The other fields were measured on histories that the estimate was
    not fitted on. correlations: of estimated and true contributions, by member, without members whose contribution
    never varies. top_agreement: share of items whose strongest member is named correctly.
    """

    members: tuple[str, ...]
    correlations: dict[str, float]
    top_agreement: float


class IndexEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the catalogue is searched, and what that costs in recall.

    kind: "flat" searches every item, "inverted" searches n_probes of n_lists lists. recall: share of the exact best
    100 items that a search finds, on histories that nothing was fitted on, with no event held back; 1 if nothing is
    left out. curve: the recall by number of lists searched, as measured when n_probes was chosen.
    """

    kind: str = "flat"
    n_lists: int = 0
    n_probes: int = 0
    recall: float = 1.0
    curve: dict[str, float] = {}


class StudentEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The student that was shipped, and why this version was chosen.

    candidates: the evidence, which is each version's measured quality, latency and size. shares: what its
    explanations say of the ensemble's members. index: how its catalogue is searched. target: the name of the
    `EventKind` that it predicts. liked_from: the lowest rating that speaks for an item; lower ones are dislikes.
    """

    precision: str
    n_factors: int
    max_events: int
    reason: str
    candidates: dict[str, dict[str, float]]
    shares: SharesEntry
    index: IndexEntry = IndexEntry()
    target: str = "purchase"
    liked_from: float | None = None


class EnsembleEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the members were combined for the student's labels.

    margin: the lead in out-of-fold NDCG@20 over the next best strategy, with its 95 % interval; None if a strategy
    was named. ndcg: by each strategy compared.
    """

    strategy: str
    margin: float | None
    margin_interval: tuple[float, float] | None
    ndcg: dict[str, float]


class VariantsEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The variants besides the student: the ensemble and each of its members (`models/bundles/variants.py`).

    members: in the order in which the ensemble sees them. strategies: what combines them; a combination of others
    comes first and the combined ones after it. milliseconds: the time of one person's answer over the whole
    catalogue, by variant, on one thread of the machine that wrote the bundle. packages: where members of other
    packages come from, as "name==version" by member; left out if there are none, so that the hash stays.
    """

    members: tuple[str, ...]
    strategies: tuple[str, ...]
    milliseconds: dict[str, float]
    packages: dict[str, str] = {}


class TrainingEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bundle's origin: data, seed, settings, library versions, and metrics per model."""

    source: str
    seed: int
    settings: dict[str, Any]
    libraries: dict[str, str]
    metrics: dict[str, dict[str, dict[str, float]]]  # protocol -> model -> metric -> value
    ensemble: EnsembleEntry | None = None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole manifest. version: the bundle's folder name, made of creation time and content hash.

    variants: None for a bundle of the student alone. attributes: of items, in the order of their arrays. known_items:
    what lists do with a person's own items where a request does not say it.
    """

    schema_version: int
    version: str
    created_at: str  # ISO 8601, UTC
    feature_order: tuple[str, ...]
    items: VocabularyEntry
    people: VocabularyEntry
    student: StudentEntry
    training: TrainingEntry
    files: dict[str, FileEntry]
    variants: VariantsEntry | None = None
    attributes: tuple[AttributeEntry, ...] = ()
    known_items: ShopsRule = "rank"

    def content_hash(self) -> str:
        """Hash everything but the version, which contains the hash's first 12 digits; sha256."""
        return sha256(_encode(msgspec.structs.replace(self, version=""))).hexdigest()

    def expected_version(self) -> str:
        """Return creation time and content hash: the only name under which this manifest is valid."""
        compact = self.created_at.replace("-", "").replace(":", "")
        return f"{compact}-{self.content_hash()[:12]}"

    def to_json(self) -> bytes:
        """Return the manifest as indented JSON, for a file and for people."""
        return msgspec.json.format(_encode(self), indent=1)


def parse_manifest(raw: bytes) -> Manifest:
    """Read a manifest.

    Raises SchemaUnsupported for another schema version, ManifestInvalid for any other fault,
    including a version that does not fit the content.
    """
    try:
        head = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestInvalid(f"manifest.json is not JSON (truncated?): {error}") from error
    found = head.get("schema_version") if isinstance(head, dict) else None
    if type(found) is int and found != SCHEMA_VERSION:  # for isinstance, JSON's true is an int
        raise SchemaUnsupported(
            f"manifest.json has schema version {found}, this code reads {SCHEMA_VERSION}; "
            "use the Stillroom release that wrote it, or train again"
        )
    try:
        manifest = msgspec.convert(head, Manifest)
    except msgspec.ValidationError as error:
        raise ManifestInvalid(f"manifest.json: {error}") from error
    expected = manifest.expected_version()
    if manifest.version != expected:
        raise ManifestInvalid(
            f"manifest.json says version {manifest.version!r}, its content makes {expected!r}: it was edited"
        )
    return manifest


def _encode(manifest: Manifest) -> bytes:
    return msgspec.json.encode(manifest, order="deterministic")
