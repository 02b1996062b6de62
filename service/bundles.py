"""The bundle in service: loaded, verified and warmed before a request sees it, replaced when another is promoted.

A bundle that does not verify is refused and the one in service goes on.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from models.bundle import read_bundle, verify_files
from models.errors import StillroomError, VariantUnknown
from models.experiments.declaration import CURRENT
from models.registry import Registry
from service.errors import NotReady
from service.metrics import Metrics
from service.serving import ServingBundle

logger = logging.getLogger(__name__)


class BundleHolder:
    """store: the registry's folder. max_batch: what the student is warmed up with."""

    def __init__(self, store: Path, metrics: Metrics, *, max_batch: int, poll_seconds: float) -> None:
        self._registry = Registry(store)
        self._metrics = metrics
        self._max_batch = max_batch
        self._poll_seconds = poll_seconds
        self._serving: ServingBundle | None = None
        self._held: dict[str, ServingBundle] = {}
        self._with_variants: frozenset[str] = frozenset()
        self._previous: ServingBundle | None = None
        """What was in service before, kept loaded so that a roll back is one assignment."""
        self._prepared: ServingBundle | None = None
        self._refused: str | None = None
        self._following = asyncio.Lock()

    @property
    def is_ready(self) -> bool:
        """A verified bundle is in service."""
        return self._serving is not None

    def serving(self) -> ServingBundle:
        """The bundle for one whole request. Raises NotReady before the first one is verified."""
        if self._serving is None:
            raise NotReady("no bundle has been loaded and verified yet; see /health/ready")
        return self._serving

    def holding(self, version: str) -> ServingBundle | None:
        """A version that is loaded, "current" among them; None for any other."""
        if version == CURRENT:
            return self._serving
        for loaded in (self._serving, self._previous, self._prepared):
            if loaded is not None and loaded.version == version:
                return loaded
        return self._held.get(version)

    @asynccontextmanager
    async def prepared(self, version: str) -> AsyncIterator[None]:
        """Have a version loaded and verified inside, so that to promote it is one assignment, and a bad one is never
        current: all of its files as they are on disk now, since others will read them. Raises BundleRefused.
        """
        async with self._following:
            is_held = self.holding(version) is not None
            if not is_held:
                self._prepared = await asyncio.to_thread(self._load_beside, version)
            await asyncio.to_thread(self._verify_files, version, only_variants=not is_held)
        try:
            yield
        finally:
            self._prepared = None

    async def hold(self, versions: frozenset[str], with_variants: frozenset[str] = frozenset()) -> None:
        """Keep these in service beside the current one, and no others any more.

        with_variants: those that answer as their ensemble or a member too, "current" among them. Raises BundleRefused
        for one that does not verify or is not there, and then nothing has changed.
        """
        async with self._following:
            loaded: dict[str, ServingBundle] = {}
            for version in sorted(versions):
                kept = self.holding(version)
                if kept is None:
                    kept = await asyncio.to_thread(self._load_beside, version)
                loaded[version] = kept
            for version in sorted(with_variants):
                serving = self._serving if version == CURRENT else loaded[version]
                if serving is not None:  # before the first one is loaded, `_load_beside` sees to it
                    await asyncio.to_thread(_load_variants, serving)
            self._held, self._with_variants = loaded, with_variants
            self._let_go_of_variants()

    async def watch(self) -> None:
        """Follow `current` until cancelled."""
        while True:
            await self.follow()
            await asyncio.sleep(self._poll_seconds)

    async def follow(self) -> None:
        """Load what is promoted now, unless it is in service already or was refused before."""
        async with self._following:  # one load at a time
            try:
                version = await asyncio.to_thread(self._registry.current)
                if version in (self._refused, self._serving and self._serving.version):
                    return
                loaded = self.holding(version)
                if loaded is None:
                    loaded = await asyncio.to_thread(self._load, version)
                elif CURRENT in self._with_variants:
                    await asyncio.to_thread(_load_variants_if_any, loaded)
            except (StillroomError, OSError, ValueError) as error:
                self._refuse(error)
            else:
                retired = [self._previous]
                self._swap(loaded)
                await asyncio.to_thread(retired.clear)  # 14 ms for a large one, which nobody is to wait for

    def _load(self, version: str) -> ServingBundle:
        try:
            return self._load_beside(version)
        except BundleRefused:
            self._refused = version
            raise

    def _load_beside(self, version: str) -> ServingBundle:
        """Everything that can go wrong with a bundle goes wrong here, on a thread beside the requests."""
        try:
            is_gentle = self._serving is not None
            loaded = ServingBundle(read_bundle(self._registry.path(version), is_gentle=is_gentle))
            loaded.replay_golden()
            loaded.warm_up(self._max_batch)
            if CURRENT in self._with_variants:
                _load_variants_if_any(loaded)
        except Exception as error:
            raise BundleRefused(f"bundle {version} is refused: {type(error).__name__}: {error}") from error
        return loaded

    def _verify_files(self, version: str, *, only_variants: bool) -> None:
        try:
            verify_files(self._registry.path(version), is_gentle=True, only_variants=only_variants)
        except (StillroomError, OSError) as error:
            raise BundleRefused(f"bundle {version} is refused: {type(error).__name__}: {error}") from error

    def _let_go_of_variants(self) -> None:
        """Free what no experiment asks any more."""
        current_asks = CURRENT in self._with_variants
        for serving in {self._serving, self._previous, self._prepared, *self._held.values()} - {None}:
            assert serving is not None
            is_current = serving in (self._serving, self._previous, self._prepared)
            if serving.version not in self._with_variants and not (is_current and current_asks):
                serving.variants = None

    def _swap(self, loaded: ServingBundle) -> None:
        """On the event loop, so between two requests. Freezing keeps the collector off a large, still heap."""
        is_first = self._serving is None
        self._previous, self._serving = self._serving, loaded
        self._refused = None
        created_at = loaded.bundle.manifest.created_at
        self._metrics.bundle_changed(loaded.version, loaded.index_labels(), created_at)
        logger.info("bundle in service", extra={"bundle_version": loaded.version})
        if is_first:
            gc.collect()
            gc.freeze()
        else:
            gc.unfreeze()  # so that `service.garbage` finds the old bundle in a quiet moment

    def _refuse(self, error: Exception) -> None:
        self._metrics.bundles_refused.inc()
        in_service = self._serving.version if self._serving else "none"
        logger.error("%s", error, extra={"bundle_version": in_service})


def _load_variants(serving: ServingBundle) -> None:
    try:
        serving.load_variants(is_gentle=True)
    except Exception as error:
        raise BundleRefused(
            f"the ensemble of bundle {serving.version} is refused: {type(error).__name__}: {error}"
        ) from error


def _load_variants_if_any(serving: ServingBundle) -> None:
    """A bundle of the student alone may be promoted; arms that ask for more are answered by a lower tier then."""
    try:
        serving.load_variants(is_gentle=True)
    except VariantUnknown as error:
        logger.error("arms of an experiment cannot be answered any more: %s", error)


class BundleRefused(StillroomError):
    """A promoted bundle cannot be served; the message names it and why. The one in service goes on."""
