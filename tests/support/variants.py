"""A tiny ensemble whose right answers are known: popularity, "goes with the block", and a member that knows few.

The ensemble is the sum of what members say, each standardised. `popularity` prefers low item indices, whoever asks;
`knn` the items of the history's blocks, the higher index first; `als` has no opinion of anybody without a history.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from models.bundles.bundle import BundleContents, VariantsContents
from models.bundles.variants import Variants, record_variants
from models.ensemble.ensemble import FittedEnsemble
from models.ensemble.meta_features import feature_names
from models.ensemble.stacking import FittedStacking
from models.history import History
from models.item_timeline import ITEM_FEATURES, ItemTimeline
from models.items import Items
from models.members.factorization import FittedFactorization
from models.members.item_items import FittedItemKNN
from models.members.member import FittedMember
from models.members.popularity import FittedPopularity
from models.members.rows import SparseRows
from models.repeats import RepeatModel
from tests.support.bundles import LATEST, N_BLOCKS, tiny_contents, tiny_history

MEMBERS = ("popularity", "als", "knn")


def tiny_variants(items: Items) -> Variants:
    """Of the items of `tiny_items`."""
    n_items, names = len(items), MEMBERS
    known = np.ones(n_items, np.bool_)
    same_block = items.segments[:, None] == items.segments
    says = np.where(same_block, 1 + np.arange(n_items) / n_items, 0).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(same_block.sum(axis=1))])
    rows = SparseRows(offsets, np.nonzero(same_block)[1].astype(np.int32), says[same_block], n_items)
    factors = np.eye(N_BLOCKS, dtype=np.float32)[items.segments]
    members: list[FittedMember] = [
        FittedPopularity(np.log1p(items.popularity)),
        FittedFactorization(factors, known, l2=1.0, alpha=10.0, half_life=5.0),
        FittedItemKNN(rows, known, half_life=5.0),
    ]
    features = feature_names(names)
    coefficients = np.array([float(name.endswith("_z")) for name in features], np.float32)
    timeline = ItemTimeline(np.zeros((1, n_items, len(ITEM_FEATURES)), np.float16), LATEST, 0)
    strategy = FittedStacking(coefficients, np.array(-4.0, np.float32))
    return Variants(FittedEnsemble(members, RepeatModel.unlearned(timeline), strategy))


def contents_with_variants(precision: str = "fp32") -> BundleContents:
    """`tiny_contents`, and `tiny_variants` with it."""
    contents = tiny_contents(precision)
    variants = tiny_variants(contents.items)
    golden = record_variants(variants, [History.empty(), tiny_history(0), tiny_history(2)])
    return dataclasses.replace(
        contents, variants=VariantsContents(variants, golden, variants.entry({"ensemble": 1.0}))
    )
