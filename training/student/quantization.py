"""A student in fewer bits, as versions that certification may choose from. All tables are stored in them.

int8_tables      nothing else: tables become numbers of 32 bits again when they are read
int8_dynamic     the tower's products too, on integers, activations quantized as they come
int8_static      the same with activations by ranges that real histories were seen to span
int4_tables      int8_tables with item tables in 4 bits: measured, not served
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
    """All quantized versions of one student. exports: what `export_student` made of it, fp32 and int8."""
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
    """Weights and activations of the tower's wide layers to int8, activations by the range that calibrate_on spans.

    Weights take one scale a column and seven bits, which no processor without VNNI can overflow. The layers that
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
    """What four bits a number would do to both item tables: exact in quality, in size as if two shared a byte.

    The values lie on the four-bit grid but in int8 tables: numpy has no packed type, and unpacking the events of
    every request costs more than the bytes are worth. So it is measured, never shipped.
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
    in_eight_bits = history.nbytes + 2 * answers.nbytes  # answers lie in the index too
    return Version(name, files, files.size_bytes() - in_eight_bits // 2, is_served=False)


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """Real histories as the tower's inputs, a chunk of people at a time."""

    def __init__(self, fp32: StudentFiles, histories: Sequence[History]) -> None:
        self._feeds = self._read(fp32, histories)

    def get_next(self) -> dict[str, npt.NDArray[np.generic]] | None:
        """The next chunk, None after the last: onnxruntime's contract."""
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
            )
            yield dict(zip(TOWER_INPUTS, values, strict=True))
