"""What a bundle keeps at hand while it is served."""

from __future__ import annotations

import pytest

from service.bundles import serving
from service.bundles.serving import Labels
from tests.support.bundles import tiny_items


def test_label_is_an_items_id_and_title() -> None:
    labels = Labels(tiny_items())
    assert [labels[7], labels[7]] == [("item-7", "Item 7")] * 2
    assert len(labels) == 1


def test_labels_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "CACHED_LABELS", 3)
    labels = Labels(tiny_items())
    assert [labels[index][0] for index in range(10)] == [f"item-{index}" for index in range(10)]
    assert len(labels) <= 3
