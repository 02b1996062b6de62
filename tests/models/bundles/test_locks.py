"""Locks between processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.bundles.locks import lock, lock_if_free


@pytest.mark.parametrize("is_shared", [True, False])
def test_held_lock_is_not_free(tmp_path: Path, is_shared: bool) -> None:
    with lock(tmp_path / "lock", is_shared=is_shared), lock_if_free(tmp_path / "lock") as is_free:
        assert not is_free


def test_any_number_may_share_a_lock(tmp_path: Path) -> None:
    with lock(tmp_path / "lock", is_shared=True), lock(tmp_path / "lock", is_shared=True):
        pass


def test_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), lock(tmp_path / "lock"):
        raise RuntimeError
    with lock_if_free(tmp_path / "lock") as is_free:
        assert is_free
