"""Tiny bundles whose right answers are known without training anything.

Items fall into blocks: item i belongs to block i % n_blocks, and its vector is one-hot there, scaled by its
popularity. The user tower is the mean of the history's vectors, so a person with events in one block is
recommended the rest of that block, most popular first. A text that says "block2" is of block 2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, checker, helper, numpy_helper

from models.attributes import Flags, ItemAttributes, Numbers, Words, edges_of
from models.bundles.bundle import WRITING_LOCK, BundleContents, write_bundle
from models.bundles.golden import record_golden
from models.bundles.manifest import SharesEntry, StudentEntry, TrainingEntry
from models.bundles.registry import LOCK, Registry
from models.bundles.variants import record_variants
from models.cooccurrence import N_DECAYS, N_OWN_DECAYS, Cooccurrence, index_dtype
from models.history import MAX_EVENTS, Event, History
from models.index import flat_index, quantize_rows
from models.item_timeline import ItemTimeline
from models.items import Items, rank_segments
from models.member_shares import MemberShares
from models.monitoring import inputs
from models.monitoring.histogram import Histogram
from models.monitoring.reference import Reference
from models.packed_histories import ColdHistories, Histories
from models.repeats import RepeatModel
from models.repurchase import RepurchaseClock
from models.student import TOWER_INPUTS, Floats, Student, StudentFiles
from models.text import TextEncoder
from models.vocabulary import StringTable, Vocabulary

N_ITEMS = 40
N_BLOCKS = 4
N_PEOPLE = 12
LATEST = 1_700_000_000
WRITTEN_AT = datetime(2024, 1, 1, tzinfo=UTC)
NEW_ITEM_WEIGHT = 1.5
"""What stands in the answer vector of a new item at its block; the catalogue's have 1 to 2 there."""
MEMBERS = ("blocks", "popular", "contrary")
TEXTS = ("A vase of block1", "block2 and block3", "nothing known")


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
        available=np.ones(n_items, np.bool_),
        attributes=tiny_attributes(n_items),
        repurchase=tiny_clock(n_items),
    )


def tiny_clock(n_items: int = N_ITEMS) -> RepurchaseClock:
    """Items are bought every seven days, but for the last one, of which nothing is known."""
    log_days = np.full(n_items, np.log(7), np.float32)
    log_days[-1] = np.nan
    return RepurchaseClock(log_days, np.full(n_items, 0.5, np.float32), np.ones(1, np.float32))


def tiny_attributes(n_items: int = N_ITEMS) -> ItemAttributes:
    """An attribute of each kind: item i is of one or two materials, weighs i, and every second one is organic."""
    rows = np.arange(n_items)
    materials = Words(
        StringTable.from_strings(["glass", "oak", "tin"]),
        np.repeat(rows % 3, rows % 2 + 1).astype(np.int32),
        np.concatenate([[0], np.cumsum(rows % 2 + 1)]),
    )
    weights = np.where(rows % 5 == 0, np.nan, rows).astype(np.float32)
    return ItemAttributes(
        n_items,
        {
            "material": materials,
            "weight": Numbers(weights, edges_of(weights)),
            "organic": Flags((rows % 2).astype(np.int8)),
        },
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
    """A mean-pooling student over one-hot block vectors; what goes with an item says nothing."""
    n_items = len(items)
    blocks = np.eye(n_blocks, dtype=np.float32)[items.segments]
    item_vectors = blocks * (1.0 + items.popularity / items.popularity.max())[:, None]
    table = np.concatenate([np.zeros((1, n_blocks), np.float32), blocks])
    history_vectors, history_scales = stored_rows(table, precision)
    return with_item_vectors(
        StudentFiles(
            user_tower=_mean_tower(n_blocks),
            history_vectors=history_vectors,
            history_scales=history_scales,
            item_vectors=np.zeros((0, n_blocks), np.float16),
            item_scales=np.zeros(0, np.float32),
            answer_text_map=_without_bias(np.eye(n_blocks) * NEW_ITEM_WEIGHT),
            history_text_map=_without_bias(np.eye(n_blocks)),
            index=flat_index(np.zeros((0, n_blocks), np.int8), np.zeros(0, np.float32)),
            cooccurrence=tiny_cooccurrence(np.zeros((n_items, 2), np.float32), precision),
            repeats=RepeatModel.unlearned(ItemTimeline.unknown(n_items)),
            precision=precision,
        ),
        item_vectors,
    )


def tiny_cooccurrence(weights: Floats, precision: str = "fp32") -> Cooccurrence:
    """Each item speaks for the next ones in the catalogue, in a ring, with weights (n_items, n_neighbours).

    The decays are 0, so that every event counts 1 whatever its age.
    """
    n_items, n_neighbours = weights.shape
    ring = (np.arange(n_items)[:, None] + 1 + np.arange(n_neighbours)) % n_items
    stored, scales = stored_rows(np.pad(weights, ((1, 0), (0, 0))), precision)
    return Cooccurrence(
        neighbour_items=np.pad(ring, ((1, 0), (0, 0))).astype(index_dtype(n_items)),
        neighbour_weights=stored,
        neighbour_scales=scales,
        event_decays=np.zeros(N_DECAYS, np.float32),
        own_weights=np.zeros(n_items + 1, np.float32),
        own_decays=np.zeros(N_OWN_DECAYS, np.float32),
    )


def with_item_vectors(files: StudentFiles, item_vectors: Floats) -> StudentFiles:
    """The same student with these answer vectors (n_items, n_factors), in its tables and in its index."""
    stored, scales = stored_rows(item_vectors, files.precision)
    stored = stored if files.precision == "int8" else stored.astype(np.float16)
    return dataclasses.replace(
        files,
        index=flat_index(stored, scales),
        item_vectors=stored,
        item_scales=scales,
    )


def stored_rows(matrix: Floats, precision: str) -> tuple[npt.NDArray[Any], Floats]:
    """A table and its scales as a student of this precision has them."""
    return quantize_rows(matrix) if precision == "int8" else (matrix, np.ones(len(matrix), np.float32))


def tiny_member_shares(items: Items, n_blocks: int = N_BLOCKS) -> MemberShares:
    """Three members: "blocks" contributes the student's own product of vectors, "popular" an item's popularity from 0
    to 1, whoever asks, and "contrary" -1, always.
    """
    weights = np.zeros((len(MEMBERS), 1 + n_blocks, 3 + n_blocks), np.float32)
    weights[0, 1:, 1:-2] = np.eye(n_blocks)
    levels = np.zeros((len(items), len(MEMBERS)), np.float16)
    levels[:, 1] = items.popularity / items.popularity.max()
    levels[:, 2] = -1
    return MemberShares(
        MEMBERS, np.eye(n_blocks, dtype=np.float32), np.eye(n_blocks, dtype=np.float32), weights, levels
    )


def tiny_text_encoder(n_blocks: int = N_BLOCKS) -> TextEncoder:
    """Knows the words "block0", "block1", …, each one-hot at its block."""
    projection, scales = quantize_rows(np.eye(n_blocks, dtype=np.float32))
    return TextEncoder(
        Vocabulary.from_ids([f"block{block}" for block in range(n_blocks)]), projection, scales
    )


def tiny_contents(
    precision: str = "fp32",
    n_items: int = N_ITEMS,
    cooccurrence: Cooccurrence | None = None,
    repeats: RepeatModel | None = None,
) -> BundleContents:
    """A whole tiny bundle, golden requests recorded; what goes with an item, or comes back, says nothing if None."""
    items = tiny_items(n_items)
    student, text_encoder = tiny_student(items, precision), tiny_text_encoder()
    if cooccurrence is not None:
        student = dataclasses.replace(student, cooccurrence=cooccurrence)
    if repeats is not None:
        student = dataclasses.replace(student, repeats=repeats)
    histories = [tiny_history(person) for person in range(4)]
    return BundleContents(
        items=items,
        people=tiny_people(),
        student=student,
        member_shares=tiny_member_shares(items),
        text_encoder=text_encoder,
        golden=record_golden(Student(student), text_encoder, histories, TEXTS),
        reference=tiny_reference().to_json(),
        student_entry=StudentEntry(
            precision, N_BLOCKS, MAX_EVENTS, "made for a test", {}, SharesEntry(MEMBERS, {}, 0.0)
        ),
        training_entry=TrainingEntry("tiny", 0, {}, {}, {}),
    )


def with_unavailable(contents: BundleContents, item_indices: Iterable[int]) -> BundleContents:
    """The same bundle of a shop that took these items out, its golden requests recorded again."""
    available = np.ones(len(contents.items), np.bool_)
    available[list(item_indices)] = False
    items = dataclasses.replace(contents.items, available=available)
    histories = [request.history() for request in contents.golden.requests]
    student = Student(contents.student)
    golden = record_golden(student, contents.text_encoder, histories, TEXTS, items.recommendable)
    variants = contents.variants
    if variants is not None:
        histories = [request.history() for request in variants.golden.requests["ensemble"]]
        again = record_variants(variants.variants, histories, items.recommendable)
        variants = dataclasses.replace(variants, golden=again)
    return dataclasses.replace(contents, items=items, golden=golden, variants=variants)


def tiny_reference() -> Reference:
    """Half of the people know three items and half know none; half of the events are clicks and half are views, of
    every block alike, and every tenth is of an item that nobody knows.
    """
    return Reference(
        {
            inputs.HISTORY_LENGTH: Histogram.of(np.repeat([0, 3], 5_000), inputs.HISTORY_LENGTH_EDGES),
            inputs.EVENT_KIND: Histogram.of(np.repeat([0, 1], 5_000), inputs.KIND_EDGES),
            inputs.UNKNOWN_ITEM: Histogram.of(np.arange(10_000) % 10 == 0, inputs.UNKNOWN_EDGES),
            inputs.CATEGORY: Histogram.of(np.arange(10_000) % N_BLOCKS, range(N_BLOCKS + 1)),
        },
        categories=list(range(N_BLOCKS)),
    )


def tiny_bundle(store: Path, precision: str = "fp32", *, promote: bool = True) -> Path:
    """Write a tiny bundle into a store and make it current."""
    path = write_bundle(store, tiny_contents(precision), now=WRITTEN_AT)
    if promote:
        Registry(store).promote(path.name)
    return path


def leftovers(registry: Registry) -> list[str]:
    """Return hidden files and folders of a store, other than its locks."""
    locks = {LOCK, WRITING_LOCK}
    return sorted(file.name for file in registry.store.glob(".*") if file.name not in locks)


def _without_bias(weight: npt.NDArray[np.float64]) -> Floats:
    return np.concatenate([weight, np.zeros((1, weight.shape[1]))]).astype(np.float32)


def _mean_tower(n_factors: int) -> bytes:
    """history_vectors, is_event -> mean over events; an empty history gives zeros."""
    vectors, is_event, gaps, kinds, counts = TOWER_INPUTS
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
            tensor(counts, TensorProto.FLOAT, ["n_people", "length"]),
        ],
        [tensor("user_vectors", TensorProto.FLOAT, ["n_people", n_factors])],
        [
            numpy_helper.from_array(np.array([-1], np.int64), "last_axis"),
            numpy_helper.from_array(np.array([1], np.int64), "event_axis"),
            numpy_helper.from_array(np.array([1.0], np.float32), "one"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    return bytes(model.SerializeToString())
