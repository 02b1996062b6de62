"""Convert scikit-learn's fitted trees into `Trees`; every pair reaches the leaf where scikit-learn would send it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.ensemble.trees import LEAF, Trees

Doubles = npt.NDArray[np.float64]
LeafValue = Callable[[Doubles, Doubles], Doubles]
"""A function from each node's share of positives and number of pairs, weighted as in fitting, to its leaf value."""


def flatten_classifiers(
    classifiers: Sequence[Any],
    leaf_values: Sequence[LeafValue],
    *,
    base: float = 0.0,
) -> Trees:
    """Flatten fitted two-class `DecisionTreeClassifier`s; leaf_values: one per tree; base: added to every sum."""
    parts = [classifier.tree_ for classifier in classifiers]
    is_leaf = np.concatenate([part.children_left < 0 for part in parts])
    values = [
        leaf_value(part.value[:, 0, 1], part.weighted_n_node_samples)
        for part, leaf_value in zip(parts, leaf_values, strict=True)
    ]
    return Trees(
        n_nodes=np.array([part.node_count for part in parts], np.int32),
        feature=np.where(is_leaf, LEAF, np.concatenate([part.feature for part in parts])).astype(np.int32),
        threshold=rounded_down(np.concatenate([part.threshold for part in parts])),
        left=np.concatenate([part.children_left for part in parts]).astype(np.int32),
        right=np.concatenate([part.children_right for part in parts]).astype(np.int32),
        value=np.concatenate(values).astype(np.float32),
        base=np.array(base, np.float32),
        importance=np.sum([part.compute_feature_importances() for part in parts], axis=0),
    )


def flatten_boosting(model: Any) -> Trees:
    """Flatten a fitted `HistGradientBoostingClassifier` of two classes; the sum is its decision function."""
    # scikit-learn has no public access to its histogram trees; a test compares these with its predictions.
    parts = [predictor.nodes for (predictor,) in model._predictors]
    nodes = np.concatenate(parts)
    is_leaf = nodes["is_leaf"].astype(np.bool_)
    inner = nodes[~is_leaf]
    return Trees(
        n_nodes=np.array([len(part) for part in parts], np.int32),
        feature=np.where(is_leaf, LEAF, nodes["feature_idx"]).astype(np.int32),
        threshold=rounded_down(nodes["num_threshold"]),
        left=np.where(is_leaf, LEAF, nodes["left"]).astype(np.int32),
        right=np.where(is_leaf, LEAF, nodes["right"]).astype(np.int32),
        value=nodes["value"].astype(np.float32),
        base=np.asarray(model._baseline_prediction, np.float32).reshape(()),
        importance=np.bincount(inner["feature_idx"], inner["gain"], model.n_features_in_).astype(np.float64),
    )


def rounded_down(thresholds: Doubles) -> npt.NDArray[np.float32]:
    """Return the largest float32 that is not above each threshold.

    For every float32 x, x <= threshold then holds exactly where it holds in float64; rounding to nearest would change
    that for an x between the two.
    """
    nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
