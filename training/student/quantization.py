"""Quantize a student into versions that certification may choose from. Each version stores all tables in fewer bits.

int8_tables      only the tables are quantized; they become 32-bit numbers again when they are read
int8_dynamic     the tower's products are on integers too; activations are quantized at run time
int8_static      like int8_dynamic, but activations are quantized by the ranges that real histories spanned
int4_tables      like int8_tables, with item tables in 4 bits; measured, but not served
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from models.history import History, encode_histories
from models.index import flat_index, quantize_rows
from models.student import TOWER_INPUTS, StudentFiles
from training.student.certification import Version
from training.student.export import quiet

CALIBRATION_CHUNK = 64


def quantized_versions(
    exports: dict[str, StudentFiles], calibrate_on: Sequence[History], *, prefix: str = ""
) -> list[Version]:
    """Return all quantized versions of one student. exports: what `export_student` made of it, in fp32 and int8."""
    fp32, int8 = exports["fp32"], exports["int8"]
    return [
        Version.of(f"{prefix}int8_tables", replace(int8, user_tower=fp32.user_tower)),
        Version.of(f"{prefix}int8_dynamic", int8),
        Version.of(
            f"{prefix}int8_static", replace(int8, user_tower=quantize_tower_static(fp32, calibrate_on))
        ),
        four_bit_tables(f"{prefix}int4_tables", exports),
    ]


def quantize_tower_static(fp32: StudentFiles, calibrate_on: Sequence[History]) -> bytes:
    """Quantize the tower's wide layers to int8; calibrate_on gives the ranges of their activations.

    Weights have one scale per column and seven bits, which cannot overflow even without VNNI. Only the layers that
    read heads and hidden units are `Gemm`; the attention's products are too narrow to gain (44 µs instead of 38).
    """
    with tempfile.TemporaryDirectory() as folder, quiet():
        target = Path(folder, "static.onnx")
        quantize_static(
            onnx.load_from_string(fp32.user_tower),
            target,
            _Calibration(fp32, calibrate_on),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Gemm"],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
        )
        return target.read_bytes()


def four_bit_tables(name: str, exports: dict[str, StudentFiles]) -> Version:
    """Make the version with both item tables in four bits: exact in quality, sized as if two numbers shared a byte.

    The values lie on the four-bit grid, but in int8 tables: numpy has no packed type, and unpacking the events of
    every request costs more than the bytes are worth. So this version is measured, and never shipped.
    """
    fp32, int8 = exports["fp32"], exports["int8"]
    history, history_scales = quantize_rows(fp32.history_vectors.astype(np.float32), n_bits=4)
    answers, answer_scales = quantize_rows(fp32.item_vectors.astype(np.float32), n_bits=4)
    files = replace(
        int8,
        user_tower=fp32.user_tower,
        index=flat_index(answers, answer_scales),
        history_vectors=history,
        history_scales=history_scales,
        item_vectors=answers,
        item_scales=answer_scales,
    )
    in_eight_bits = history.nbytes + 2 * answers.nbytes  # the index holds the answers too
    return Version(name, files, files.size_bytes() - in_eight_bits // 2, is_served=False)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """Feeds real histories to the tower as its inputs, a chunk of people at a time."""

    def __init__(self, fp32: StudentFiles, histories: Sequence[History]) -> None:
        self._feeds = self._read(fp32, histories)

    def get_next(self) -> dict[str, npt.NDArray[np.generic]] | None:
        """Return the next chunk, or None after the last, as onnxruntime asks of a reader."""
        return next(self._feeds, None)

    @staticmethod
    def _read(
        fp32: StudentFiles, histories: Sequence[History]
    ) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
        for start in range(0, len(histories), CALIBRATION_CHUNK):
            encoded = encode_histories(histories[start : start + CALIBRATION_CHUNK])
            is_event = (encoded.item_rows > 0).astype(np.float32)
            values = (
                fp32.history_vectors[encoded.item_rows],
                is_event,
                encoded.gap_log_days,
                encoded.event_kinds,
                encoded.log_counts,
            )
            yield dict(zip(TOWER_INPUTS, values, strict=True))
