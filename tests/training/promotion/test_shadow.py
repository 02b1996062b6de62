"""Two bundles side by side on the same requests."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from models.bundles.registry import Registry
from models.errors import RegistryError
from service.log.records import ExposureRecord, pack_scores
from tests.support.bundles import LATEST
from tests.training.promotion.bundles import block_bundle
from tests.training.promotion.exports import event, write_part
from training.__main__ import app
from training.base.errors import NothingToReplay
from training.promotion.shadow import Shadow, shadow_run


@pytest.fixture
def in_service(tmp_path: Path) -> str:
    version = block_bundle(tmp_path)
    Registry(tmp_path).promote(version)
    return version


def shadow(
    store: Path, version: str, log: Path | None = None, n_requests: int = 100, limit: int = 5
) -> Shadow:
    return shadow_run(version, store=store, log=log, n_requests=n_requests, limit=limit, seed=0)


def test_bundle_that_says_the_same_overlaps_wholly_and_nothing_is_promoted(
    tmp_path: Path, in_service: str
) -> None:
    found = shadow(tmp_path, block_bundle(tmp_path, day=2))
    assert (found.n_requests, found.overlap, found.same_first, found.same_list) == (12, 1.0, 1.0, 1.0)
    assert (found.in_service.empty, found.shadow.empty, found.shadow.unknown_items) == (0.0, 0.0, 0.0)
    assert 0 < found.shadow.p50_ms <= found.shadow.p95_ms <= found.shadow.p99_ms
    assert Registry(tmp_path).current() == in_service


def test_bundle_of_another_opinion_and_fewer_items_is_seen_to_differ(tmp_path: Path, in_service: str) -> None:
    found = shadow(tmp_path, block_bundle(tmp_path, day=2, is_right=False))
    assert (found.overlap, found.same_first, found.same_list) == (0.0, 0.0, 0.0)
    small = shadow(tmp_path, block_bundle(tmp_path, day=3, n_items=12), limit=20)
    assert (small.in_service.short, small.shadow.short) == (
        0.0,
        1.0,
    )  # there are 12 items, own ones among them
    assert small.shadow.empty == 0.0


def exposure(number: int, user_id: str, version: str) -> ExposureRecord:
    sent_ms = 1000 * (LATEST + 10 * 86_400) + number
    return ExposureRecord(
        f"request-{number}",
        sent_ms,
        ["item-0"],
        pack_scores([1.0]),
        version,
        "student",
        "student",
        900,
        user_id,
        user_id,
    )


def test_newest_logged_requests_are_replayed_with_what_people_had_done_by_then(
    tmp_path: Path, in_service: str
) -> None:
    log = tmp_path / "export"
    people = ["nobody", *(f"user-{person}" for person in range(4)), "visitor"]
    write_part(log, "exposures", [exposure(number, who, in_service) for number, who in enumerate(people)])
    write_part(log, "interactions", [event(0, "visitor", "item-unheard-of", LATEST)])
    found = shadow(tmp_path, block_bundle(tmp_path, day=2), log, n_requests=5)
    assert (found.n_requests, found.source) == (5, str(log))
    assert found.in_service.unknown_items == pytest.approx(
        1 / 13
    )  # four people with three items, one with one


def test_log_that_tells_no_history_and_a_version_that_is_not_there_are_said(
    tmp_path: Path, in_service: str
) -> None:
    other = block_bundle(tmp_path, day=2)
    nobody = msgspec.structs.replace(exposure(0, "", in_service), user_id=None)
    write_part(tmp_path / "export", "exposures", [nobody])
    with pytest.raises(NothingToReplay, match="STILLROOM_SAMPLED_SHARE"):
        shadow(tmp_path, other, tmp_path / "export")
    with pytest.raises(RegistryError, match="no version"):
        shadow(tmp_path, "20200101T000000Z-000000000000")


def test_command_prints_both_sides_and_writes_json(tmp_path: Path, in_service: str) -> None:
    other, out = block_bundle(tmp_path, day=2), tmp_path / "shadow.json"
    done = CliRunner().invoke(app, ["shadow", other, "--store", str(tmp_path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "12 requests" in done.output
    assert json.loads(out.read_text())["shadow"]["version"] == other
