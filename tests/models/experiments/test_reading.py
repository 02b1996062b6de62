from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import ExperimentsInvalid
from models.experiments.reading import MAX_BYTES, parse_declaration, read_declaration
from tests.support.experiments import TWO_ARMS, VARIANTS, declared

LAYERED = """
[[layer]]
name = "ranking"

[[experiment]]
name = "first"
layer = "ranking"
share = [0.0, 0.5]
arm = [{ name = "a", weight = 0.25 }, { name = "b", weight = 0.75 }]

[[experiment]]
name = "second"
layer = "ranking"
share = [0.5, 1.0]
arm = [{ name = "a", weight = 0.5 }, { name = "b", weight = 0.5 }]
"""

NESTED = (
    LAYERED
    + """
[[layer]]
name = "inner"
inside = "first/b"

[[experiment]]
name = "third"
layer = "inner"
arm = [{ name = "a", weight = 0.5 }, { name = "b", weight = 0.5 }]
"""
)


def faults_of(text: str) -> list[str]:
    """The lines with which a declaration is refused."""
    with pytest.raises(ExperimentsInvalid) as refused:
        parse_declaration(text, VARIANTS.get, "x.toml")
    return str(refused.value).split("\n")


def test_a_declaration_that_says_little_has_defaults() -> None:
    experiment = declared().experiments[0]
    assert experiment.control.name == "control"
    assert [arm.version for arm in experiment.arms] == ["current", "current"]
    assert experiment.share == (0.0, 1.0)
    assert experiment.seed == "vases"
    assert experiment.guardrails.p99_ms is None


def test_an_empty_file_declares_no_experiment() -> None:
    assert declared("").experiments == ()


def test_layers_and_layers_inside_arms_are_read() -> None:
    assert [layer.inside for layer in declared(NESTED).layers] == [None, "first/b"]


@pytest.mark.parametrize(
    ("was", "now", "line", "said"),
    [
        ("weight = 0.5", "weight = 0.6", 2, "sum to 1.1, not to 1"),
        ('variant = "ensemble"', 'variant = "knn"', 12, "no variant 'knn', it has: ensemble, student"),
        ('variant = "ensemble"', 'version = "2023"', 12, "version '2023' is not in the store"),
        ('name = "ensemble"', 'name = "control"', 11, "2 arms of one experiment are called 'control'"),
        ("window_seconds = 60", "window_minutes = 1", 4, "'window_minutes' is no key here"),
        ("window_seconds = 60", "window_seconds = 0", 4, "window_seconds: expected `int` >= 1"),
        ("window_seconds = 60", 'window_seconds = "60"', 4, "expected `int`, got `str`"),
        ("window_seconds = 60", "window_seconds = = 1", 4, "invalid value"),
        ("window_seconds = 60", "share = [0.5, 0.5]", 4, "the first must be below the second"),
        ("window_seconds = 60", 'layer = "nowhere"', 4, "there is no layer 'nowhere'"),
        ("window_seconds = 60", "start = 2024-01-01T00:00:00", 4, "start has no time zone"),
        (
            "window_seconds = 60",
            "start = 2024-01-02T00:00:00Z\nstop = 2024-01-01T00:00:00Z",
            5,
            "stops before it starts",
        ),
        ("window_seconds = 60", "guardrails = { p99_ms = { limit = -1 } }", 4, "expected `float` > 0"),
        ('name = "vases"', 'name = "Vases"', 3, "name: expected `str` matching"),
    ],
)
def test_a_fault_is_refused_with_its_line(was: str, now: str, line: int, said: str) -> None:
    text = TWO_ARMS.replace(was, now, 1)
    assert text != TWO_ARMS
    [fault] = faults_of(text)
    assert fault.startswith(f"x.toml:{line}: ")
    assert said in fault


@pytest.mark.parametrize(
    ("was", "now", "line", "said"),
    [
        ("[0.5, 1.0]", "[0.4, 1.0]", 14, "'first' and 'second' overlap in layer 'ranking' from 0.4 to 0.5"),
        ('name = "second"', 'name = "first"', 12, "2 experiments are called 'first'"),
        ('name = "second"', 'name = "second"\nsalt = "first"', 13, "2 experiments have the salt 'first'"),
        ('name = "second"', 'name = "second"\nunit = "session"', 13, "differ in their unit"),
        ('name = "inner"', 'name = "ranking"', 18, "2 layers are called 'ranking'"),
        ('inside = "first/b"', 'inside = "first/c"', 19, "'first/c', which is no experiment/arm"),
        ('inside = "first/b"', 'inside = "third/b"', 19, "inner in third/b in inner; break the cycle"),
    ],
)
def test_a_fault_between_experiments_is_refused_with_its_line(
    was: str, now: str, line: int, said: str
) -> None:
    assert any(
        fault.startswith(f"x.toml:{line}: ") and said in fault
        for fault in faults_of(NESTED.replace(was, now, 1))
    )


def test_a_cycle_over_two_layers_is_named_at_both() -> None:
    text = NESTED.replace('name = "ranking"\n', 'name = "ranking"\ninside = "third/a"\n', 1)
    assert [fault.partition(" is inside itself: ")[2] for fault in faults_of(text)] == [
        "ranking in third/a in inner in first/b in ranking; break the cycle",
        "inner in first/b in ranking in third/a in inner; break the cycle",
    ]


def test_experiments_that_run_one_after_the_other_may_share_units() -> None:
    overlapping = LAYERED.replace("[0.5, 1.0]", "[0.0, 1.0]\nstart = 2024-02-01T00:00:00Z")
    assert "overlap" in faults_of(overlapping)[0]
    declared(overlapping.replace("[0.0, 0.5]", "[0.0, 0.5]\nstop = 2024-02-01T00:00:00Z"))


def test_every_fault_is_named_at_once() -> None:
    text = TWO_ARMS.replace("weight = 0.5", "weight = 0.6", 1).replace('"ensemble"\nweight', '"knn"\nweight')
    assert [fault.split(": ")[0] for fault in faults_of(text)] == ["x.toml:2", "x.toml:12"]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentsInvalid, match=r"none\.toml: cannot be read: No such file"):
        read_declaration(tmp_path / "none.toml", VARIANTS.get)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ExperimentsInvalid, match="is not UTF-8"):
        read_declaration(file, VARIANTS.get)


def test_two_experiments_of_one_name_are_one_fault() -> None:
    assert len(faults_of(LAYERED.replace('"second"', '"first"', 1))) == 1


def test_a_choice_that_is_none_gets_the_list_of_choices() -> None:
    text = TWO_ARMS.replace("window_seconds = 60", 'outcome = "clicks"')
    assert faults_of(text) == ["x.toml:4: experiment.0.outcome: 'clicks' is none of click, purchase, value"]


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 3000, "a = " + "1" * 5000], ids=["nested deeply", "a number of 5,000 digits"]
)
def test_what_pythons_own_limits_refuse_is_a_fault_like_any_other(text: str) -> None:
    [fault] = faults_of(text)
    assert fault.startswith("x.toml:1: ")


def test_a_file_that_is_far_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ExperimentsInvalid, match="is longer than 1,000,000 bytes"):
        read_declaration(tmp_path / "x.toml", VARIANTS.get)
