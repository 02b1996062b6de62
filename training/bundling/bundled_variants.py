"""Prepare the ensemble and its members as a bundle carries them beside the student that they taught.

Item-item matrices are halved to float16, and of how items sell only the last moment is kept, which is all that
questions of today need.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from time import perf_counter

from models.bundles.bundle import VariantsContents
from models.bundles.variants import Variants, record_variants
from models.ensemble.ensemble import FittedEnsemble
from models.history import History
from models.index import AllowedItems
from models.members.item_items import FittedItemItems
from models.members.member import FittedMember
from training.ensemble.ensemble import Ensemble

N_TIMED = 5
"""Number of answers timed per variant, after a first one that pays for warm-up; the median is recorded."""


def bundled_variants(
    ensemble: Ensemble, histories: Sequence[History], allowed: AllowedItems | None = None
) -> VariantsContents:
    """Return everything that a bundle has of the variants.

    histories: of golden requests; the longest is timed. allowed: the items that may be recommended, None for all.
    """
    fitted = ensemble.fitted()
    members = [_compact(member) for member in fitted.members]
    variants = Variants(FittedEnsemble(members, fitted.repeats.latest(), fitted.strategy))
    longest = max(histories, key=len)
    milliseconds = {name: round(_milliseconds(variants, name, longest), 3) for name in variants.names}
    return VariantsContents(
        variants, record_variants(variants, histories, allowed), variants.entry(milliseconds)
    )


def _compact(member: FittedMember) -> FittedMember:
    return member.in_half_precision() if isinstance(member, FittedItemItems) else member


def _milliseconds(variants: Variants, name: str, history: History) -> float:
    variants.score(name, [history])
    seconds = []
    for _ in range(N_TIMED):
        started_at = perf_counter()
        variants.score(name, [history])
        seconds.append(perf_counter() - started_at)
    return 1000 * median(seconds)
