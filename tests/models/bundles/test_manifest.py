"""The manifest: refused when it is from another time, not itself, or touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from models.bundles.bundle import read_bundle, read_manifest
from models.bundles.files import MANIFEST
from models.bundles.manifest import SCHEMA_VERSION, Manifest, parse_manifest
from models.errors import BundleMissing, ManifestInvalid, PathEscapes, SchemaUnsupported


@pytest.fixture(scope="module")
def raw(pristine: Path) -> bytes:
    return (pristine / MANIFEST).read_bytes()


def edited(raw: bytes, **changes: Any) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(raw), **changes})


def test_manifest_comes_back_from_its_json(raw: bytes) -> None:
    assert parse_manifest(raw).to_json() == raw


def test_version_is_creation_time_and_content_hash(raw: bytes) -> None:
    manifest = parse_manifest(raw)
    assert manifest.version == f"20240101T000000Z-{manifest.content_hash()[:12]}"


def test_hash_does_not_depend_on_the_order_of_files(raw: bytes) -> None:
    manifest = parse_manifest(raw)
    turned = msgspec.structs.replace(manifest, files=dict(reversed(manifest.files.items())))
    assert turned.content_hash() == manifest.content_hash()


@pytest.mark.parametrize("found", [SCHEMA_VERSION + 1, SCHEMA_VERSION - 1, 0, 99])
def test_other_schema_is_refused_with_what_to_do(raw: bytes, found: int) -> None:
    with pytest.raises(SchemaUnsupported, match=f"schema version {found}, this code reads 8.*train again"):
        parse_manifest(edited(raw, schema_version=found))


def test_other_schema_of_another_shape_is_still_called_another_schema() -> None:
    with pytest.raises(SchemaUnsupported):
        parse_manifest(b'{"schema_version": 99, "everything": "else"}')


OPTIONAL = ("variants", "attributes", "known_items")


@pytest.mark.parametrize("field", [name for name in Manifest.__struct_fields__ if name not in OPTIONAL])
def test_missing_field_is_named(raw: bytes, field: str) -> None:
    content = msgspec.json.decode(raw)
    del content[field]
    with pytest.raises(ManifestInvalid, match=field):
        parse_manifest(msgspec.json.encode(content))


@pytest.mark.parametrize(
    "raw_bytes",
    [b"", b"null", b"[]", b'"{}"', b"{", b"\xff", b'{"a": "\xff"}', b"[" * 100_000, b"{}", b'{"schema_version": ""}'],
    ids=["empty", "null", "list", "text", "cut", "binary", "not UTF-8", "deep", "no fields", "version as text"],
)  # fmt: skip
def test_anything_else_is_refused(raw_bytes: bytes) -> None:
    with pytest.raises(ManifestInvalid, match=r"^manifest\.json"):
        parse_manifest(raw_bytes)


@pytest.mark.parametrize(
    "changes",
    [
        {"created_at": "2030-01-01T00:00:00Z"},
        {"version": "20240101T000000Z-000000000000"},
        {"version": "../elsewhere"},
        {"feature_order": ["item_row"]},
        {"files": {}},
        {"unheard_of": 1},
        {"schema_version": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_edited_manifest_is_refused(raw: bytes, changes: dict[str, Any]) -> None:
    with pytest.raises(ManifestInvalid, match=r"^manifest\.json"):
        parse_manifest(edited(raw, **changes))


def test_no_byte_can_be_changed_or_cut_off(raw: bytes) -> None:
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises((ManifestInvalid, SchemaUnsupported)):
            parse_manifest(bytes(changed))
    for length in range(0, len(raw), 101):
        with pytest.raises(ManifestInvalid):
            parse_manifest(raw[:length])


def test_renamed_folder_is_refused(bundle: Path) -> None:
    with pytest.raises(ManifestInvalid, match=r"'other' holds the bundle '20240101.*renamed"):
        read_manifest(bundle.rename(bundle.with_name("other")))


def no_folder(bundle: Path) -> None:
    bundle.rename(bundle.with_name("away"))


def a_file(bundle: Path) -> None:
    no_folder(bundle)
    bundle.touch()


def no_manifest(bundle: Path) -> None:
    (bundle / MANIFEST).unlink()


def manifest_is_a_folder(bundle: Path) -> None:
    no_manifest(bundle)
    (bundle / MANIFEST).mkdir()


@pytest.mark.parametrize("spoil", [no_folder, a_file, no_manifest, manifest_is_a_folder])
def test_place_without_a_bundle_is_named(bundle: Path, spoil: Any) -> None:
    spoil(bundle)
    with pytest.raises(BundleMissing, match=bundle.name):
        read_bundle(bundle)


def test_manifest_that_is_a_link_is_refused(bundle: Path) -> None:
    (bundle / MANIFEST).rename(bundle.parent / MANIFEST)
    (bundle / MANIFEST).symlink_to(bundle.parent / MANIFEST)
    with pytest.raises(PathEscapes, match=MANIFEST):
        read_bundle(bundle)
