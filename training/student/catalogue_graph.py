"""The ONNX graph that ranks the whole catalogue for a batch of user vectors.

    scores = user_vectors @ item_vectors.T + penalty + boosts, then -inf at each blocked pair, then the top k

The penalty is one number an item for everybody; boosts are a few numbers a person, scattered to their items, so that
what they cost does not grow with the catalogue. Masks act before the top-k, so an answer is full whatever is hidden.
In int8 the product runs on 8-bit integers with one scale an item and one a person (MatMulInteger), so nobody's answer
depends on who else is in the batch; the caller rescores what it retrieves, which is why products come out too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from models.student import CATALOGUE_INPUTS, CATALOGUE_OUTPUTS

OPSET = 17
IR_VERSION = 9
USER_LEVELS = 63
"""Steps on each side of zero that a user vector is rounded to."""
SMALLEST_SCALE = 1e-12
"""Stands in for the scale of a vector of zeros."""


def build_catalogue(item_vectors: npt.NDArray[np.float32], *, precision: str) -> bytes:
    """Build the graph for item_vectors (n_items, n_factors) in precision "fp32" or "int8"."""
    n_items, n_factors = item_vectors.shape
    nodes, initializers = _PRODUCTS[precision](item_vectors)
    users, penalty, boosted_items, boosts, blocked, k = CATALOGUE_INPUTS
    scores, item_indices, products = CATALOGUE_OUTPUTS
    node = helper.make_node
    nodes += [
        node("Add", ["product", penalty], ["shifted"]),
        node("ScatterElements", ["shifted", boosted_items, boosts], ["boosted"], axis=1, reduction="add"),
        node("Shape", [blocked], ["n_blocked"], start=0, end=1),
        node("Expand", ["minus_infinity", "n_blocked"], ["updates"]),
        node("ScatterND", ["boosted", blocked, "updates"], ["masked"]),
        node("TopK", ["masked", k], [scores, item_indices], axis=1, largest=1, sorted=1),
        node("GatherElements", ["product", item_indices], [products], axis=1),
    ]
    initializers.append(numpy_helper.from_array(np.array([-np.inf], np.float32), "minus_infinity"))
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "catalogue",
        [
            tensor(users, TensorProto.FLOAT, ["n_people", n_factors]),
            tensor(penalty, TensorProto.FLOAT, [1, n_items]),
            tensor(boosted_items, TensorProto.INT64, ["n_people", "n_entries"]),
            tensor(boosts, TensorProto.FLOAT, ["n_people", "n_entries"]),
            tensor(blocked, TensorProto.INT64, ["n_blocked", 2]),
            tensor(k, TensorProto.INT64, [1]),
        ],
        [
            tensor(scores, TensorProto.FLOAT, ["n_people", "k"]),
            tensor(item_indices, TensorProto.INT64, ["n_people", "k"]),
            tensor(products, TensorProto.FLOAT, ["n_people", "k"]),
        ],
        initializers,
    )
    return serialise(graph)


def serialise(graph: GraphProto) -> bytes:
    """Wrap a graph into a checked model's bytes. Raises onnx's ValidationError for a graph that is not valid."""
    model: ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _product_fp32(item_vectors: npt.NDArray[np.float32]) -> tuple[list[NodeProto], list[TensorProto]]:
    transposed = numpy_helper.from_array(np.ascontiguousarray(item_vectors.T), "item_vectors")
    return [helper.make_node("MatMul", [CATALOGUE_INPUTS[0], "item_vectors"], ["product"])], [transposed]


def _product_int8(item_vectors: npt.NDArray[np.float32]) -> tuple[list[NodeProto], list[TensorProto]]:
    """User vectors to 7 bits on the fly with a scale per person, item vectors to int8 once with one per item.

    DynamicQuantizeLinear would be one node instead of four, but it has one scale for the whole batch: beside a
    person with a long vector, everybody else's would be rounded to nothing. Seven bits for users because x86
    without VNNI adds pairs of products in 16 bits, which 127 * 127 * 2 cannot overflow and 255 * 127 * 2 can.
    """
    quantized, scales = quantize_rows(item_vectors)
    users = CATALOGUE_INPUTS[0]
    node = helper.make_node
    nodes = [
        node("Abs", [users], ["absolute"]),
        node("ReduceMax", ["absolute"], ["largest"], axes=[1], keepdims=1),
        node("Max", ["largest", "smallest_scale"], ["user_scales"]),  # (n_people, 1)
        node("Div", [users, "user_scales"], ["user_unit"]),  # in [-1, 1]
        node("QuantizeLinear", ["user_unit", "step", "user_zero"], ["user_uint8"]),
        node("MatMulInteger", ["user_uint8", "item_int8", "user_zero"], ["product_int32"]),
        node("Cast", ["product_int32"], ["product_float"], to=TensorProto.FLOAT),
        # One scale after the other: an outer product of both first takes 1.8 times as long over 20,000 items.
        node("Mul", ["product_float", "item_scales"], ["product_per_unit"]),
        node("Mul", ["product_per_unit", "user_scales"], ["product"]),
    ]
    step = np.float32(1 / USER_LEVELS)
    constants = {
        "item_int8": np.ascontiguousarray(quantized.T),
        "item_scales": scales * step,
        "smallest_scale": np.array(SMALLEST_SCALE, np.float32),
        "step": np.array(step),
        "user_zero": np.array(USER_LEVELS + 1, np.uint8),
    }
    return nodes, [numpy_helper.from_array(value, name) for name, value in constants.items()]


_PRODUCTS = {"fp32": _product_fp32, "int8": _product_int8}


def quantize_rows(
    matrix: npt.NDArray[np.float32], *, n_bits: int = 8
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Quantize each row of (n, d) symmetrically to n_bits; matrix ≈ quantized (n, d) * scales (n,)[:, None].

    Eight bits reach from -127 to 127, four from -7 to 7.
    """
    largest = np.maximum(np.abs(matrix).max(axis=1, initial=0), SMALLEST_SCALE).astype(np.float32)
    scales = largest / np.float32(2 ** (n_bits - 1) - 1)
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales
