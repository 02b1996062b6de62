from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from training.recipe.settings import TrainingSettings
from training.tuning.spaces import SEARCH_SPACES

SETTINGS = TrainingSettings()
MEMBERS = [member.name for member in SETTINGS.fresh_members()]
SEARCHED = [(member, setting) for member in MEMBERS for setting in SEARCH_SPACES[member]]


def test_every_member_is_searched_and_is_found_in_the_settings_by_its_name() -> None:
    assert set(MEMBERS) <= set(SEARCH_SPACES)
    assert [type(getattr(SETTINGS, name)).name for name in MEMBERS] == MEMBERS


@pytest.mark.parametrize(("member", "setting"), SEARCHED)
def test_both_ends_are_within_the_settings_own_bounds(member: str, setting: str) -> None:
    given: Any = getattr(SETTINGS, member)
    for value in (SEARCH_SPACES[member][setting].low, SEARCH_SPACES[member][setting].high):
        assert getattr(replace(given, **{setting: value}), setting) == value


@pytest.mark.parametrize(("member", "setting"), SEARCHED)
def test_the_default_is_searched_around(member: str, setting: str) -> None:
    interval = SEARCH_SPACES[member][setting]
    assert interval.low <= getattr(getattr(SETTINGS, member), setting) <= interval.high
