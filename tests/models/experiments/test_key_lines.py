from __future__ import annotations

import tomllib

import pytest

from models.experiments.key_lines import key_lines, line_of

TEXT = '''# [[experiment]]
top = "[[experiment]]"  # a = 1

[[experiment]]
name = "a"
note = """
[[experiment]]
name = "in a string"
"""
share = [
  0,  # [x]
  1,
]
[experiment.guardrails]
p99_ms = { limit = 1 }
[[experiment.arm]]
name = 'one'
[[experiment.arm]]
"quoted.key" = 2

[[experiment]]
guardrails.p99_ms.limit = 3
arm = [{ name = "x" }, { name = "y" }]
'''

LINES = {
    ("top",): 2,
    ("experiment", 0): 4,
    ("experiment", 0, "name"): 5,
    ("experiment", 0, "note"): 6,
    ("experiment", 0, "share"): 10,
    ("experiment", 0, "guardrails"): 14,
    ("experiment", 0, "guardrails", "p99_ms"): 15,
    ("experiment", 0, "arm", 0): 16,
    ("experiment", 0, "arm", 0, "name"): 17,
    ("experiment", 0, "arm", 1): 18,
    ("experiment", 0, "arm", 1, "quoted.key"): 19,
    ("experiment", 1): 21,
    ("experiment", 1, "guardrails", "p99_ms", "limit"): 22,
    ("experiment", 1, "arm"): 23,
}


def test_every_key_has_its_line() -> None:
    tomllib.loads(TEXT)
    assert key_lines(TEXT) == LINES


def test_windows_line_ends_make_no_difference() -> None:
    assert key_lines(TEXT.replace("\n", "\r\n")) == LINES


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("experiment", 1, "arm", 1, "name"), 23),
        (("experiment", 0, "weight"), 4),
        (("nothing",), 1),
        ((), 1),
    ],
)
def test_what_has_no_line_is_found_by_what_is_around_it(path: tuple[str | int, ...], line: int) -> None:
    assert line_of(path, key_lines(TEXT)) == line
