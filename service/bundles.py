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

from models.bundle import read_bundle
from models.errors import StillroomError
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
        current. Raises BundleRefused.
        """
        async with self._following:
            if self.holding(version) is None:
                self._prepared = await asyncio.to_thread(self._load_beside, version)
        try:
            yield
        finally:
            self._prepared = None

    async def hold(self, versions: frozenset[str]) -> None:
        """Keep these in service beside the current one, and no others any more.

        Raises BundleRefused for one that does not verify or is not there, and then nothing has changed.
        """
        async with self._following:
            loaded: dict[str, ServingBundle] = {}
            for version in sorted(versions):
                kept = self.holding(version)
                if kept is None:
                    kept = await asyncio.to_thread(self._load_beside, version)
                loaded[version] = kept
            self._held = loaded

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
        except Exception as error:
            raise BundleRefused(f"bundle {version} is refused: {type(error).__name__}: {error}") from error
        return loaded

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


class BundleRefused(StillroomError):
    """A promoted bundle cannot be served; the message names it and why. The one in service goes on."""
