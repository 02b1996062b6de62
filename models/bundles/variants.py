"""The variants besides the student: the ensemble that taught it and each of its members, as a bundle holds them.

    ensemble_<member>.*.npy     a member's arrays          ensemble_repeats.*.npy     own items, and how all sell
    ensemble_strategy<n>.*.npy  what weighs the members    ensemble_golden.json       requests with their answers

Files with that prefix are hashed and mapped when they are requested, not when a service starts: most never are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.bundles.golden import GOLDEN_K, GoldenRequest, check_answer, golden_request
from models.bundles.manifest import VariantsEntry
from models.ensemble.ensemble import FittedEnsemble
from models.ensemble.meta_features import feature_names
from models.ensemble.strategies import from_parts, parts_of
from models.errors import FileMissing, VariantUnknown
from models.history import History
from models.index import AllowedItems
from models.members import FITTED_MEMBERS
from models.members.installed import fitted_member, package_of
from models.members.member import Arrays, FittedMember, Floats, require
from models.repeats import RepeatModel
from models.scan import Ranked

STUDENT, ENSEMBLE = "student", "ensemble"
PREFIX = "ensemble_"
GOLDEN_FILE = f"{PREFIX}golden.json"


class VariantsGolden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `ensemble_golden.json`: requests with their answers, by variant."""

    requests: dict[str, list[GoldenRequest]]


@dataclass(frozen=True)
class Variants:
    """The ensemble with its members. It is safe to call from several threads."""

    ensemble: FittedEnsemble

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names that can be asked for: members in the ensemble's order, then the ensemble."""
        return (*(member.name for member in self.ensemble.members), ENSEMBLE)

    @property
    def n_items(self) -> int:
        """The size of the catalogue."""
        return self.ensemble.n_items

    def score(self, variant: str, histories: Sequence[History]) -> Floats:
        """Score every item; (n_people, n_items) float32, NaN or -inf for an item without an opinion.

        The scale is the variant's own. The ensemble has no opinion of items of the history. Raises VariantUnknown.
        """
        if variant == ENSEMBLE:
            return self.ensemble.score(histories)
        for member in self.ensemble.members:
            if member.name == variant:
                return member.score(histories)
        raise VariantUnknown(f"there is no variant {variant!r}, there are {STUDENT}, {', '.join(self.names)}")

    def arrays(self) -> Arrays:
        """Return all arrays by their names in a bundle."""
        groups = {member.name: member.arrays() for member in self.ensemble.members}
        groups["repeats"] = self.ensemble.repeats.arrays()
        for number, part in enumerate(parts_of(self.ensemble.strategy)):
            groups[f"strategy{number}"] = part.arrays()
        return {
            f"{PREFIX}{group}.{name}": array for group, own in groups.items() for name, array in own.items()
        }

    def entry(self, milliseconds: dict[str, float]) -> VariantsEntry:
        """Return the manifest's entry."""
        strategies = tuple(part.name for part in parts_of(self.ensemble.strategy))
        sources = {name: package_of(name) for name in self.names[:-1]}
        packages = {name: package for name, package in sources.items() if package}
        return VariantsEntry(self.names[:-1], strategies, milliseconds, packages)

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]], entry: VariantsEntry, n_items: int) -> Variants:
        """Read what `arrays` returned, without copying what is large. n_items: of the bundle's catalogue.

        Raises FileMissing if an array does not exist, BundleInconsistent if they do not fit together,
        MemberMissing if a member's package is not installed.
        """
        groups = _grouped(arrays)
        try:
            members = [_member(name, entry).from_arrays(groups[name]) for name in entry.members]
            repeats = RepeatModel.from_arrays(groups["repeats"])
            parts = [groups[f"strategy{number}"] for number in range(len(entry.strategies))]
            strategy = from_parts(entry.strategies, parts)
        except KeyError as error:
            raise FileMissing(
                f"an {PREFIX}*.npy of the array {error} is not listed; this bundle is incomplete"
            ) from error
        variants = Variants(FittedEnsemble(members, repeats, strategy))
        _check(variants, n_items)
        return variants


