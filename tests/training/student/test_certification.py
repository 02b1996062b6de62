"""Who may ship: measured losses against a bound, and which of those that hold is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.student import Student, StudentFiles
from tests.support.students import N_ITEMS, questions_answered_by, random_histories, random_student
from training.data.split import Questions
from training.metrics.protocols import Candidates, draw_candidates
from training.student.certification import (
    REFERENCE,
    CertificationSettings,
    Certifier,
    Version,
    choose,
    time_in_turns,
)
from training.student.export import export_student

SETTINGS = CertificationSettings(max_quality_loss=0.02, speed_tie=0.05)


@pytest.fixture(scope="module")
def exports() -> dict[str, StudentFiles]:
    return export_student(random_student(), random_histories(8))


@pytest.fixture(scope="module")
def evaluation_set() -> tuple[Questions, Candidates]:
    """Questions that the random student answers without a mistake."""
    questions = questions_answered_by(random_student(), 150)
    return questions, draw_candidates(questions, N_ITEMS, seed=0)


@pytest.fixture(scope="module")
def judge(exports: dict[str, StudentFiles], evaluation_set: tuple[Questions, Candidates]) -> Certifier:
    return Certifier(exports["fp32"], *evaluation_set, SETTINGS, seed=0)


def row(
    latency_ms: float, *, size: float = 10.0, loss_high: float = 0.0, is_served: bool = True
) -> dict[str, float]:
    """Made-up evidence of one version."""
    losses = {
        f"{figure}_loss{end}": loss_high
        for figure in ("ndcg@10", "catalogue_ndcg@20")
        for end in ("", "_low", "_high")
    }
    holds = loss_high <= SETTINGS.max_quality_loss
    return losses | {
        "latency_p50_ms": latency_ms,
        "size_bytes": size,
        "holds": float(holds),
        "is_served": float(is_served),
    }


def test_the_fastest_that_holds_ships() -> None:
    evidence = {REFERENCE: row(3.0), "slow": row(2.0), "fast": row(1.0)}
    assert choose(evidence, SETTINGS).name == "fast"


def test_a_faster_one_that_loses_too_much_is_refused_by_name_and_the_next_one_up_ships() -> None:
    evidence = {REFERENCE: row(3.0), "good": row(2.0), "broken": row(1.0, loss_high=0.3)}
    choice = choose(evidence, SETTINGS)
    assert choice.name == "good"
    assert choice.reason.startswith("good ships: 1.50 times as fast")
    assert "refused: broken" in choice.reason
    assert "30.00%" in choice.reason


def test_the_reference_ships_where_nothing_else_holds() -> None:
    choice = choose({REFERENCE: row(3.0), "broken": row(1.0, loss_high=0.3)}, SETTINGS)
    assert choice.name == REFERENCE
    assert choice.reason.startswith("fp32 ships unpruned")
    assert "refused: broken" in choice.reason


def test_the_reference_ships_even_where_it_knows_nothing_itself() -> None:
    assert choose({REFERENCE: row(3.0, loss_high=1.0)}, SETTINGS).name == REFERENCE


def test_of_those_that_tie_in_speed_the_smallest_ships() -> None:
    evidence = {REFERENCE: row(1.0, size=9.0), "small": row(1.04, size=3.0), "slow": row(1.1, size=1.0)}
    assert choose(evidence, SETTINGS).name == "small"


def test_what_cannot_be_served_never_ships() -> None:
    unserved = {name: value for name, value in row(0, is_served=False).items() if name != "latency_p50_ms"}
    assert choose({REFERENCE: row(3.0), "unserved": unserved}, SETTINGS).name == REFERENCE


def test_the_reference_loses_nothing_against_itself(
    judge: Certifier, exports: dict[str, StudentFiles]
) -> None:
    evidence = judge.evidence(Version.of(REFERENCE, exports["fp32"]))
    assert evidence["catalogue_ndcg@20"] == evidence["ndcg@10"] == 1.0
    assert evidence["catalogue_ndcg@20_loss_low"] == evidence["catalogue_ndcg@20_loss_high"] == 0.0
    assert evidence["holds"] == 1.0


def broken_scales(files: StudentFiles) -> StudentFiles:
    """Every other history vector twice as long."""
    return replace(
        files, history_scales=files.history_scales * (1 + np.arange(N_ITEMS + 1, dtype=np.float32) % 2)
    )


def shuffled_rows(files: StudentFiles) -> StudentFiles:
    """History vectors in the rows of other items."""
    return replace(files, history_vectors=np.roll(files.history_vectors, 7, axis=0))


@pytest.mark.parametrize("break_it", [broken_scales, shuffled_rows])
def test_a_broken_quantization_is_refused_and_the_next_one_up_ships(
    judge: Certifier, exports: dict[str, StudentFiles], break_it: object
) -> None:
    assert callable(break_it)
    versions = {
        REFERENCE: (exports["fp32"], 3.0),
        "good": (exports["int8"], 2.0),
        "broken": (break_it(exports["int8"]), 1.0),
    }
    evidence = {
        name: judge.evidence(Version.of(name, files)) | {"latency_p50_ms": latency_ms}
        for name, (files, latency_ms) in versions.items()
    }
    assert evidence["broken"]["catalogue_ndcg@20_loss_low"] > SETTINGS.max_quality_loss
    choice = choose(evidence, CertificationSettings(max_quality_loss=0.05))
    assert choice.name == "good"
    assert "refused: broken" in choice.reason


def test_a_loss_within_the_bound_whose_interval_is_not_does_not_hold(
    exports: dict[str, StudentFiles], evaluation_set: tuple[Questions, Candidates]
) -> None:
    version = Version.of("int8", exports["int8"])
    measured = Certifier(exports["fp32"], *evaluation_set, SETTINGS, seed=0).evidence(version)
    worst = max(measured["ndcg@10_loss"], measured["catalogue_ndcg@20_loss"])
    worst_high = max(measured["ndcg@10_loss_high"], measured["catalogue_ndcg@20_loss_high"])
    assert 0.0 < worst < worst_high
    for bound, holds in (((worst + worst_high) / 2, 0.0), (worst_high, 1.0)):
        settings = CertificationSettings(max_quality_loss=bound)
        judged = Certifier(exports["fp32"], *evaluation_set, settings, seed=0).evidence(version)
        assert judged["holds"] == holds


def test_no_more_people_are_evaluated_than_the_settings_say(
    exports: dict[str, StudentFiles], evaluation_set: tuple[Questions, Candidates]
) -> None:
    settings = CertificationSettings(max_people=40)
    evidence = Certifier(exports["fp32"], *evaluation_set, settings, seed=0).evidence(
        Version.of("fp32", exports["fp32"])
    )
    assert evidence["n_people"] == 40
    assert evidence["catalogue_ndcg@20"] == 1.0  # the drawn people keep their own questions


def test_students_are_timed_in_turns(
    exports: dict[str, StudentFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    students = {name: Student(files) for name, files in exports.items()}
    turns: list[str] = []
    for name, student in students.items():
        monkeypatch.setattr(student, "recommend", lambda *_, name=name, **__: turns.append(name))
    times = time_in_turns(students, random_histories(3))
    assert turns[:12] == ["fp32"] * 3 + ["int8"] * 3 + ["fp32"] * 3 + ["int8"] * 3
    assert set(times) == {"fp32", "int8"}


def test_only_the_students_own_time_of_the_processor_counts(
    exports: dict[str, StudentFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock on the wall the other student is slower: somebody else has the core while it answers."""
    students = {name: Student(files) for name, files in exports.items()}
    wall, own = [0.0], [0.0]
    for name, (elsewhere, busy) in {"fp32": (0.0, 0.002), "int8": (0.5, 0.001)}.items():

        def recommend(*_: object, elsewhere: float = elsewhere, busy: float = busy, **__: object) -> None:
            wall[0] += elsewhere + busy
            own[0] += busy

        monkeypatch.setattr(students[name], "recommend", recommend)
    monkeypatch.setattr("time.perf_counter", lambda: wall[0])
    monkeypatch.setattr("time.thread_time", lambda: own[0])
    assert time_in_turns(students, random_histories(3)) == pytest.approx({"fp32": 2.0, "int8": 1.0})
