"""Tiny bundles whose right answers are known without training anything.

Items fall into blocks: item i belongs to block i % n_blocks, and its vector is one-hot there, scaled by its
popularity. The user tower is the mean of the history's vectors, so a person with events in one block is
recommended the rest of that block, most popular first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models.bundle import BundleContents, write_bundle
from models.golden import record_golden
from models.histories import ColdHistories, Histories
from models.history import MAX_EVENTS, Event, History
from models.items import Items, rank_segments
from models.manifest import StudentEntry, TrainingEntry
from models.registry import Registry
from models.student import TOWER_INPUTS, Student, StudentFiles
from models.vocabulary import StringTable, Vocabulary
from training.student.catalogue_graph import build_catalogue, quantize_rows, serialise

N_ITEMS = 40
N_BLOCKS = 4
N_PEOPLE = 12
LATEST = 1_700_000_000
WRITTEN_AT = datetime(2024, 1, 1, tzinfo=UTC)


def tiny_items(n_items: int = N_ITEMS, n_blocks: int = N_BLOCKS) -> Items:
    """Items "item-0", "item-1", …; category "block-b"; price 1.0 + index; popularity falls with the index."""
    blocks = (np.arange(n_items) % n_blocks).astype(np.int32)
    popularity = (n_items - np.arange(n_items)).astype(np.float32)
    return Items(
        vocabulary=Vocabulary.from_ids([f"item-{index}" for index in range(n_items)]),
        titles=StringTable.from_strings([f"Item {index}" for index in range(n_items)]),
        category_names=StringTable.from_strings([f"block-{block}" for block in range(n_blocks)]),
        category_codes=blocks,
        prices=(1.0 + np.arange(n_items)).astype(np.float32),
        segments=blocks,
        segment_popular=rank_segments(blocks, popularity),
        popularity=popularity,
    )


def tiny_history(person: int, n_blocks: int = N_BLOCKS) -> History:
    """Person p knows the first three items of block p % n_blocks, one a day."""
    block = person % n_blocks
    return History.from_events(Event(block + step * n_blocks, LATEST + step * 86_400) for step in range(3))


def tiny_people(n_people: int = N_PEOPLE) -> ColdHistories:
    """People "user-0", "user-1", … with `tiny_history`."""
    return ColdHistories(
        Vocabulary.from_ids([f"user-{person}" for person in range(n_people)]),
        Histories.from_list([tiny_history(person) for person in range(n_people)]),
    )


def tiny_student(items: Items, precision: str = "fp32", n_blocks: int = N_BLOCKS) -> StudentFiles:
    """A mean-pooling student over one-hot block vectors."""
    n_items = len(items)
    blocks = np.eye(n_blocks, dtype=np.float32)[items.segments]
    item_vectors = blocks * (1.0 + items.popularity / items.popularity.max())[:, None]
    table = np.concatenate([np.zeros((1, n_blocks), np.float32), blocks])
    quantized, scales = quantize_rows(table)
    is_int8 = precision == "int8"
    return StudentFiles(
        user_tower=_mean_tower(n_blocks),
        catalogue=build_catalogue(item_vectors, precision=precision),
        history_vectors=quantized if is_int8 else table,
        history_scales=scales if is_int8 else np.ones(n_items + 1, np.float32),
        item_vectors=item_vectors.astype(np.float16),
        precision=precision,
    )


def tiny_contents(precision: str = "fp32", n_items: int = N_ITEMS) -> BundleContents:
    """A whole tiny bundle, golden requests recorded."""
    items = tiny_items(n_items)
    student = tiny_student(items, precision)
    golden = record_golden(Student(student), [tiny_history(person) for person in range(4)])
    return BundleContents(
        items=items,
        people=tiny_people(),
        student=student,
        golden=golden,
        reference={"history_length": {"edges": [0, 1, 5], "counts": [0, 12]}},
        student_entry=StudentEntry(precision, N_BLOCKS, MAX_EVENTS, "made for a test", {}),
        training_entry=TrainingEntry("tiny", 0, {}, {}, {}),
    )


def tiny_bundle(store: Path, precision: str = "fp32", *, promote: bool = True) -> Path:
    """Write a tiny bundle into a store and make it current."""
    path = write_bundle(store, tiny_contents(precision), now=WRITTEN_AT)
    if promote:
        Registry(store).promote(path.name)
    return path


def _mean_tower(n_factors: int) -> bytes:
    """history_vectors, is_event -> mean over events; an empty history gives zeros."""
    vectors, is_event, gaps, kinds = TOWER_INPUTS
    tensor = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Unsqueeze", [is_event, "last_axis"], ["mask"]),
        helper.make_node("Mul", [vectors, "mask"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "event_axis"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", [is_event, "event_axis"], ["n_events"], keepdims=1),
        helper.make_node("Max", ["n_events", "one"], ["divisor"]),
        helper.make_node("Div", ["total", "divisor"], ["user_vectors"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mean_tower",
        [
            tensor(vectors, TensorProto.FLOAT, ["n_people", "length", n_factors]),
            tensor(is_event, TensorProto.FLOAT, ["n_people", "length"]),
            tensor(gaps, TensorProto.FLOAT, ["n_people", "length"]),
            tensor(kinds, TensorProto.INT64, ["n_people", "length"]),
        ],
        [tensor("user_vectors", TensorProto.FLOAT, ["n_people", n_factors])],
        [
            numpy_helper.from_array(np.array([-1], np.int64), "last_axis"),
            numpy_helper.from_array(np.array([1], np.int64), "event_axis"),
            numpy_helper.from_array(np.array([1.0], np.float32), "one"),
        ],
    )
    return serialise(graph)
