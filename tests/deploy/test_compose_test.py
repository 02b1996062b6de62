"""The compose test's own parts: its verdict, and that it leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy import compose_test
from deploy.compose_test import ComposeTestError, Findings, ask, compose_command, free_ports, lent_wheels


def findings(*met: bool) -> Findings:
    found = Findings()
    for number, is_met in enumerate(met):
        found.add(f"check {number}", is_met, "seen")
    return found


@pytest.mark.parametrize(
    ("met", "stopped_by", "expected"),
    [
        ((True, True), None, True),
        ((True, False), None, False),
        ((), None, False),
        ((True,), "the service was not ready", False),
    ],
)
def test_met_needs_every_check_and_an_end(
    met: tuple[bool, ...], stopped_by: str | None, expected: bool
) -> None:
    assert findings(*met).report(stopped_by)["met"] is expected


def test_report_says_what_was_seen() -> None:
    report = json.loads(json.dumps(findings(True).report(None)))
    assert report["schema_version"] == 1
    assert report["seen"] == [{"name": "check 0", "met": True, "observed": "seen"}]


def test_lent_wheels_are_taken_back_and_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lender, folder = tmp_path / "lender", tmp_path / "wheels"
    for place, name in [(lender, "torch.whl"), (lender, "own.whl"), (folder, "own.whl")]:
        place.mkdir(exist_ok=True)
        (place / name).write_text(place.name)
    monkeypatch.setattr(compose_test, "WHEELS", folder)
    with lent_wheels(str(lender)):
        assert sorted(file.name for file in folder.iterdir()) == ["own.whl", "torch.whl"]
    assert [file.read_text() for file in folder.iterdir()] == ["wheels"]
    assert (lender / "torch.whl").exists()


def test_without_an_engine_the_test_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ComposeTestError, match="container engine"):
        compose_command()


def test_a_silent_address_is_status_zero() -> None:
    [port] = free_ports(1)
    assert ask(f"http://127.0.0.1:{port}/health/ready")[0] == 0
