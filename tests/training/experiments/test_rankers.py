"""What an answer was made of, from what its bundle and the log know of the person."""

from __future__ import annotations

from pathlib import Path

from models.history import EventKind
from service.log.records import EventRecord, ExposureRecord
from tests.support.bundles import LATEST, tiny_bundle
from tests.training.promotion.exports import write_part
from training.experiments.logged import LoggedHistory, read_log
from training.experiments.rankers import Rankers

AFTER = LATEST + 10 * 86_400
"""Unix seconds after all that the bundle knows of "user-0": items 0, 4 and 8."""


def history_at(tmp_path: Path, sent_second: int, *events: tuple[str, str, int]) -> list[tuple[str, int]]:
    """Items and kinds of what "user-0" was answered by. events: kind, item_id and the second it was accepted in."""
    version = tiny_bundle(tmp_path / "store").name
    records = [
        EventRecord(f"b{number}-0", kind, item_id, AFTER + second, 1_000 * (AFTER + second), user_id="user-0")
        for number, (kind, item_id, second) in enumerate(events)
    ]
    for table, is_removal in (("interactions", False), ("removals", True)):
        write_part(tmp_path / "log", table, [one for one in records if (one.kind == "removal") is is_removal])
    sent_ms = 1_000 * (AFTER + sent_second)
    exposure = ExposureRecord("r", sent_ms, [], b"", version, "student", "student", 0, user_id="user-0")
    write_part(tmp_path / "log", "exposures", [exposure])
    log = read_log(tmp_path / "log", outcome="click", window_seconds=60)
    found = Rankers(tmp_path / "store").history(log.answers[0], log.events_of["user-0"])
    assert isinstance(found, LoggedHistory)
    return list(zip(found.item_ids, found.kinds, strict=True))[3:]


def test_what_was_taken_out_of_the_cart_before_an_answer_did_not_count_for_it(tmp_path: Path) -> None:
    events = (("view", "item-1", 1), ("cart", "item-1", 2), ("cart", "item-2", 3), ("removal", "item-1", 4))
    assert history_at(tmp_path, 5, *events) == [("item-1", EventKind.VIEW), ("item-2", EventKind.CART)]


def test_what_was_sent_back_before_an_answer_was_a_dislike(tmp_path: Path) -> None:
    events = (("purchase", "item-1", 1), ("purchase", "item-2", 2), ("return", "item-1", 3))
    assert history_at(tmp_path, 4, *events) == [
        ("item-2", EventKind.PURCHASE),
        ("item-1", EventKind.DISLIKE),
    ]


def test_what_was_taken_out_only_later_did(tmp_path: Path) -> None:
    events = (("cart", "item-1", 2), ("removal", "item-1", 4))
    assert history_at(tmp_path, 3, *events) == [("item-1", EventKind.CART)]
