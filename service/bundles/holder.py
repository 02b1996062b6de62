"""Holds the bundle in service: loaded, verified and warmed up before requests see it, and replaced on promotion.

A bundle that does not verify is refused, and the one in service stays. While there is none, because nothing was
promoted or the promoted one is refused, requests are answered without a model (`service.answers.no_model`).
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Literal, NamedTuple, TypeAlias

from models.bundles.bundle import read_bundle, verify_files
from models.bundles.registry import Registry
from models.errors import NothingPromoted, StillroomError, VariantUnknown
from models.experiments.declaration import CURRENT
from service.bundles.context import NO_BUNDLE, HistoryContext
from service.bundles.serving import ServingBundle
from service.contract.errors import NotReady
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

Absence: TypeAlias = Literal["no_model", "bundle_refused"]
"""Why no bundle is in service: nothing was promoted yet, or what was promoted cannot be served."""

FIRST_RETRY_SECONDS = 60.0
LAST_RETRY_SECONDS = 600.0
"""The longest pause between two attempts at a refused bundle, which may have been half copied, or the machine short
of memory. Reading one takes 2.5 s a GB, so each pause is twice the one before. A new promotion is tried at once."""


class _Promotion(NamedTuple):
    """version: "" if `current` cannot be read. promoted_ns: when it was written, Unix nanoseconds."""

    version: str
    promoted_ns: int


_UNREADABLE = _Promotion("", 0)


class _Refusal(NamedTuple):
    """again_at: when to try again, by the holder's clock."""

    promotion: _Promotion
    again_at: float
    pause_seconds: float


