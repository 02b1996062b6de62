"""Keys are known by their digests, compared all alike, and followed while the service runs."""

from __future__ import annotations

import asyncio
import os
from hashlib import sha256
from pathlib import Path

import pytest

from service.admin.keys import MAX_REFUSALS_AT_ONCE, AdminKeys, KeysInvalid, read_keys
from service.contract.errors import AdminClosed, NotAuthorised

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"


def bearing(key: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {key}".encode()}


def rewrite(file: Path, text: str) -> None:
    file.write_text(text)


def remove(file: Path) -> None:
    file.unlink()


def allow(file: Path, mode: int) -> None:
    file.chmod(mode)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.write_text(f"# of the shop\n\nanna:{KEY}\nci:sha256:{sha256(OTHER.encode()).hexdigest()}\n")
    return file


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
async def test_file_that_others_may_write_is_not_read_until_it_is_closed_to_them(
    file: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    allow(file, mode)
    keys = AdminKeys(file)
    with pytest.raises(AdminClosed):
        await keys.require(bearing(KEY))
    assert f"chmod go-w {file}" in caplog.text
    allow(file, 0o600)
    assert await keys.require(bearing(KEY)) == "anna"


async def test_keys_of_before_stay_when_their_file_is_opened_to_others(file: Path) -> None:
    keys = AdminKeys(file)
    rewrite(file, f"mallory:{OTHER}-and-more\n")
    allow(file, 0o666)
    assert await keys.require(bearing(KEY)) == "anna"


@pytest.mark.parametrize(
    ("text", "mode", "is_said"),
    [
        (f"anna:{KEY}\n", 0o644, True),
        (f"ci:sha256:{sha256(OTHER.encode()).hexdigest()}\nanna:{KEY}\n", 0o640, True),
        (f"ci:sha256:{sha256(OTHER.encode()).hexdigest()}\n", 0o644, False),
        (f"anna:{KEY}\n", 0o600, False),
    ],
)
async def test_keys_that_others_may_read_are_taken_and_said(
    file: Path, text: str, mode: int, is_said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(file, text)
    allow(file, mode)
    assert await AdminKeys(file).require(bearing(KEY if "anna" in text else OTHER)) in ("anna", "ci")
    assert ("others may read" in caplog.text) is is_said
    assert KEY not in caplog.text


@pytest.mark.parametrize(("key", "name"), [(KEY, "anna"), (OTHER, "ci")])
async def test_key_is_known_by_its_name_as_it_is_or_by_its_digest(file: Path, key: str, name: str) -> None:
    assert await AdminKeys(file).require(bearing(key)) == name


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearing("not a key of this file"),
        bearing(KEY[:-1]),
        bearing(""),
        {b"authorization": KEY.encode()},
        {b"authorization": f"Basic {KEY}".encode()},
        bearing(sha256(OTHER.encode()).hexdigest()),
    ],
)
async def test_anything_else_is_not_authorised(
    file: Path, headers: dict[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.admin.keys.REFUSAL_SECONDS", 0)
    with pytest.raises(NotAuthorised):
        await AdminKeys(file).require(headers)


async def test_keys_are_rotated_without_a_restart(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.admin.keys.REFUSAL_SECONDS", 0)
    keys = AdminKeys(file)
    await keys.require(bearing(KEY))
    rewrite(file, f"anna2:{OTHER}-new\n")
    assert await keys.require(bearing(f"{OTHER}-new")) == "anna2"
    with pytest.raises(NotAuthorised):
        await keys.require(bearing(KEY))


async def test_file_that_makes_no_sense_changes_nothing_and_one_that_is_gone_closes(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = AdminKeys(file)
    await keys.require(bearing(KEY))
    rewrite(file, "anna:short\n")
    assert await keys.require(bearing(KEY)) == "anna"
    assert "line 1: a key has at least 16 characters" in caplog.text
    assert "short" not in caplog.text
    remove(file)
    with pytest.raises(AdminClosed, match="holds no key that can be used"):
        await keys.require(bearing(KEY))


def test_what_is_wrong_with_the_file_is_logged_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    AdminKeys(tmp_path / "nowhere")
    assert "nowhere is not there: no admin key is known" in caplog.text
    (tmp_path / "keys").write_text("anna:short\n")
    AdminKeys(tmp_path / "keys")
    assert "line 1: a key has at least 16 characters" in caplog.text


def test_pipe_is_no_file_of_keys_and_nobody_waits_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "keys")
    AdminKeys(tmp_path / "keys")
    assert "keys is not read, the keys of before stay: it is no file (p" in caplog.text


async def test_without_a_file_nothing_is_open() -> None:
    with pytest.raises(AdminClosed, match="STILLROOM_ADMIN_KEYS_FILE"):
        await AdminKeys(None).require(bearing(KEY))


async def test_wrong_keys_wait_but_only_so_many_and_nobody_waits_for_them(file: Path) -> None:
    keys = AdminKeys(file)
    waiting = [asyncio.create_task(keys.require(bearing("a wrong key"))) for _ in range(MAX_REFUSALS_AT_ONCE)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    assert await keys.require(bearing(KEY)) == "anna"
    with pytest.raises(NotAuthorised):
        async with asyncio.timeout(0):  # refused at once
            await keys.require(bearing("a wrong key"))
    assert all(
        isinstance(each, NotAuthorised) for each in await asyncio.gather(*waiting, return_exceptions=True)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("anna", "at least 16"),
        (f":{KEY}", "a name has"),
        (f"an na:{KEY}", "a name has"),
        ("anna:sha256:123", "64 digits"),
        (f"anna:{KEY}\nanna:{OTHER}", "line 2: anna is there already"),
    ],
)
def test_line_that_is_no_key_is_named(text: str, said: str) -> None:
    with pytest.raises(KeysInvalid, match=said):
        read_keys(text)
