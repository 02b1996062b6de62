"""The registry: a store folder of bundles and a `current` file that names the one in service.

`current` has one version per line, the newest promotion first, and is only ever replaced by an atomic rename;
rolling back drops its first line. The files are plain, readable with `cat`, and readers need no lock; promoting,
rolling back and pruning wait for each other.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from models.bundles.bundle import WRITING_LOCK, read_bundle
from models.bundles.files import MANIFEST, sync_folder
from models.bundles.locks import lock, lock_if_free
from models.errors import NothingPromoted, RegistryError, StoreMissing

DEFAULT_STORE = Path("models/store")
MAX_PROMOTIONS_KEPT = 50
LOCK = ".lock"


@dataclass(frozen=True)
class Registry:
    """The bundles under one folder."""

    store: Path

    def require_store(self) -> None:
        """Raise StoreMissing if there is no folder."""
        if not self.store.is_dir():
            raise StoreMissing(f"there is no store at {self.store}; train, or name another with --store")

    def versions(self) -> list[str]:
        """List every bundle in the store, oldest first."""
        if not self.store.is_dir():
            return []
        return sorted(
            folder.name
            for folder in self.store.iterdir()
            if not folder.name.startswith(".") and (folder / MANIFEST).is_file()
        )

    def promotions(self) -> list[str]:
        """List promoted versions, the current one first; empty if nothing was promoted yet."""
        try:
            return (self.store / "current").read_text("utf-8", errors="replace").split()
        except FileNotFoundError:
            return []

    def current(self) -> str:
        """Return the version in service. Raises NothingPromoted."""
        promotions = self.promotions()
        if not promotions:
            raise NothingPromoted(
                f"nothing is promoted in {self.store}; `make train` trains a bundle and promotes it, and "
                "`python -m models promote VERSION` promotes one that is in the store already"
            )
        return promotions[0]

    def promoted_ns(self) -> int:
        """Return when `current` was last written, Unix nanoseconds; 0 if nothing was promoted yet. Promoting the
        current version again writes it again.
        """
        try:
            return (self.store / "current").stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def path(self, version: str) -> Path:
        """Return the folder of a version. Raises RegistryError naming the existing versions."""
        if version not in self.versions():
            held = ", ".join(self.versions()) or "none"
            raise RegistryError(f"no version {version!r} in {self.store}; it holds: {held}")
        return self.store / version

    def promote(self, version: str, is_verified: bool = False) -> None:
        """Verify a bundle fully and make it current. On a RegistryError or BundleError nothing has changed.

        is_verified: the caller has it loaded, so it need not be read once more.
        """
        with self._changing():
            if not is_verified:
                self._verify(version)
            self._write_promotions([self.path(version).name, *self.promotions()])

    def roll_back(self, is_verified: bool = False) -> str:
        """Make the previously promoted version current again and return it.

        is_verified: the caller has it loaded, so it need not be read once more.
        Raises RegistryError if there is none, or BundleError if it does not verify.
        """
        with self._changing():
            promotions = self.promotions()
            if len(promotions) < 2:
                raise RegistryError(
                    f"nothing to roll back to: {self.store} has {len(promotions)} promotion(s)"
                )
            if not is_verified:
                self._verify(promotions[1])
            self._write_promotions(promotions[1:])
            return promotions[1]

    def prune(self, keep: int) -> list[str]:
        """Delete all but the newest `keep` bundles and return the deleted versions.

        The current bundle and the one a roll back would take are never deleted. Left-overs of interrupted
        writes are deleted too, unless somebody is writing now. Raises RegistryError for keep < 1.
        """
        if keep < 1:
            raise RegistryError(f"prune keeps at least 1 bundle, {keep} was asked")
        with self._changing():
            promotions, versions = self.promotions(), self.versions()
            protected = {*promotions[:2], *versions[-keep:]}
            doomed = [version for version in versions if version not in protected]
            if doomed:
                self._write_promotions([version for version in promotions if version not in doomed])
            for version in doomed:
                self._delete(self.store / version)
            self._clear_leftovers()
        return doomed

    def _verify(self, version: str) -> None:
        """Verify every file, and that graphs load and fit. `replay_golden` checks answers where they are served."""
        bundle = read_bundle(self.path(version))
        bundle.load_student()
        if bundle.manifest.variants is not None:
            bundle.load_variants()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock of all changes to the store."""
        self.require_store()
        with lock(self.store / LOCK):
            yield

    def _delete(self, folder: Path) -> None:
        """Hide the folder in one step before deleting it, so that nobody ever sees half a bundle."""
        if folder.is_symlink():
            folder.unlink()
            return
        hidden = self.store / f".deleting-{secrets.token_hex(6)}"
        folder.rename(hidden)
        shutil.rmtree(hidden)

    def _clear_leftovers(self) -> None:
        for leftover in self.store.glob(".deleting-*"):
            shutil.rmtree(leftover)
        for leftover in self.store.glob(".current-*"):
            leftover.unlink()
        with lock_if_free(self.store / WRITING_LOCK) as nobody_writes:
            for leftover in self.store.glob(".writing-*") if nobody_writes else ():
                shutil.rmtree(leftover)

    def _write_promotions(self, versions: list[str]) -> None:
        """Replace `current`; a version that was promoted twice in a row is named once."""
        kept = [version for version, _ in groupby(versions)][:MAX_PROMOTIONS_KEPT]
        temporary = self.store / f".current-{secrets.token_hex(6)}"
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.writelines(f"{version}\n" for version in kept)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.store / "current")
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(self.store)
