"""The bundle whose answers are monitored: its student, its other models, and its reference of live traffic."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.bundles.bundle import Bundle, read_bundle
from models.bundles.registry import Registry
from models.errors import StillroomError
from models.history import Event, History
from models.monitoring.reference import CatalogueBins, Reference
from models.monitoring.scored_requests import ScoringModel, scoring_models
from service.log.records import SampledHistory

logger = logging.getLogger(__name__)


class WatchedBundle:
    """own_items: what answers leave out. models: members, student and ensemble by name; empty without one."""

    def __init__(self, bundle: Bundle, models: Mapping[str, ScoringModel]) -> None:
        self.version = bundle.version
        self.vocabulary = bundle.items.vocabulary
        self.own_items = bundle.own_items
        self.liked_from = bundle.manifest.student.liked_from
        self.reference = Reference.from_json(bundle.reference)
        self.catalogue = CatalogueBins(bundle.items, self.reference.categories)
        self.models = models

    def rows(self, item_ids: list[str]) -> npt.NDArray[np.int64]:
        """Return item indices (n,), -1 for an item that the bundle does not know."""
        found = [self.vocabulary.find(item_id) for item_id in item_ids]
        return np.array([-1 if row is None else row for row in found], np.int64)

    def history(self, sampled: SampledHistory) -> History:
        """Return what the student read, as far as this bundle knows the items."""
        rows = self.rows(sampled.item_ids)
        return History.from_events(
            Event(int(row), moment, kind)
            for row, moment, kind in zip(rows, sampled.times, sampled.kinds, strict=True)
            if row >= 0
        )


class BundleFollower:
    """store: the registry's folder."""

    def __init__(self, store: Path) -> None:
        self._registry = Registry(store)
        self._refused = ""

    def follow(self, watched: WatchedBundle | None) -> WatchedBundle | None:
        """Return the current bundle if it is another one and can be read; else None, and log the reason once."""
        version = ""
        try:
            version = self._registry.current()
            if version == (watched and watched.version) or version == self._refused:
                return None
            bundle = read_bundle(self._registry.path(version))
            found = WatchedBundle(bundle, bundle_models(bundle))
        except (StillroomError, OSError, ValueError) as error:
            if not self._refused or version:
                logger.error("the monitor cannot watch what is current: %s", error)
            self._refused = version or "nothing"
            return None
        self._refused = ""
        return found


def bundle_models(bundle: Bundle) -> dict[str, ScoringModel]:
    """Return members, student and ensemble as the bundle holds them; empty if it has no ensemble.

    Raises a BundleError for an ensemble that does not verify.
    """
    if bundle.manifest.variants is None:
        logger.warning("bundle %s carries no ensemble: disagreement is not measured", bundle.version)
        return {}
    return scoring_models(bundle.load_variants().ensemble, bundle.load_student())
