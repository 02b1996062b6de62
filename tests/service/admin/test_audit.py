"""No change without a line on disk before it, and another one after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.admin.audit import AuditLog
from service.contract.errors import AuditUnavailable


def lines(file: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]


async def test_change_is_written_down_before_and_after_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "audit.jsonl"
    async with AuditLog(file).change("anna", "promote", "v2", "r1"):
        (begun,) = lines(file)
    assert {**begun, "time": ""} == {
        "time": "",
        "key": "anna",
        "action": "promote",
        "target": "v2",
        "outcome": "begun",
        "request_id": "r1",
    }
    assert [line["outcome"] for line in lines(file)] == ["begun", "done"]


async def test_nobody_else_may_read_what_was_changed(tmp_path: Path) -> None:
    file = tmp_path / "new" / "audit.jsonl"
    async with AuditLog(file).change("anna", "promote", "v2", "r1"):
        pass
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    file.chmod(0o644)  # as an earlier release made it
    async with AuditLog(file).change("anna", "promote", "v2", "r1"):
        pass
    assert file.stat().st_mode & 0o777 == 0o600


async def test_change_that_fails_is_written_down_as_that(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    with pytest.raises(ValueError, match="no such"):
        async with AuditLog(file).change("anna", "promote", "v2", "r1"):
            raise ValueError("no such version")
    assert lines(file)[-1]["outcome"] == "ValueError: no such version"


async def test_change_that_cannot_be_written_down_is_not_made(tmp_path: Path) -> None:
    is_made = False
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(AuditUnavailable):
        async with AuditLog(tmp_path / "audit.jsonl").change("anna", "promote", "v2", "r1"):
            is_made = True
    assert not is_made
