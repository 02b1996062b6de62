from __future__ import annotations

import tomllib

import pytest
from msgspec.structs import replace

from tests.support.evaluations import example_data, example_evaluation
from tests.support.simulations import example_monitoring, example_study
from training.evaluation.page.render import render
from training.evaluation.page.setting import again, as_toml, people_by_length
from training.quality.figures import LeftOut
from training.quality.schema import LeftOutOfQuestions, Quality
from training.recipe.settings import TrainingSettings, dump_settings


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


@pytest.mark.parametrize(
    ("simulated", "missing"),
    [
        ([], ["whether experiments decide rightly", "what the monitor finds"]),
        (["experiments"], ["what the monitor finds"]),
        (["experiments", "monitoring"], []),
    ],
)
def test_what_was_not_simulated_is_said_with_the_command_that_does(
    simulated: list[str], missing: list[str]
) -> None:
    quality = Quality(schema_version=1)
    quality.experiments = example_study() if "experiments" in simulated else None
    quality.monitoring = example_monitoring() if "monitoring" in simulated else None
    assert again(quality)["not_simulated"] == missing
    assert ("make simulate" in render(quality)) is bool(missing)


def test_what_may_not_be_recommended_and_was_not_evaluated_is_told() -> None:
    evaluation = example_evaluation()
    said = ("true items may not be and are not evaluated", "of the items may be recommended")
    assert not any(words in render(evaluation) for words in said)
    evaluation.data = replace(example_data(), n_recommendable_items=3_000)
    protocol = evaluation.protocols["next_basket"]
    left_out = LeftOutOfQuestions(validation=LeftOut(1, 0), test=LeftOut(1_234, 56))
    split = replace(protocol.split, n_recommendable_items=3_000, left_out=left_out)
    evaluation.protocols["next_basket"] = replace(protocol, split=split)
    page = render(evaluation)
    assert all(words in page for words in (*said, "1,234", "56 people who took nothing else"))