def best_items(
    scores: Floats,
    k: int,
    blocked: Sequence[npt.NDArray[np.int32]] = (),
    allowed: AllowedItems | None = None,
) -> Ranked:
    """Return the best k of one person's scores (n_items,), equal ones by rising item_index; (1, k) both.

    NaN and -inf are no opinion and never among them. blocked: item indices that must not appear. allowed: the items
    that may appear, None for all.
    """
    able = np.where(np.isnan(scores), np.float32(-np.inf), scores)
    if allowed is not None:
        able[~allowed.mask(len(able))] = -np.inf
    for items in blocked:
        able[items] = -np.inf
    best = Ranked(np.full((1, k), -1, np.int32), np.full((1, k), -np.inf, np.float32))
    n_best = min(k, len(able))
    if n_best:
        worst = np.partition(able, len(able) - n_best)[len(able) - n_best]
        items = np.flatnonzero((able >= worst) & (able > -np.inf)).astype(np.int32)
        items = items[np.argsort(-able[items], kind="stable")][:k]
        best.item_indices[0, : len(items)], best.scores[0, : len(items)] = items, able[items]
    return best


def record_variants(
    variants: Variants, histories: Sequence[History], allowed: AllowedItems | None = None
) -> VariantsGolden:
    """Ask every variant about each history and record its answers. allowed: as in `best_items`."""
    return VariantsGolden(
        {
            variant: [
                golden_request(history, *_answer(variants, variant, history, allowed))
                for history in histories
            ]
            for variant in variants.names
        }
    )


def replay_variants(variants: Variants, golden: VariantsGolden, allowed: AllowedItems | None = None) -> None:
    """Replay the requests. Raises GoldenMismatch as `replay_golden` does, BundleInconsistent for requests that
    cannot be asked, or a variant without any.
    """
    for variant in variants.names:
        requests = golden.requests.get(variant, [])
        fault = f"{GOLDEN_FILE} holds no requests of {variant}; nothing would show that it is right"
        require(bool(requests), fault)
        for number, request in enumerate(requests):
            items = [*(event[0] for event in request.events), *request.item_indices]
            is_inside = all(0 <= item_index < variants.n_items for item_index in items)
            require(
                is_inside, f"{GOLDEN_FILE}: {variant} is asked of an item beyond the {variants.n_items:,}"
            )
            answer = _answer(variants, variant, request.history(), allowed)
            check_answer(f"golden request {number} of {variant}", request, *answer)


def _answer(
    variants: Variants, variant: str, history: History, allowed: AllowedItems | None
) -> tuple[list[int], list[float]]:
    scores = variants.score(variant, [history])[0]
    ranked = best_items(scores, GOLDEN_K, [history.item_indices], allowed)
    is_item = ranked.item_indices[0] >= 0
    return ranked.item_indices[0][is_item].tolist(), ranked.scores[0][is_item].astype(float).tolist()


def _check(variants: Variants, n_items: int) -> None:
    """Raise BundleInconsistent if parts are not of this catalogue, or do not fit together."""
    ensemble = variants.ensemble
    sizes = {member.name: member.n_items for member in ensemble.members}
    for name, found in {**sizes, "repeats": ensemble.n_items}.items():
        require(found == n_items, f"{PREFIX}{name} is of {found:,} items, the catalogue has {n_items:,}")
    found, expected = ensemble.strategy.n_features, len(feature_names(list(sizes)))
    require(
        found == expected,
        f"{ensemble.strategy.name} reads {found} features, {len(sizes)} members make {expected}",
    )


def _member(name: str, entry: VariantsEntry) -> type[FittedMember]:
    if name in entry.packages:
        return fitted_member(name, entry.packages[name])
    known = ", ".join(FITTED_MEMBERS)
    require(name in FITTED_MEMBERS, f"manifest.json names the member {name!r}, there are {known}")
    return FITTED_MEMBERS[name]


def _grouped(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Group arrays by the name of their part, then by their own."""
    groups: dict[str, dict[str, npt.NDArray[Any]]] = defaultdict(dict)
    for full_name, array in arrays.items():
        if full_name.startswith(PREFIX):
            group, _, name = full_name.removeprefix(PREFIX).partition(".")
            groups[group][name] = array
    return groups
