"""The graph and the text maps: vectors of people and of new items, and files that do not fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from onnx import TensorProto, helper

from models.errors import BundleInconsistent, FileCorrupt
from models.history import Event, History
from models.repeats import N_FEATURES
from models.student import Student
from tests.models.plain_students import (
    PRECISIONS,
    score_items,
)
from tests.support.bundles import (
    NEW_ITEM_WEIGHT,
    tiny_history,
    tiny_items,
    tiny_student,
    tiny_text_encoder,
)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_user_vector_is_the_towers_answer_to_the_history(precision: str) -> None:
    student = Student(tiny_student(tiny_items(), precision))
    histories = [tiny_history(1), History.empty(), History.from_events([Event(0, 0), Event(1, 1)])]
    expected = np.array([[0, 1, 0, 0], [0, 0, 0, 0], [0.5, 0.5, 0, 0]], np.float32)
    np.testing.assert_allclose(student.user_vectors(histories), expected, atol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_person_in_a_batch_has_the_same_vector_as_alone(precision: str) -> None:
    student = Student(tiny_student(tiny_items(), precision))
    histories = [tiny_history(person).last(1 + person % 3) for person in range(6)]
    together = student.user_vectors(histories)
    for row, history in enumerate(histories):
        np.testing.assert_allclose(together[row], student.user_vectors([history])[0], atol=1e-6)


def test_new_items_are_placed_by_a_linear_map_of_their_text_vectors() -> None:
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    bias = np.array([0, 0, 0, 0.5], np.float32)
    files = dataclasses.replace(
        tiny_student(tiny_items()),
        answer_text_map=np.concatenate([weight, bias[None]]),
        history_text_map=np.concatenate([-weight, bias[None]]),
    )
    found = Student(files).new_item_vectors(np.array([[0, 1, 0], [0, 0, 0]], np.float32))
    np.testing.assert_array_equal(found.answers, [[4, 5, 6, 7.5], [0, 0, 0, 0.5]])
    np.testing.assert_array_equal(found.histories, [[-4, -5, -6, -6.5], [0, 0, 0, 0.5]])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_new_item_competes_with_the_catalogue_on_one_scale(precision: str) -> None:
    student = Student(tiny_student(tiny_items(), precision))
    user_vectors = student.user_vectors([tiny_history(0), tiny_history(1)])
    new = student.new_item_vectors(tiny_text_encoder().encode(["a lantern of block1"]))
    scores = student.score_new_items(user_vectors, new.answers)
    np.testing.assert_allclose(scores[:, 0], [0, NEW_ITEM_WEIGHT], atol=1e-6)
    catalogue = score_items(student, user_vectors[1:], np.arange(40, dtype=np.int32))[0]
    assert np.count_nonzero(catalogue > scores[1]) == 5  # block 1 runs from 1.1 to 2, in tenths


@pytest.mark.parametrize("content", [b"", b"no graph"])
def test_graph_that_does_not_load_is_named(content: bytes) -> None:
    files = tiny_student(tiny_items())
    with pytest.raises(FileCorrupt, match=r"^user_tower\.onnx does not load"):
        Student(dataclasses.replace(files, user_tower=content))


def identity_graph(name: str) -> bytes:
    """A graph of one input, that gives it back."""
    values = [helper.make_tensor_value_info(each, TensorProto.FLOAT, [1]) for each in (name, "same")]
    node = helper.make_node("Identity", [name], ["same"])
    graph = helper.make_graph([node], "identity", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"user_tower": tiny_student(tiny_items(), n_blocks=5).user_tower},
            r"user_tower\.onnx takes history_vectors of .* 4 ",
        ),
        ({"user_tower": identity_graph("anything")}, r"user_tower\.onnx takes \['anything'\]"),
        (
            {"history_vectors": np.zeros((41, 5), np.float32)},
            r"user_tower\.onnx takes history_vectors of .* 5 ",
        ),
    ],
)
def test_graph_that_does_not_fit_the_arrays_is_refused(changes: dict[str, object], message: str) -> None:
    files = tiny_student(tiny_items())
    with pytest.raises(BundleInconsistent, match=message):
        Student(dataclasses.replace(files, **changes))  # type: ignore[arg-type]


def test_size_counts_graphs_and_arrays() -> None:
    files = tiny_student(tiny_items())
    arrays = 41 * 4 * 4 + 41 * 4 + 40 * 4 * 2 + 40 * 4 + 2 * 5 * 4 * 4
    cooccurrence = 41 * 2 * (2 + 4) + 41 * 4 + 12 * 4 + 41 * 4 + 12 * 4
    layers = (N_FEATURES + 1 + 1 + 1 + 1 + 1) * 4
    repeats = layers + 40 * 4 * 2 + 4 + 40 * 5 * 2 + 2 * 8 + 8
    index = 3 * 16 * 4 + 48 * 4 + 4
    assert files.size_bytes() == len(files.user_tower) + arrays + cooccurrence + index + repeats
