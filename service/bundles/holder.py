"""The bundle in service: loaded, verified and warmed before a request sees it, replaced when another is promoted.

A bundle that does not verify is refused and the one in service goes on. Where there is none yet, because nothing was
promoted or what was is refused, requests are answered without a model (`service.no_model`) until there is one.
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
"""Why there is no bundle in service: nothing was promoted yet, or what was promoted cannot be served."""

FIRST_RETRY_SECONDS = 60.0
LAST_RETRY_SECONDS = 600.0
"""Between two attempts at a bundle that was refused: it may have been half copied, or the machine short of memory. To
read one takes 2.5 s a GB, so each pause is twice the one before, up to this. Promoted anew it is tried at once."""


class _Promotion(NamedTuple):
    """version: "" where `current` cannot be read. promoted_ns: when it was written, Unix nanoseconds."""

    version: str
    promoted_ns: int


_UNREADABLE = _Promotion("", 0)


class _Refusal(NamedTuple):
    """again_at: on the holder's clock."""

    promotion: _Promotion
    again_at: float
    pause_seconds: float


class BundleHolder:
    """store: the registry's folder. max_batch: what the student is warmed up with. clock: seconds that only rise."""

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
        """What was in service before, kept loaded so that a roll back is one assignment."""
        self._prepared: ServingBundle | None = None
        self._refusal: _Refusal | None = None
        self._is_told_of_nothing = False
        self._following = asyncio.Lock()

    @property
    def is_ready(self) -> bool:
        """A verified bundle is in service."""
        return self._serving is not None

    @property
    def absence(self) -> Absence:
        """Why there is no bundle, where there is none."""
        return "no_model" if self._refusal is None else "bundle_refused"

    def serving(self) -> ServingBundle:
        """The bundle for one whole request. Raises NotReady before there is one."""
        if self._serving is None:
            raise NotReady("there is no bundle in service yet; see /health/ready")
        return self._serving

    def context(self) -> HistoryContext:
        """What people's histories are read for now."""
        return NO_BUNDLE if self._serving is None else self._serving

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

    async def start(self) -> None:
        """Load what is promoted now, with all the machine has: nobody is answered before. Never fails: without a
        bundle the service starts too. Freezing keeps the collector off a large, still heap.
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
        """Load what is promoted now beside the requests, unless it is in service already or was just refused."""
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
            except Exception as error:  # whatever it is, what is in service goes on, and is followed
                self._refuse(promotion, error)
            else:
                retired = [self._previous]
                self._swap(loaded)
                await asyncio.to_thread(retired.clear)  # 14 ms for a large one, which nobody is to wait for

    def _promotion(self) -> _Promotion:
        """The time first: who promotes in between is seen at the next look."""
        promoted_ns = self._registry.promoted_ns()
        return _Promotion(self._registry.current(), promoted_ns)

    def _load_beside(self, version: str, *, is_gentle: bool = True) -> ServingBundle:
        """Everything that can go wrong with a bundle goes wrong here, on a thread beside the requests."""
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
        """Free what no experiment asks any more."""
        current_asks = CURRENT in self._with_variants
        for serving in {self._serving, self._previous, self._prepared, *self._held.values()} - {None}:
            assert serving is not None
            is_current = serving in (self._serving, self._previous, self._prepared)
            if serving.version not in self._with_variants and not (is_current and current_asks):
                serving.variants = None

    def _swap(self, loaded: ServingBundle) -> None:
        """On the event loop, so between two requests."""
        self._previous, self._serving = self._serving, loaded
        self._refusal = None
        created_at = loaded.bundle.manifest.created_at
        self._metrics.bundle_changed(loaded.version, loaded.index_labels(), created_at)
        logger.info("bundle in service", extra={"bundle_version": loaded.version})
        if self._previous is not None:
            gc.unfreeze()  # so that `service.process.garbage` finds the old bundle in a quiet moment

    def _is_refused(self, promotion: _Promotion) -> bool:
        """Whether it was refused, and it is too early to try it again."""
        refusal = self._refusal
        return refusal is not None and refusal.promotion == promotion and self._clock() < refusal.again_at

    def _refuse(self, promotion: _Promotion, error: Exception) -> None:
        """Say and count it, once an attempt; a store where nothing was promoted yet is no fault, and is said once."""
        if self._serving is None and isinstance(error, NothingPromoted):
            self._refusal = None
            if not self._is_told_of_nothing:
                logger.warning("%s. Until then popular and new items of the events are answered", error)
            self._is_told_of_nothing = True
            return
        if self._is_refused(promotion):  # `current` cannot be read, which is looked at each time
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
    """A bundle of the student alone may be promoted; arms that ask for more are answered by a lower tier then."""
    try:
        serving.load_variants(is_gentle=True)
    except VariantUnknown as error:
        logger.error("arms of an experiment cannot be answered any more: %s", error)


class BundleRefused(StillroomError):
    """A promoted bundle cannot be served; the message names it and why. The one in service goes on."""
