from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.bundles.bundle import read_bundle, write_bundle
from models.history import EventKind
from models.student import Floats
from tests.support.bundles import N_BLOCKS, N_ITEMS, tiny_contents, with_item_vectors, with_unavailable
from tests.support.variants import contents_with_variants
from training.base.errors import ArmNotEstimable, ColumnMissing, SourceUnreadable
from training.experiments.estimate import estimate_arm, estimate_lines
from training.experiments.logged import LoggedHistory
from training.experiments.rankers import Ranker

LIMIT = 3
PLACES = np.array([0.6, 0.4, 0.2])
"""How likely an item is looked at in a place."""

APPEAL = np.random.default_rng(7).uniform(0.1, 0.9, N_ITEMS)
"""How likely an item that is looked at is clicked."""


def bundle_of(store: Path, order: Any, day: int) -> str:
    """A bundle whose student ranks the items of each block by falling `order`."""
    contents = tiny_contents()
    blocks = np.eye(N_BLOCKS, dtype=np.float32)[contents.items.segments]
    heights = (1 + np.asarray(order) / N_ITEMS).astype(np.float32)
    vectors: Floats = blocks * heights[:, None]
    student = with_item_vectors(contents.student, vectors)
    return write_bundle(
        store,
        dataclasses.replace(contents, student=student, golden=_golden(student, contents)),
        now=datetime(2024, 3, day, tzinfo=UTC),
    ).name


def _golden(student: Any, contents: Any) -> Any:
    from models.bundles.golden import record_golden
    from models.student import Student
    from tests.support.bundles import TEXTS, tiny_history

    return record_golden(Student(student), contents.text_encoder, [tiny_history(0)], TEXTS)


@dataclasses.dataclass
class Logged:
    """Two arms, "rising" and "falling", that answered 2,000 people; "mixed" answers each block as one of them does,
    "another" as neither.
    """

    store: Path
    log: Path
    versions: dict[str, str]

    def estimate(self, name: str, **options: Any) -> Any:
        return estimate_arm(self.log, self.store, (self.versions[name], "student"), **options)

    def truth(self, name: str) -> float:
        """Clicks an answer, over the people of the log."""
        ranker = Ranker(read_bundle(self.store / self.versions[name]), "student")
        histories = [history_of(block) for block in range(N_BLOCKS)]
        lists = ranker.rank(histories, [LIMIT] * N_BLOCKS)
        return float(np.mean([expected(items).sum() for items in lists]))


def history_of(block: int) -> LoggedHistory:
    return LoggedHistory([f"item-{block}"], [1_700_000_000], [int(EventKind.VIEW)])


