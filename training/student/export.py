"""Export the student from torch to what is served: an ONNX user tower with dynamic batch and length, and item tables
ready to be searched.

Both precisions are made here; `compression` measures them and chooses. The fp32 export is compared with torch.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch.export import Dim

from models.bundles.golden import HALF_ROUNDING
from models.cooccurrence import Cooccurrence, index_dtype
from models.history import History
from models.index import flat_index, quantize_rows
from models.student import TOWER_INPUTS, Student, StudentFiles
from training.base.errors import ExportMismatch
from training.members.member import Floats
from training.student.tower import CooccurrenceTerm, ItemTower, StudentModel

StoreRows = Callable[[Floats], tuple[Any, Floats]]
"""A function from a table to its rows as stored and one scale per row."""

EXPORT_TOLERANCE = 1e-3
"""Largest allowed difference of scores between torch and onnxruntime, relative to the spread of a person's scores."""


@torch.inference_mode()
def torch_scores(model: StudentModel, histories: Sequence[History]) -> Floats:
    """Return scores of the whole catalogue, (n_people, n_items), by the trained torch model itself."""
    return np.asarray(model.eval()(*model.encode(histories)).numpy(), np.float32)


def export_student(model: StudentModel, check_on: Sequence[History]) -> dict[str, StudentFiles]:
    """Export in both precisions, "fp32" and "int8".

    Raises ExportMismatch if the fp32 export and torch disagree on `check_on` by more than `EXPORT_TOLERANCE`.
    """
    tower = export_tower(model.eval())
    exports = {
        "fp32": _files(model, tower, _as_they_are, np.float16, "fp32"),
        "int8": _files(model, quantize_tower(tower), quantize_rows, np.int8, "int8"),
    }
    _check_export(model, exports["fp32"], check_on)
    return exports


@torch.inference_mode()
def _files(
    model: StudentModel, tower: bytes, store: StoreRows, item_dtype: type[np.generic], precision: str
) -> StudentFiles:
    """Build a student's files; `store` turns a table into what is stored."""
    history_vectors, history_scales = store(_padded(model.history_items().numpy()))
    stored_items, item_scales = store(np.ascontiguousarray(model.answer_items().numpy()))
    stored_items = stored_items.astype(item_dtype)
    return StudentFiles(
        user_tower=tower,
        history_vectors=history_vectors,
        history_scales=history_scales,
        item_vectors=stored_items,
        item_scales=item_scales,
        answer_text_map=_text_map(model.answer_items),
        history_text_map=_text_map(model.history_items),
        index=flat_index(stored_items, item_scales),
        cooccurrence=_cooccurrence(model.cooccurrence, store),
        repeats=model.repeats,
        precision=precision,
    )


def _cooccurrence(term: CooccurrenceTerm, store: StoreRows) -> Cooccurrence:
    items = term.neighbour_items.numpy()
    weights, scales = store(term.weights.numpy())
    return Cooccurrence(
        neighbour_items=items.astype(index_dtype(len(items) - 1)),
        neighbour_weights=weights,
        neighbour_scales=scales,
        event_decays=term.decays.numpy(),
        own_weights=term.own_weights.numpy(),
        own_decays=term.own_decays.numpy(),
    )


def _as_they_are(matrix: Floats) -> tuple[Floats, Floats]:
    """Store rows in fp32, with scales of 1."""
    return matrix, np.ones(len(matrix), np.float32)


def _padded(table: Floats) -> Floats:
    """Put a row of zeros, for padding, before the items."""
    return np.concatenate([np.zeros((1, table.shape[1]), np.float32), table])


def _text_map(tower: ItemTower) -> Floats:
    """Return the tower's map of text vectors in the layout of `StudentFiles`: weights above, bias below."""
    weight, bias = (part.detach().numpy() for part in (tower.text.weight, tower.text.bias))
    return np.concatenate([weight.T, bias[None]])


def export_tower(model: StudentModel) -> bytes:
    """Export the user tower to ONNX; the numbers of people and of events per person are dynamic."""
    n_people, length, width = 2, 3, model.settings.n_factors
    example = (
        torch.randn(n_people, length, width),
        torch.ones(n_people, length),
        torch.rand(n_people, length),
        torch.zeros(n_people, length, dtype=torch.int64),
        torch.rand(n_people, length),
    )
    people, events = Dim("n_people", min=1, max=4096), Dim("length", min=1, max=4096)
    # Tracing specialises on sizes that are 0 or 1, so the example has 2 people and 3 events.
    shapes = {name: {0: people, 1: events} for name in TOWER_INPUTS}
    with quiet():
        program = torch.onnx.export(
            model.user_tower,
            example,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=list(TOWER_INPUTS),
            output_names=["user_vectors"],
            verbose=False,
        )
    assert program is not None  # it is None only if torch writes to a file itself
    return bytes(program.model_proto.SerializeToString())


def quantize_tower(tower: bytes) -> bytes:
    """Quantize weights of matrix products to int8, one scale per column; activations are quantized at run time."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        source, target = Path(folder, "fp32.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(tower)
        # Seven bits, because without VNNI x86 adds pairs of eight-bit products in 16 bits, which can overflow.
        quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8, reduce_range=True)
        return target.read_bytes()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' notes to their own developers out of a training log."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _check_export(model: StudentModel, files: StudentFiles, histories: Sequence[History]) -> None:
    """Compare scores of torch and onnxruntime, also for the empty history; raise ExportMismatch if they differ."""
    with_empty = [History.empty(), *histories]
    student = Student(files)
    expected = torch_scores(model, with_empty)
    found = student.catalogue_scores(with_empty)
    spread = np.ptp(expected, axis=1, keepdims=True)
    lengths = np.linalg.norm(student.user_vectors(with_empty), axis=1)[:, None] * np.linalg.norm(
        student.item_vectors(np.arange(student.n_items)), axis=1
    )
    beyond = np.abs(found - expected) - HALF_ROUNDING * lengths  # item vectors are stored in 16 bits
    worst = float(np.max(beyond / spread))
    if worst > EXPORT_TOLERANCE:
        raise ExportMismatch(
            f"onnxruntime and torch differ by {worst:.5f} of a person's spread of scores; "
            f"{EXPORT_TOLERANCE} is allowed"
        )
