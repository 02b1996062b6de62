"""Settings: bounds, the page that lists them, and how a bad one ends the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.scan import KERNELS, available_kernels
from service.contract.errors import SettingsInvalid
from service.settings.base import RoomSettings
from service.settings.commands import (
    ExperimentsCommandSettings,
    ExportSettings,
    MonitorProcessSettings,
    WarmSettings,
)
from service.settings.monitor import MonitorSettings
from service.settings.reading import ROOMS, read_settings, settings_page
from service.settings.service import Settings

ROOT = Path(__file__).parents[3]


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m service` where it is expected to end by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STILLROOM_")}
    return subprocess.run(
        [sys.executable, "-m", "service"],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )


def test_the_page_of_settings_is_up_to_date() -> None:
    committed = (ROOT / "docs" / "settings.md").read_text()
    assert committed == settings_page(), "run `python -m service.settings.reading > docs/settings.md`"


def test_every_setting_has_a_default_and_says_what_it_is() -> None:
    for name, field in [each for room in ROOMS for each in room.model_fields.items()]:
        assert not field.is_required(), name
        assert (field.description or "").endswith("."), name


def test_every_number_is_bounded_on_both_sides() -> None:
    for name, schema in [each for room in ROOMS for each in room.model_json_schema()["properties"].items()]:
        if schema.get("type") in ("integer", "number"):
            assert {"minimum", "exclusiveMinimum"} & set(schema), name
            assert {"maximum", "exclusiveMaximum"} & set(schema), name


def test_environment_is_read_under_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_DEADLINE_MS", "70")
    assert read_settings(Settings).deadline_ms == 70


@pytest.mark.parametrize(
    "url", ["redis://:s3cret/x@host:1", "http://:s3cret@host", "redis://:s3cret@host?foo=bar"]
)
def test_address_of_redis_that_cannot_be_used_is_never_shown(url: str) -> None:
    ended = start(STILLROOM_REDIS_URL=url)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: STILLROOM_REDIS_URL cannot be used: ")
    assert len(ended.stderr.splitlines()) == 1
    assert "s3cret" not in ended.stderr + ended.stdout


def test_settings_do_not_show_the_address_of_redis() -> None:
    assert "s3cret" not in repr(Settings(redis_url="redis://:s3cret@host"))


def test_faults_name_the_variable_its_value_and_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_DEADLINE_MS", "0")
    monkeypatch.setenv("STILLROOM_LOG_LEVEL", "loud")
    with pytest.raises(
        SettingsInvalid, match=r"STILLROOM_LOG_LEVEL is 'loud'.*STILLROOM_DEADLINE_MS is '0'.*1"
    ):
        read_settings(Settings)


def test_misspelt_setting_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_PROT", "80")
    with pytest.raises(SettingsInvalid, match="STILLROOM_PROT"):
        read_settings(Settings)


def test_bad_setting_ends_the_process_with_one_line() -> None:
    ended = start(STILLROOM_PORT="http")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "STILLROOM_PORT" in ended.stderr


def test_store_that_is_no_folder_ends_the_process_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    ended = start(STILLROOM_STORE=str(tmp_path / "store"))
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "STILLROOM_STORE" in ended.stderr


def test_redis_address_that_is_none_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_REDIS_URL", "http://x")
    with pytest.raises(SettingsInvalid, match=r"STILLROOM_REDIS_URL cannot be used: .*redis://"):
        read_settings(Settings)


def test_instructions_that_this_processor_lacks_are_refused_with_those_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = next(name for name in KERNELS if name not in available_kernels())
    monkeypatch.setenv("STILLROOM_KERNEL", lacking)
    with pytest.raises(SettingsInvalid, match=rf"STILLROOM_KERNEL is '{lacking}': .*takes best,.* plain"):
        read_settings(Settings)


@pytest.mark.parametrize(
    "kind", [ExperimentsCommandSettings, ExportSettings, MonitorProcessSettings, WarmSettings]
)
def test_process_refuses_only_what_it_reads(
    monkeypatch: pytest.MonkeyPatch, kind: type[RoomSettings]
) -> None:
    monkeypatch.setenv("STILLROOM_DEADLINE_MS", "0")
    assert "deadline_ms" not in read_settings(kind).model_dump()
    monkeypatch.setenv("STILLROOM_REDIS_URL", "http://x")
    with pytest.raises(SettingsInvalid, match="STILLROOM_REDIS_URL") as refused:
        read_settings(kind)
    assert "STILLROOM_DEADLINE_MS" not in str(refused.value)
    with pytest.raises(SettingsInvalid, match=r"STILLROOM_DEADLINE_MS"):
        read_settings(Settings)


def test_rooms_have_all_the_settings_and_none_twice() -> None:
    names = [name for room in ROOMS for name in room.__annotations__]
    assert len(set(names)) == len(names)
    assert set(names) == {*Settings.model_fields, *MonitorSettings.model_fields}
