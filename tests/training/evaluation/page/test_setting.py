from __future__ import annotations

import tomllib

from training.evaluation.page.setting import as_toml, people_by_length
from training.settings import TrainingSettings, dump_settings


def test_settings_as_toml_are_read_back_as_the_same_settings() -> None:
    settings = dump_settings(TrainingSettings(seed=3))
    assert TrainingSettings.model_validate(tomllib.loads(as_toml(settings))) == TrainingSettings(seed=3)


def test_nested_tables_lists_and_missing_values_keep_their_meaning() -> None:
    settings = {"a": {"b": {"c": [1, 2]}, "on": True, "off": None}, "name": 'a "quoted" ü'}
    assert tomllib.loads(as_toml(settings)) == {
        "a": {"b": {"c": [1, 2]}, "on": True},
        "name": 'a "quoted" ü',
    }


def test_people_are_counted_in_ranges_up_to_the_longest_history() -> None:
    assert people_by_length({"1": 4, "3": 2, "4": 1, "12": 5}) == {
        "1": 4,
        "2": 0,
        "3–4": 3,
        "5–9": 0,
        "10–19": 5,
    }


def test_histories_of_any_length_are_counted() -> None:
    assert people_by_length({"1": 1, "25000": 2})["10,000+"] == 2
