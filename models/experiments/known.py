"""Tells what the bundles of a store can serve, from their manifests, without loading anything."""

from __future__ import annotations

from collections.abc import Collection

from models.bundles.files import MANIFEST
from models.bundles.manifest import Manifest, parse_manifest
from models.bundles.registry import Registry
from models.bundles.variants import ENSEMBLE, STUDENT
from models.errors import StillroomError
from models.experiments.declaration import CURRENT
from models.experiments.reading import KnownVariants


def known_variants(registry: Registry) -> KnownVariants:
    """Return a function from a version, or "current", to the variants that it can serve; None if there is none."""

    def variants(version: str) -> Collection[str] | None:
        try:
            named = registry.current() if version == CURRENT else version
            manifest = parse_manifest((registry.path(named) / MANIFEST).read_bytes())
        except (StillroomError, OSError):
            return None
        return variants_of(manifest)

    return variants


def variants_of(manifest: Manifest) -> frozenset[str]:
    """Return the student, and every other variant whose parameters the bundle carries."""
    if manifest.variants is None:
        return frozenset({STUDENT})
    return frozenset({STUDENT, ENSEMBLE, *manifest.variants.members})
