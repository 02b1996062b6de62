from __future__ import annotations

from collections import Counter

import pytest

from models.experiments.assignment import Assigned, Assignment, unit_of
from models.experiments.declaration import Declaration
from models.experiments.sample_ratio import chi_square
from tests.models.experiments.test_reading import LAYERED, NESTED
from tests.support.experiments import TWO_ARMS, declared, two_arms

N_UNITS = 20_000
UNITS = [f"user-{number}" for number in range(N_UNITS)]


def arms_of(declaration: Declaration, units: list[str] = UNITS) -> list[str | None]:
    """The arm of each unit, None outside of every experiment."""
    assignment = Assignment(declaration)
    found = [assignment.assign(unit, None, None, 0.0) for unit in units]
    return [None if each is None else f"{each.experiment}/{each.arm}" for each in found]


def moves(before: Declaration, after: Declaration) -> Counter[tuple[str | None, str | None]]:
    """How many units went from where to where."""
    pairs = zip(arms_of(before), arms_of(after), strict=True)
    return Counter(pair for pair in pairs if pair[0] != pair[1])


def three_arms(*weights: float) -> Declaration:
    arms = ", ".join(
        f'{{ name = "{name}", weight = {weight} }}' for name, weight in zip("abc", weights, strict=True)
    )
    return declared(f'[[experiment]]\nname = "x"\narm = [{arms}]')


def test_units_are_dealt_by_weight() -> None:
    counts = Counter(arms_of(two_arms(0.2)))
    assert chi_square([counts["vases/control"], counts["vases/ensemble"]], [0.8, 0.2]) > 0.001


def test_the_same_unit_gets_the_same_arm_for_ever() -> None:
    """Written down, so that no change of the code moves a running experiment's people."""
    units = [*(f"user-{number}" for number in range(1, 9)), "ü", "\0s"]
    assert (
        "".join((arm or "").removeprefix("vases/")[0] for arm in arms_of(declared(), units)) == "eeececceee"
    )


def test_growing_an_arm_moves_units_into_it_and_nowhere_else() -> None:
    moved = moves(three_arms(0.6, 0.3, 0.1), three_arms(0.4, 0.2, 0.4))
    assert {to for _, to in moved} == {"x/c"}
    assert moved.total() == pytest.approx(0.3 * N_UNITS, rel=0.05)


def test_a_unit_moves_only_to_an_arm_whose_weight_grew_by_a_larger_factor() -> None:
    moved = moves(three_arms(0.6, 0.3, 0.1), three_arms(0.4, 0.3, 0.3))
    assert set(moved) == {("x/a", "x/b"), ("x/a", "x/c"), ("x/b", "x/c")}


def test_a_removed_arm_gives_its_units_to_the_others_and_moves_no_other() -> None:
    moved = moves(three_arms(0.5, 0.25, 0.25), three_arms(0.6666667, 0.3333333, 0.0))
    assert {origin for origin, _ in moved} == {"x/c"}


def test_the_order_of_arms_means_nothing() -> None:
    one, other = '{ name = "one", weight = 0.5 }', '{ name = "other", weight = 0.5 }'
    first, second = (
        declared(f'[[experiment]]\nname = "x"\narm = [{", ".join(arms)}]')
        for arms in ((one, other), (other, one))
    )
    assert not moves(first, second)


def test_another_salt_deals_everybody_anew() -> None:
    text = TWO_ARMS.replace('name = "vases"', 'name = "vases"\nsalt = "again"')
    assert moves(declared(), declared(text)).total() == pytest.approx(0.5 * N_UNITS, rel=0.05)


def test_experiments_of_one_layer_have_nobody_in_common_and_take_their_share() -> None:
    counts = Counter((arm or "").partition("/")[0] for arm in arms_of(declared(LAYERED)))
    assert set(counts) == {"first", "second"}
    assert counts["first"] == pytest.approx(N_UNITS / 2, rel=0.03)


def test_a_unit_outside_of_every_share_is_in_no_experiment() -> None:
    text = LAYERED.replace("[0.5, 1.0]", "[0.9, 1.0]")
    assert Counter(arms_of(declared(text)))[None] == pytest.approx(0.4 * N_UNITS, rel=0.05)


def test_layers_are_independent_of_each_other() -> None:
    """What the arm in one says nothing about the arm in the other: all four cells are equally full."""
    other = two_arms(0.5)
    text = TWO_ARMS.replace('"vases"', '"bowls"')
    pairs = Counter(zip(arms_of(other), arms_of(declared(text)), strict=True))
    assert chi_square(list(pairs.values()), [1] * 4) > 0.001


def test_shares_of_a_layer_are_independent_of_arms() -> None:
    arms = Counter(arms_of(declared(LAYERED)))
    assert chi_square([arms["second/a"], arms["second/b"]], [0.5, 0.5]) > 0.001


def test_a_layer_inside_an_arm_is_for_its_units_alone() -> None:
    outer, inner = arms_of(declared(LAYERED)), arms_of(declared(NESTED))
    inside = {was for was, now in zip(outer, inner, strict=True) if (now or "").startswith("third")}
    assert inside == {"first/b"}
    assert "first/b" not in inner


def test_a_stopped_arm_gets_nobody_and_moves_nobody() -> None:
    assignment = Assignment(declared(), {("vases", "ensemble")})
    after = [assignment.assign(unit, None, None, 0.0) for unit in UNITS]
    pairs = {(was, now and now.arm) for was, now in zip(arms_of(declared()), after, strict=True)}
    assert pairs == {("vases/control", "control"), ("vases/ensemble", None)}


def test_a_layer_inside_a_stopped_arm_gets_nobody() -> None:
    assignment = Assignment(declared(NESTED), {("first", "b")})
    found = {
        each and each.experiment
        for unit in UNITS[:500]
        for each in [assignment.assign(unit, None, None, 0.0)]
    }
    assert found == {"first", "second", None}


def test_what_is_assigned_says_what_to_serve_and_how_likely_it_was() -> None:
    found = Assignment(two_arms(0.999999)).assign("user-1", None, None, 0.0)
    assert found == Assigned("vases", "ensemble", "current", "ensemble", 0.999999, "person")


def test_nobody_in_particular_is_in_no_experiment() -> None:
    assert Assignment(declared()).assign(None, None, None, 0.0) is None


@pytest.mark.parametrize(
    ("user_id", "session_id", "rule", "unit"),
    [
        ("u", "s", "person", "u"),
        (None, "s", "person", "\0s"),
        ("u", "s", "session", "\0s"),
        ("u", None, "session", None),
        (None, None, "person", None),
    ],
)
def test_the_unit_is_the_person_else_the_session(
    user_id: str | None, session_id: str | None, rule: str, unit: str | None
) -> None:
    assert unit_of(user_id, session_id, rule) == unit  # type: ignore[arg-type]


def test_a_layer_for_a_placement_leaves_other_requests_alone() -> None:
    text = '[[layer]]\nname = "l"\nplacements = ["cart"]\n' + TWO_ARMS.replace(
        'name = "vases"', 'name = "vases"\nlayer = "l"'
    )
    assignment = Assignment(declared(text))
    assert assignment.assign("user-1", None, "cart", 0.0) is not None
    assert assignment.assign("user-1", None, "home", 0.0) is None


def test_an_experiment_runs_from_its_start_to_its_stop() -> None:
    assignment = Assignment(two_arms(0.5, more="start = 1970-01-01T00:01:00Z\nstop = 1970-01-01T00:02:00Z"))
    assert [assignment.assign("user-1", None, None, at) is not None for at in (59, 60, 119, 120)] == [
        *(False, True, True, False)
    ]