def expected(item_ids: list[str]) -> Any:
    return PLACES * APPEAL[[int(item_id.removeprefix("item-")) for item_id in item_ids]]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    folder = tmp_path_factory.mktemp("estimate")
    store, log = folder / "store", folder / "log"
    rising = np.arange(N_ITEMS)
    mixed = np.where(rising % N_BLOCKS < N_BLOCKS // 2, rising, N_ITEMS - rising)
    shuffled = np.random.default_rng(3).permutation(N_ITEMS)
    orders = {"rising": rising, "falling": N_ITEMS - rising, "mixed": mixed, "another": shuffled}
    versions = {name: bundle_of(store, order, day) for day, (name, order) in enumerate(orders.items(), 1)}
    write_log(log, store, versions)
    return Logged(store, log, versions)


def write_log(log: Path, store: Path, versions: dict[str, str], *, weight: float = 0.3) -> None:
    """2,000 answers by two arms, clicked at random: at most one item an answer, as attribution counts."""
    rng = np.random.default_rng(0)
    rankers = {name: Ranker(read_bundle(store / versions[name]), "student") for name in ("rising", "falling")}
    lists = {
        name: ranker.rank([history_of(block) for block in range(N_BLOCKS)], [LIMIT] * N_BLOCKS)
        for name, ranker in rankers.items()
    }
    answers, clicks = [], []
    for number in range(2000):
        name = "rising" if rng.random() < weight else "falling"
        block = number % N_BLOCKS
        items = lists[name][block]
        answers.append(
            answer(number, versions[name], items, name, weight if name == "rising" else 1 - weight, block)
        )
        chosen = rng.random()
        for place, bound in enumerate(np.cumsum(expected(items) / 2)):  # the halves sum to less than 1
            if chosen < bound:
                clicks.append(click(number, items[place]))
                break
    write(log, "exposures", answers)
    write(log, "interactions", clicks)


def answer(
    number: int, version: str, items: list[str], arm: str, propensity: float, block: int
) -> dict[str, Any]:
    return {
        "request_id": f"r{number}",
        "sent_ms": 1_700_000_000_000 + 1000 * number,
        "user_id": f"person-{number}",
        "session_id": None,
        "unit": f"person-{number}",
        "item_ids": items,
        "version": version,
        "variant": "student",
        "tier": "student",
        "experiment": "logging",
        "arm": arm,
        "propensity": propensity,
        "n_session": 0,
        "sampled": dataclasses.asdict(history_of(block)),
    }


def click(number: int, item_id: str) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "user_id": f"person-{number}",
        "session_id": None,
        "item_id": item_id,
        "kind": "click",
        "time": 1_700_000_000 + number,
        "request_id": f"r{number}",
        "received_ms": 1_700_000_000_500 + 1000 * number,
        "value": None,
    }


def write(log: Path, table: str, rows: list[dict[str, Any]]) -> None:
    (log / table).mkdir(parents=True, exist_ok=True)
    schema = {"session_id": pl.String, "user_id": pl.String, "value": pl.Float64}
    pl.DataFrame(rows, schema_overrides=schema, infer_schema_length=None).write_parquet(
        log / table / "part-0.parquet"
    )


def rows_of(log: Path, table: str) -> list[dict[str, Any]]:
    return pl.read_parquet(log / table / "part-0.parquet").to_dicts()


@pytest.mark.parametrize("name", ["rising", "falling", "mixed"])
def test_an_arm_that_is_covered_is_estimated_near_its_true_value(logged: Logged, name: str) -> None:
    found = logged.estimate(name)
    truth = logged.truth(name) / 2
    assert found.coverage == 1.0
    assert found.n_used == 2000
    assert found.doubts == []
    for value in (found.ips, found.self_normalised):
        assert value.interval[0] < truth < value.interval[1]
        assert value.interval[1] - value.interval[0] < 0.5 * truth


def test_arms_that_differ_are_told_apart(logged: Logged) -> None:
    names = ("rising", "falling")
    low, high = sorted(
        (logged.estimate(name).self_normalised for name in names), key=lambda value: value.value
    )
    assert low.interval[1] < high.value


def test_the_logged_value_is_that_of_the_arms_together(logged: Logged) -> None:
    found = logged.estimate("mixed")
    truth = (0.3 * logged.truth("rising") + 0.7 * logged.truth("falling")) / 2
    assert found.logged.interval[0] < truth < found.logged.interval[1]


def test_too_thin_an_overlap_is_said(logged: Logged) -> None:
    found = logged.estimate("another")
    assert found.coverage < 0.5
    assert "the overlap is too thin" in found.doubts[0]
    assert any(line.startswith("DOUBT: ") for line in estimate_lines(found))


def test_few_answers_are_said(logged: Logged) -> None:
    until = datetime.fromtimestamp(1_700_000_100, UTC)
    found = logged.estimate("mixed", until=until)
    assert found.n_answers == 100
    assert "log for longer" in found.doubts[0]


