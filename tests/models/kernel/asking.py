"""Questions for `ask.c`, the kernel as a program of its own, and the answers that it gives."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.cooccurrence import LAST_VISIT_LOG_DAYS
from models.index import AllowedItems
from models.scan import RESCORE_MARGIN, Ranked, ScanQuery
from tests.models.catalogues import Catalogue, random_catalogue, random_people

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
FLAGS = ("-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra", "-Werror")
"""As pyproject.toml builds the kernel, and no warning is let pass."""

SECONDS = 300.0


@dataclass(frozen=True)
class Question:
    """What `Scan.top_k` would be asked. n_probes: None for the index's own number."""

    asked: Sequence[ScanQuery]
    k: int
    allowed: AllowedItems | None = None
    n_probes: int | None = None

    def answer(self, catalogue: Catalogue) -> Ranked:
        """As this processor's own kernel answers it, through Python."""
        return catalogue.scan().top_k(self.asked, self.k, self.allowed, n_probes=self.n_probes)


@dataclass(frozen=True)
class Answer:
    """outcome: as in kernel/layout.h, 0 where all is well."""

    outcome: int
    ranked: Ranked


def build(out: Path, *words: str) -> Path:
    """Compile `ask.c` with the kernel into a program. words: the compiler, and flags of its own."""
    command = [*words, *FLAGS, f"-I{ROOT / 'models/kernel'}", str(HERE / "ask.c"), "-o", str(out), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return out


def ask(
    program: Sequence[str | Path], kernel: str, catalogue: Catalogue, *questions: Question
) -> list[Answer]:
    """Run the program, an emulator before it perhaps, with these instructions."""
    done = subprocess.run(
        [*program, kernel],
        input=b"".join(stated(catalogue, *questions)),
        capture_output=True,
        timeout=SECONDS,
        env={"ASAN_OPTIONS": "detect_leaks=0"},
    )
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr.decode()[-4000:]}"
    return _answers(done.stdout, questions)