class BundleHolder:
    """store: the registry's folder. max_batch: the batch for warming up. clock: returns seconds that only rise."""

    def __init__(
        self,
        store: Path,
        metrics: Metrics,
        *,
        max_batch: int,
        poll_seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._registry = Registry(store)
        self._metrics = metrics
        self._max_batch = max_batch
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._serving: ServingBundle | None = None
        self._held: dict[str, ServingBundle] = {}
        self._with_variants: frozenset[str] = frozenset()
        self._previous: ServingBundle | None = None
        """The bundle that was in service before, kept loaded so that a roll back is one assignment."""
        self._prepared: ServingBundle | None = None
        self._refusal: _Refusal | None = None
        self._is_told_of_nothing = False
        self._following = asyncio.Lock()

    @property
    def is_ready(self) -> bool:
        """Whether a verified bundle is in service."""
        return self._serving is not None

    @property
    def absence(self) -> Absence:
        """Why there is no bundle, if there is none."""
        return "no_model" if self._refusal is None else "bundle_refused"

    def serving(self) -> ServingBundle:
        """Return the bundle for one whole request. Raises NotReady before there is one."""
        if self._serving is None:
            raise NotReady("there is no bundle in service yet; see /health/ready")
        return self._serving

    def context(self) -> HistoryContext:
        """Return the context in which histories are read now."""
        return NO_BUNDLE if self._serving is None else self._serving

    def holding(self, version: str) -> ServingBundle | None:
        """Return a loaded version, "current" included; None for any other."""
        if version == CURRENT:
            return self._serving
        for loaded in (self._serving, self._previous, self._prepared):
            if loaded is not None and loaded.version == version:
                return loaded
        return self._held.get(version)

    @asynccontextmanager
    async def prepared(self, version: str) -> AsyncIterator[None]:
        """Keep a version loaded and verified while inside, so that promoting it is one assignment and a bad one never
        becomes current. All its files are verified as they are on disk now, since others will read them. Raises
        BundleRefused.
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
        """Keep these versions in service beside the current one, and no others.

        with_variants: versions that also answer as their ensemble or a member, "current" included. Raises
        BundleRefused for one that does not verify or exist; then nothing has changed.
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
                if serving is not None:  # before the first bundle, `_load_beside` loads them
                    await asyncio.to_thread(_load_variants, serving)
            self._held, self._with_variants = loaded, with_variants
            self._let_go_of_variants()

    async def start(self) -> None:
        """Load what is promoted now with all the machine has, since no request is answered before. Never fails: the
        service starts without a bundle too. Freezing keeps the collector off a large heap that does not change.
        """
        await self._follow(is_gentle=False)
        gc.collect()
        gc.freeze()

    async def watch(self) -> None:
        """Follow `current` until cancelled."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            await self.follow()

    async def follow(self) -> None:
        """Load what is promoted now beside the requests, unless it is in service or was just refused."""
        await self._follow(is_gentle=True)

    async def _follow(self, *, is_gentle: bool) -> None:
        promotion = _UNREADABLE
        async with self._following:  # one load at a time
            try:
                promotion = await asyncio.to_thread(self._promotion)
                version = promotion.version
                if self._serving is not None and self._serving.version == version:
                    self._refusal = None
                    return
                loaded = self.holding(version)
                if loaded is None:
                    if self._is_refused(promotion):
                        return
                    loaded = await asyncio.to_thread(self._load_beside, version, is_gentle=is_gentle)
                elif CURRENT in self._with_variants:
                    await asyncio.to_thread(_load_variants_if_any, loaded)
            except Exception as error:  # whatever it is, the one in service stays
                self._refuse(promotion, error)
            else:
                retired = [self._previous]
                self._swap(loaded)
                await asyncio.to_thread(retired.clear)  # freeing a large one takes 14 ms, off the event loop

    def _promotion(self) -> _Promotion:
        """Read the time first, so that a promotion in between is seen at the next look."""
        promoted_ns = self._registry.promoted_ns()
        return _Promotion(self._registry.current(), promoted_ns)

    def _load_beside(self, version: str, *, is_gentle: bool = True) -> ServingBundle:
        """Load a bundle on a thread beside the requests; all that can be wrong with it shows here."""
        try:
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
        """Free the variants that no experiment uses any more."""
        current_asks = CURRENT in self._with_variants
        for serving in {self._serving, self._previous, self._prepared, *self._held.values()} - {None}:
            assert serving is not None
            is_current = serving in (self._serving, self._previous, self._prepared)
            if serving.version not in self._with_variants and not (is_current and current_asks):
                serving.variants = None

    def _swap(self, loaded: ServingBundle) -> None:
        """Replace the bundle. Runs on the event loop, hence between two requests."""
        self._previous, self._serving = self._serving, loaded
        self._refusal = None
        created_at = loaded.bundle.manifest.created_at
        self._metrics.bundle_changed(loaded.version, loaded.index_labels(), created_at)
        logger.info("bundle in service", extra={"bundle_version": loaded.version})
        if self._previous is not None:
            gc.unfreeze()  # lets `service.process.garbage` find the old bundle in a quiet moment

    def _is_refused(self, promotion: _Promotion) -> bool:
        """Whether it was refused and it is too early to try again."""
        refusal = self._refusal
        return refusal is not None and refusal.promotion == promotion and self._clock() < refusal.again_at

    def _refuse(self, promotion: _Promotion, error: Exception) -> None:
        """Log and count each failed attempt; a store without a promotion is no fault and is logged once."""
        if self._serving is None and isinstance(error, NothingPromoted):
            self._refusal = None
            if not self._is_told_of_nothing:
                logger.warning("%s. Until then popular and new items of the events are answered", error)
            self._is_told_of_nothing = True
            return
        if self._is_refused(promotion):  # `current` cannot be read, which is tried at each look
            return
        before, pause = self._refusal, FIRST_RETRY_SECONDS
        if before is not None and before.promotion == promotion:
            pause = min(2 * before.pause_seconds, LAST_RETRY_SECONDS)
        self._refusal = _Refusal(promotion, self._clock() + pause, pause)
        self._metrics.bundles_refused.inc()
        in_service = self._serving.version if self._serving else "none"
        is_known = isinstance(error, (StillroomError, OSError))
        logger.error("%s", error, exc_info=not is_known, extra={"bundle_version": in_service})


def _load_variants(serving: ServingBundle) -> None:
    try:
        serving.load_variants(is_gentle=True)
    except Exception as error:
        raise BundleRefused(
            f"the ensemble of bundle {serving.version} is refused: {type(error).__name__}: {error}"
        ) from error


def _load_variants_if_any(serving: ServingBundle) -> None:
    """Load variants if the bundle has them; otherwise arms that ask for them are answered by a lower tier."""
    try:
        serving.load_variants(is_gentle=True)
    except VariantUnknown as error:
        logger.error("arms of an experiment cannot be answered any more: %s", error)


class BundleRefused(StillroomError):
    """A promoted bundle cannot be served; the message names it and the reason. The one in service stays."""
