"""The registry: a store folder of bundles and a `current` file that names the one in service.

`current` has one version a line, the newest promotion first, and is only ever replaced by an atomic rename;
rolling back drops its first line. Plain files, readable with `cat`, no lock needed by readers.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from models.bundle import MANIFEST, read_bundle
from models.errors import RegistryError

DEFAULT_STORE = Path("models/store")
MAX_PROMOTIONS_KEPT = 50


@dataclass(frozen=True)
class Registry:
    """The bundles under one folder."""

    store: Path

    def versions(self) -> list[str]:
        """Every bundle in the store, oldest first."""
        if not self.store.is_dir():
            return []
        return sorted(
            folder.name
            for folder in self.store.iterdir()
            if not folder.name.startswith(".") and (folder / MANIFEST).is_file()
        )

    def promotions(self) -> list[str]:
        """Promoted versions, the current one first; empty where nothing was promoted yet."""
        try:
            return (self.store / "current").read_text().split()
        except FileNotFoundError:
            return []

    def current(self) -> str:
        """The version in service. Raises RegistryError where nothing was promoted."""
        promotions = self.promotions()
        if not promotions:
            raise RegistryError(
                f"nothing is promoted in {self.store}; train, then `python -m models promote`"
            )
        return promotions[0]

    def path(self, version: str) -> Path:
        """The folder of a version. Raises RegistryError naming the versions there are."""
        if version not in self.versions():
            held = ", ".join(self.versions()) or "none"
            raise RegistryError(f"no version {version!r} in {self.store}; it holds: {held}")
        return self.store / version

    def promote(self, version: str) -> None:
        """Verify a bundle fully and make it current. On a RegistryError or BundleError nothing moved."""
        read_bundle(self.path(version))
        promotions = self.promotions()
        if promotions[:1] != [version]:
            self._write_promotions([version, *promotions])

    def roll_back(self) -> str:
        """Make the previously promoted version current again and return it.

        Raises RegistryError where there is none, or BundleError where it does not verify.
        """
        promotions = self.promotions()
        if len(promotions) < 2:
            raise RegistryError(f"nothing to roll back to: {self.store} has {len(promotions)} promotion(s)")
        read_bundle(self.path(promotions[1]))
        self._write_promotions(promotions[1:])
        return promotions[1]

    def prune(self, keep: int) -> list[str]:
        """Delete all but the newest `keep` bundles and return the deleted versions.

        The current bundle and the one a roll back would take are never deleted. Left-overs of interrupted
        writes go too. Raises RegistryError for keep < 1.
        """
        if keep < 1:
            raise RegistryError(f"prune keeps at least 1 bundle, {keep} was asked")
        protected = {*self.promotions()[:2], *self.versions()[-keep:]}
        doomed = [version for version in self.versions() if version not in protected]
        for version in doomed:
            shutil.rmtree(self.store / version)
        for leftover in self.store.glob(".writing-*"):
            shutil.rmtree(leftover)
        self._write_promotions([version for version in self.promotions() if version not in doomed])
        return doomed

    def _write_promotions(self, versions: list[str]) -> None:
        temporary = self.store / f".current-{secrets.token_hex(6)}"
        with temporary.open("w") as file:
            file.writelines(f"{version}\n" for version in versions[:MAX_PROMOTIONS_KEPT])
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.store / "current")