def random_questions(seed: int) -> tuple[Catalogue, list[Question]]:
    """A catalogue of any kind, and questions with filters, lists, ties, and vectors of zeros, huge or no numbers."""
    rng = np.random.default_rng(seed)
    n_items = int(rng.choice([1, 15, 16, 33, 300, 2_500]))
    n_lists = int(rng.choice([0, 0, 7, 40]))
    catalogue = random_catalogue(
        seed,
        n_items,
        int(rng.choice([1, 3, 16, 17, 30, 64, 64, 100])),
        int(rng.choice([0, 5, 64, 70])),
        is_wide=bool(rng.random() < 0.5),
        is_float=bool(rng.random() < 0.5),
        n_lists=n_lists,
        n_probes=max(1, n_lists // 3),
    )
    if rng.random() < 0.3:  # few different vectors, so that many scores are equal
        copies = rng.integers(0, min(n_items, 3), n_items)
        catalogue.item_vectors[:] = catalogue.item_vectors[copies]
        blocks = catalogue.index.item_blocks
        catalogue.index.block_scales[:n_items] = catalogue.index.block_scales[copies]
        rows = blocks.transpose(0, 2, 1, 3).reshape(-1, blocks.shape[1] * blocks.shape[3])
        of_blocks = np.concatenate([rows[copies], rows[n_items:]]).reshape(len(blocks), 16, -1, 4)
        blocks[:] = of_blocks.transpose(0, 2, 1, 3)
    if rng.random() < 0.3:  # as far from nought as bytes go; what they stand for is no matter here
        catalogue.index.item_blocks[:] = rng.choice([1, 255], catalogue.index.item_blocks.shape)
    return catalogue, [_random_question(rng, catalogue) for _ in range(4)]


BYTES = (-63, -33, -32, -1, 0, 1, 31, 32, 33, 63)
"""Of a user vector: sums of four of them are at and about the most that 16 bits hold with the largest items."""


def _random_question(rng: np.random.Generator, catalogue: Catalogue) -> Question:
    asked = random_people(int(rng.integers(2**31)), catalogue, int(rng.integers(1, 12)))
    if rng.random() < 0.3:
        for each in asked:
            each.vector[:] = rng.choice(BYTES, len(each.vector))
            each.vector[0] = 63  # so that a step is one
    for each in asked:
        with np.errstate(over="ignore"):  # what is infinite then is a question too
            each.vector *= np.float32(rng.choice([1, 1, 1, 1, 0, 1e-30, 1e30, 3e37, np.nan]))
    share = rng.choice([0.0, 0.02, 0.3, 0.9, 2.0])
    passing = np.flatnonzero(rng.random(catalogue.n_items) < share).astype(np.int32)
    allowed = None if share > 1 else AllowedItems.of(passing, catalogue.n_items)
    return Question(asked, int(rng.integers(1, 150)), allowed)


def stated(catalogue: Catalogue, *questions: Question) -> Iterator[bytes]:
    """What `ask.c` reads, in parts."""
    index, term = catalogue.index, catalogue.cooccurrence
    n_items, n_factors = catalogue.item_vectors.shape
    numbers = [
        *(n_items, n_factors, catalogue.item_vectors.dtype == np.float32),
        *(term.neighbour_items.shape[1], term.neighbour_items.dtype == np.int32),
        *(term.neighbour_weights.dtype == np.float32, index.n_lists, len(questions)),
    ]
    yield _array(np.array(numbers, np.int64))
    decays = np.append(term.event_decays, np.float32(LAST_VISIT_LOG_DAYS)).astype(np.float32)
    for array in (
        *(index.item_blocks, index.block_scales, catalogue.item_vectors),
        *(term.neighbour_items, term.neighbour_weights, term.neighbour_scales, decays),
        *(term.own_weights, term.own_decays),
        *(index.centroid_blocks, index.centroid_scales, index.list_offsets),
    ):
        yield _array(array)
    for question in questions:
        yield from _stated_question(catalogue, question)


def _stated_question(catalogue: Catalogue, question: Question) -> Iterator[bytes]:
    allowed = question.allowed
    bits, listed = (None, None) if allowed is None else (allowed.bits, allowed.listed)
    n_probes = catalogue.scan()._probes(allowed, question.n_probes) if catalogue.index.n_lists else 0
    n_kept = min(question.k + RESCORE_MARGIN, catalogue.n_items)
    numbers = [len(question.asked), question.k, n_kept, n_probes, bits is not None, listed is not None]
    yield _array(np.array(numbers, np.int64))
    yield _array(np.zeros(0, np.uint16) if bits is None else bits)
    yield _array(np.zeros(0, np.int32) if listed is None else listed)
    for each in question.asked:
        events = each.events
        of_events = (events.item_rows, events.gap_log_days, events.event_kinds, events.log_counts)
        for array in (each.vector, *of_events, events.repeat_log_odds, each.seen, each.excluded):
            yield _array(array)


def _array(array: npt.NDArray[Any]) -> bytes:
    return np.int64(array.nbytes).tobytes() + np.ascontiguousarray(array).tobytes()


def _answers(output: bytes, questions: Sequence[Question]) -> list[Answer]:
    arrays, at = [], 0
    while at < len(output):
        n_bytes = int(np.frombuffer(output, np.int64, 1, at)[0])
        arrays.append(output[at + 8 : at + 8 + n_bytes])
        at += 8 + n_bytes
    answers = []
    for number, question in enumerate(questions):
        outcome, items, scores = arrays[3 * number : 3 * number + 3]
        shape = (len(question.asked), question.k)
        ranked = Ranked(
            np.frombuffer(items, np.int32).reshape(shape), np.frombuffer(scores, np.float32).reshape(shape)
        )
        answers.append(Answer(int(np.frombuffer(outcome, np.int64)[0]), ranked))
    return answers
