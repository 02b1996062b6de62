"""Decision trees as flat arrays, however they were grown; a tree strategy stores nothing else.

The arrays are saved unchanged, and onnxruntime sums them (`models/ensemble/trees.py`) over the millions of pairs
that a catalogue makes. `flattening` makes the arrays from scikit-learn's trees.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, checker, helper

from models.ensemble.trees import FittedTrees
from training.members.member import Floats

IR_VERSION, OPSET, ML_OPSET = 9, 17, 3
LEAF = -1
"""Marks a node without a feature and children."""


@dataclass(frozen=True)
class Trees:
    """A sum of trees. A pair starts at each root and goes left where its feature <= threshold.

    n_nodes: (n_trees,) int32; the nodes of a tree are contiguous, its root first, and the arrays below cover all of
    them. feature, left, right: int32, `LEAF` at a leaf; children are counted from their tree's root. threshold:
    float32. value: float32, what a leaf adds. base: () float32, the sum without any tree. importance: (n_features,)
    float64, the total loss reduction of the splits on each feature.
    """

    n_nodes: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float32]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float32]
    base: npt.NDArray[np.float32]
    importance: npt.NDArray[np.float64]

    @property
    def n_trees(self) -> int:
        """Number of trees that are summed."""
        return len(self.n_nodes)

    @property
    def n_features(self) -> int:
        """Number of features that a pair must have."""
        return len(self.importance)

    def fitted(self, runs_as: type[FittedTrees]) -> FittedTrees:
        """Return the trees in the form that runs. It is made once: starting onnxruntime is slower than scoring."""
        if runs_as not in self._running:
            self._running[runs_as] = runs_as(np.frombuffer(tree_graph(self), np.uint8))
        return self._running[runs_as]

    def sum(self, features: Floats) -> Floats:
        """Add up the leaves that each pair reaches; (..., n_features) to (...,) float32."""
        return self.fitted(FittedTrees).sum(features)

    def save(self, file: Path) -> None:
        """Write all arrays into one npz."""
        np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(file) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    @cached_property
    def _running(self) -> dict[type[FittedTrees], FittedTrees]:
        return {}


def tree_graph(trees: Trees) -> bytes:
    """Build a checked ONNX model from `pairs` (n_pairs, n_features) to `sums` (n_pairs, 1), both float32."""
    tree_ids = np.repeat(np.arange(trees.n_trees), trees.n_nodes)
    node_ids = np.concatenate([np.arange(n_nodes) for n_nodes in trees.n_nodes])
    is_leaf = trees.feature == LEAF
    inner_or_zero = [
        np.where(is_leaf, 0, values).tolist()
        for values in (trees.feature, trees.threshold, trees.left, trees.right)
    ]
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["pairs"],
        ["sums"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        base_values=[float(trees.base)],
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_modes=np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_featureids=inner_or_zero[0],
        nodes_values=inner_or_zero[1],
        nodes_truenodeids=inner_or_zero[2],
        nodes_falsenodeids=inner_or_zero[3],
        target_treeids=tree_ids[is_leaf].tolist(),
        target_nodeids=node_ids[is_leaf].tolist(),
        target_ids=[0] * int(is_leaf.sum()),
        target_weights=trees.value[is_leaf].tolist(),
    )
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "trees",
        [tensor("pairs", TensorProto.FLOAT, ["n_pairs", trees.n_features])],
        [tensor("sums", TensorProto.FLOAT, ["n_pairs", 1])],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    checker.check_model(model)
    return bytes(model.SerializeToString())