def test_answers_that_do_not_come_out_again_are_left_out(logged: Logged, tmp_path: Path) -> None:
    """As those under a filter do not: what the other arm would have shown under it nobody knows."""
    rows = rows_of(logged.log, "exposures")
    for row in rows[:500]:
        row["item_ids"] = row["item_ids"][::-1]
    for row in rows[500:700]:
        row["tier"] = "popular"
    write(tmp_path, "exposures", rows)
    write(tmp_path, "interactions", rows_of(logged.log, "interactions"))
    found = dataclasses.replace(logged, log=tmp_path).estimate("mixed")
    assert (found.n_answers, found.n_told, found.n_used) == (2000, 1800, 1300)


def test_a_history_that_was_not_sampled_is_rebuilt_from_the_bundle_and_the_log(
    logged: Logged, tmp_path: Path
) -> None:
    """user-1 knows items 1, 5 and 9; four clicks in the next block bring its items to the head of the list."""
    version = logged.versions["falling"]
    before = answer(0, version, ["item-1", "item-5", "item-9"], "", 1.0, 0)
    after = answer(2, version, ["item-2", "item-6", "item-10"], "", 1.0, 0)
    unknown = answer(3, version, ["item-2", "item-6", "item-10"], "", 1.0, 0) | {"n_session": 2}
    rows = [row | {"user_id": "user-1", "experiment": ""} for row in (before, after, unknown)]
    write(tmp_path, "exposures", [{key: row[key] for key in row if key != "sampled"} for row in rows])
    clicks = [
        click(1, item) | {"request_id": "r0"} for item in ("item-1", "item-2", "item-6", "item-10", "item-14")
    ]
    write(tmp_path, "interactions", [clicked | {"user_id": "user-1"} for clicked in clicks])
    found = dataclasses.replace(logged, log=tmp_path).estimate("falling")
    assert (found.n_answers, found.n_told, found.n_used) == (3, 2, 2)
    assert found.ips.value == 0.5


def test_purchases_can_be_the_reward(logged: Logged) -> None:
    assert logged.estimate("mixed", outcome="purchase").ips.value == 0.0


def test_weights_that_changed_within_the_log_are_refused(logged: Logged, tmp_path: Path) -> None:
    rows = rows_of(logged.log, "exposures")
    rows[-1]["propensity"] = 0.9
    write(tmp_path, "exposures", rows)
    with pytest.raises(ArmNotEstimable, match="changed its model or its weight within the log"):
        dataclasses.replace(logged, log=tmp_path).estimate("mixed")


def test_a_log_without_any_history_is_refused(logged: Logged, tmp_path: Path) -> None:
    rows = [row | {"sampled": None, "n_session": 1} for row in rows_of(logged.log, "exposures")]
    write(tmp_path, "exposures", rows)
    with pytest.raises(ArmNotEstimable, match="of 2,000 logged answers the history is known for 0"):
        dataclasses.replace(logged, log=tmp_path).estimate("mixed")


def test_a_folder_without_exposures_is_refused(logged: Logged, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"no exposures/part-\*\.parquet"):
        dataclasses.replace(logged, log=tmp_path).estimate("mixed")


def test_a_table_of_another_layout_is_refused(logged: Logged, tmp_path: Path) -> None:
    write(tmp_path, "exposures", [{"request_id": "r"}])
    with pytest.raises(ColumnMissing, match="has no column 'sent_ms'"):
        dataclasses.replace(logged, log=tmp_path).estimate("mixed")


@pytest.mark.parametrize("variant", ["student", "ensemble"])
def test_a_bundle_would_not_have_answered_what_is_not_available(tmp_path: Path, variant: str) -> None:
    gone = with_unavailable(contents_with_variants(), range(12, 24))
    bundle = read_bundle(write_bundle(tmp_path, gone, now=datetime(2024, 3, 1, tzinfo=UTC)))
    [answer] = Ranker(bundle, variant).rank([LoggedHistory(["item-0"], [1], [0])], [N_ITEMS])
    assert len(answer) >= 20
    assert not set(answer) & {f"item-{index}" for index in range(12, 24)}
