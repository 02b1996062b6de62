"""The ONNX graph that ranks the whole catalogue for a batch of user vectors.

    scores = user_vectors @ item_vectors.T + penalty, then -inf at each blocked pair, then the top k

Masks act before the top-k, so an answer is full whatever is hidden. In int8 the product runs on 8-bit
integers with one scale an item (MatMulInteger); the caller rescores what it retrieves.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.student import CATALOGUE_INPUTS

OPSET = 17
IR_VERSION = 9


def build_catalogue(item_vectors: npt.NDArray[np.float32], *, precision: str) -> bytes:
    """Build the graph for item_vectors (n_items, n_factors) in precision "fp32" or "int8"."""
    n_items, n_factors = item_vectors.shape
    product = _product_fp32(item_vectors) if precision == "fp32" else _product_int8(item_vectors)
    nodes, initializers = product
    users, penalty, blocked, k = CATALOGUE_INPUTS
    nodes += [
        helper.make_node("Add", ["product", penalty], ["shifted"]),
        helper.make_node("Shape", [blocked], ["n_blocked"], start=0, end=1),
        helper.make_node("Expand", ["minus_infinity", "n_blocked"], ["updates"]),
        helper.make_node("ScatterND", ["shifted", blocked, "updates"], ["masked"]),
        helper.make_node("TopK", ["masked", k], ["scores", "item_indices"], axis=1, largest=1, sorted=1),
    ]
    initializers.append(numpy_helper.from_array(np.array([-np.inf], np.float32), "minus_infinity"))
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "catalogue",
        [
            tensor(users, TensorProto.FLOAT, ["n_people", n_factors]),
            tensor(penalty, TensorProto.FLOAT, [1, n_items]),
            tensor(blocked, TensorProto.INT64, ["n_blocked", 2]),
            tensor(k, TensorProto.INT64, [1]),
        ],
        [
            tensor("scores", TensorProto.FLOAT, ["n_people", "k"]),
            tensor("item_indices", TensorProto.INT64, ["n_people", "k"]),
        ],
        initializers,
    )
    return serialise(graph)


def serialise(graph: GraphProto) -> bytes:
    """Wrap a graph into a checked model's bytes."""
    model: ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    return bytes(model.SerializeToString())


def _product_fp32(item_vectors: npt.NDArray[np.float32]) -> tuple[list[NodeProto], list[TensorProto]]:
    transposed = numpy_helper.from_array(np.ascontiguousarray(item_vectors.T), "item_vectors")
    return [helper.make_node("MatMul", [CATALOGUE_INPUTS[0], "item_vectors"], ["product"])], [transposed]


def _product_int8(item_vectors: npt.NDArray[np.float32]) -> tuple[list[NodeProto], list[TensorProto]]:
    """User vectors to uint8 on the fly, item vectors to int8 once, with a scale per item."""
    quantized, scales = quantize_rows(item_vectors)
    nodes = [
        helper.make_node(
            "DynamicQuantizeLinear", [CATALOGUE_INPUTS[0]], ["user_uint8", "user_scale", "user_zero"]
        ),
        helper.make_node("MatMulInteger", ["user_uint8", "item_int8", "user_zero"], ["product_int32"]),
        helper.make_node("Cast", ["product_int32"], ["product_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["user_scale", "item_scales"], ["scales"]),
        helper.make_node("Mul", ["product_float", "scales"], ["product"]),
    ]
    initializers = [
        numpy_helper.from_array(np.ascontiguousarray(quantized.T), "item_int8"),
        numpy_helper.from_array(scales, "item_scales"),
    ]
    return nodes, initializers


def quantize_rows(
    matrix: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Quantize each row of (n, d) symmetrically to int8; matrix ≈ quantized (n, d) * scales (n,)[:, None]."""
    scales = np.maximum(np.abs(matrix).max(axis=1), 1e-12).astype(np.float32) / np.float32(127)
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales
