"""What is served is what was taught, in either precision, and an export that is not is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.cooccurrence import Boosts, index_dtype
from models.history import Event, History, encode_history
from models.index import unpack_blocks
from models.scan import ScanQuery
from models.student import Student, StudentFiles
from models.text import TextEncoder
from tests.support.teachers import BLOCKS, N_ITEMS, BlockTeacher
from tests.training.student.conftest import people
from training.base.errors import ExportMismatch
from training.members.member import Floats
from training.student import export
from training.student.export import export_student, torch_scores
from training.student.tower import StudentModel

PRECISIONS = ["fp32", "int8"]
STRANGERS = people(40, seed=77)


@pytest.fixture(scope="module")
def exports(model: StudentModel) -> dict[str, StudentFiles]:
    return export_student(model, STRANGERS[:10])


@pytest.mark.parametrize("length", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("n_people", [1, 3])
def test_export_scores_as_torch_does_at_any_size(
    model: StudentModel, exports: dict[str, StudentFiles], length: int, n_people: int
) -> None:
    history = History.from_events(Event(item % N_ITEMS, 9_000 * item, item % 5) for item in range(length))
    found = Student(exports["fp32"]).catalogue_scores([history] * n_people)
    np.testing.assert_allclose(found, torch_scores(model, [history] * n_people), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_served_student_recommends_what_its_teacher_does(
    exports: dict[str, StudentFiles], precision: str
) -> None:
    seen = [history.item_indices for history in STRANGERS]
    ranked = Student(exports[precision]).recommend(STRANGERS, 1, blocked=seen)
    best = BlockTeacher().score(STRANGERS).argmax(axis=1)
    assert np.mean(ranked.item_indices[:, 0] == best) > 0.9


def test_int8_scores_nearly_as_fp32(exports: dict[str, StudentFiles]) -> None:
    exact, quantized = (Student(exports[precision]).catalogue_scores(STRANGERS) for precision in PRECISIONS)
    assert np.abs(quantized - exact).mean() < 0.02 * np.ptp(exact, axis=1).mean()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_new_items_get_the_vectors_that_the_towers_give_an_item_without_an_id(
    model: StudentModel, exports: dict[str, StudentFiles], precision: str
) -> None:
    new = Student(exports[precision]).new_item_vectors(model.answer_items.text_vectors.numpy())
    knows_no_id = torch.zeros(N_ITEMS, 1)
    with torch.inference_mode():
        np.testing.assert_allclose(new.answers, model.answer_items(knows_no_id).numpy(), atol=1e-5)
        np.testing.assert_allclose(new.histories, model.history_items(knows_no_id).numpy(), atol=1e-5)


def test_item_in_no_table_ranks_above_other_blocks_for_people_of_its_block(
    exports: dict[str, StudentFiles], text_encoder: TextEncoder
) -> None:
    student = Student(exports["fp32"])
    new = student.new_item_vectors(
        text_encoder.encode(["Brand new: a CRIMSON teapot", "Mossy basket, large"])
    )
    of_block = [History.from_events([Event(block, 1), Event(block + 4, 2)]) for block in range(4)]
    scores = student.score_new_items(student.user_vectors(of_block), new.answers)
    catalogue = student.catalogue_scores(of_block)
    for new_item, block in enumerate((0, 3)):
        assert int(np.argmax(scores[:, new_item])) == block
        assert scores[block, new_item] > np.median(catalogue[block, block != BLOCKS])


def test_tables_take_few_bytes_in_int8(exports: dict[str, StudentFiles]) -> None:
    fp32, int8 = exports["fp32"], exports["int8"]
    assert [fp32.item_vectors.dtype, int8.item_vectors.dtype] == [np.float16, np.int8]
    assert [fp32.history_vectors.dtype, int8.history_vectors.dtype] == [np.float32, np.int8]
    assert int8.cooccurrence.neighbour_weights.dtype == np.int8
    assert int8.cooccurrence.neighbour_items.dtype == index_dtype(N_ITEMS) == np.uint16
    assert int8.index.item_blocks.nbytes == fp32.index.item_blocks.nbytes == 16 * -(-N_ITEMS // 16) * 8


def test_item_vectors_of_int8_are_the_very_numbers_of_its_index(exports: dict[str, StudentFiles]) -> None:
    int8 = exports["int8"]
    np.testing.assert_array_equal(unpack_blocks(int8.index.item_blocks, 8)[:N_ITEMS], int8.item_vectors)
    np.testing.assert_array_equal(int8.index.block_scales[:N_ITEMS], int8.item_scales)
    user = np.zeros(8, np.float32)
    user[3] = 1.0
    ranked = Student(int8).top_k([ScanQuery(user, encode_history(History.empty()))], N_ITEMS)
    stored = int8.item_vectors[:, 3] * int8.item_scales
    np.testing.assert_allclose(ranked.scores[0], stored[ranked.item_indices[0]], rtol=1e-5, atol=1e-6)


def shifted(matrix: Floats) -> tuple[Floats, Floats]:
    return np.roll(matrix, 1, axis=0), np.ones(len(matrix), np.float32)


def test_export_that_scores_otherwise_is_refused(
    model: StudentModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_as_they_are", shifted)
    with pytest.raises(ExportMismatch, match="allowed"):
        export_student(model, STRANGERS[:3])


def test_export_that_forgets_the_term_is_refused(
    model: StudentModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Student, "boosts", lambda self, histories: Boosts.none(len(histories)))
    with pytest.raises(ExportMismatch, match="allowed"):
        export_student(model, STRANGERS[:3])
