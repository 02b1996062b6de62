from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from tests.support.blocks import block_dataset
from training.base.errors import NotFinite
from training.data.split import Questions, Split, split_by_time
from training.metrics.metrics import auc
from training.metrics.protocols import Candidates, Outcome, ScoreFunction, draw_candidates, measure
from training.quality.schema import SearchInterval, SearchRecord, Trial
from training.recipe.settings import TrainingSettings, TuningSettings
from training.tuning.search import Search, Values, search, tune_members
from training.tuning.spaces import Space

SPACE: Space = {"x": FloatDistribution(0.0, 10.0), "n": IntDistribution(1, 100, log=True)}
GIVEN = {"x": 9.0, "n": 50}


def peak(values: Values) -> float:
    """Highest, at 0, where x is 3."""
    return -((values["x"] - 3.0) ** 2)


class Stopwatch:
    """Time that passes only while an objective runs: so many seconds a trial."""

    def __init__(self, *seconds: float) -> None:
        self.now, self._seconds = 100.0, list(seconds)

    def __call__(self) -> float:
        return self.now

    def timing(self, objective: Callable[[Values], float]) -> Callable[[Values], float]:
        def timed(values: Values) -> float:
            self.now += self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]
            return objective(values)

        return timed


def searched(
    objective: Callable[[Values], float] = peak,
    given: Values = GIVEN,
    *,
    max_trials: int = 15,
    seed: int = 0,
) -> Search:
    tuning = TuningSettings(seconds_per_member=1.0, max_trials=max_trials)
    return search(SPACE, given, objective, tuning, seed=seed, clock=Stopwatch(0.0))


def timed(stopwatch: Stopwatch, seconds_per_member: float) -> Search:
    tuning = TuningSettings(seconds_per_member=seconds_per_member, max_trials=50)
    return search(SPACE, GIVEN, stopwatch.timing(peak), tuning, seed=0, clock=stopwatch)


def test_the_given_settings_are_tried_first() -> None:
    assert searched().given == Trial(GIVEN, peak(GIVEN))


def test_what_is_found_is_better_than_what_was_given() -> None:
    best = searched(max_trials=30).best
    assert best.score == peak(best.values)
    assert abs(best.values["x"] - 3.0) < 0.5


def test_proposals_lie_in_the_space() -> None:
    trials = searched().trials[1:]
    assert all(0.0 <= trial.values["x"] <= 10.0 for trial in trials)
    assert all(isinstance(trial.values["n"], int) and 1 <= trial.values["n"] <= 100 for trial in trials)
    assert len({trial.values["x"] for trial in trials}) == len(trials)


def test_given_settings_outside_the_space_count_all_the_same() -> None:
    outside = {"x": 3.0, "n": 5000}
    assert searched(given=outside).best == Trial(outside, 0.0)


def test_nothing_better_changes_nothing() -> None:
    assert searched(lambda values: 1.0).best.values == GIVEN


def test_the_same_seed_tries_the_same_and_another_seed_does_not() -> None:
    assert searched(seed=5).trials == searched(seed=5).trials
    assert searched(seed=5).trials != searched(seed=6).trials


def test_a_trial_that_diverges_is_recorded_without_score_and_never_best() -> None:
    def diverging(values: Values) -> float:
        if values["x"] < 5.0:
            raise NotFinite("the loss is nan")
        return peak(values)

    result = searched(diverging)
    assert {trial.score is None for trial in result.trials} == {True, False}
    assert all((trial.score is None) == (trial.values["x"] < 5.0) for trial in result.trials)
    assert result.best.values["x"] >= 5.0


def test_settings_stay_as_given_where_everything_diverges() -> None:
    def diverging(values: Values) -> float:
        raise NotFinite("the loss is nan")

    assert searched(diverging).best == Trial(GIVEN, None)


def test_other_errors_end_the_search() -> None:
    def broken(values: Values) -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        searched(broken)


def test_trials_are_bounded() -> None:
    assert len(searched(max_trials=7).trials) == 7
    assert len(searched(max_trials=1).trials) == 1


def test_no_trial_starts_that_would_not_end_in_time() -> None:
    result = timed(Stopwatch(4.0), seconds_per_member=10.0)
    assert (len(result.trials), result.seconds, result.seconds_budget) == (2, 8.0, 10.0)


def test_a_trial_that_would_end_on_time_to_the_second_starts() -> None:
    assert len(timed(Stopwatch(5.0), seconds_per_member=10.0).trials) == 2


def test_a_slow_trial_is_let_finish_and_is_the_last() -> None:
    result = timed(Stopwatch(1.0, 1.0, 30.0), seconds_per_member=10.0)
    assert (len(result.trials), result.seconds) == (3, 32.0)


def test_the_given_settings_are_tried_whatever_they_take() -> None:
    assert len(timed(Stopwatch(100.0), seconds_per_member=10.0).trials) == 1


def test_the_record_is_complete() -> None:
    result = searched(max_trials=3)
    assert result.record() == SearchRecord(
        space={
            "x": SearchInterval(0.0, 10.0, log=False, integer=False),
            "n": SearchInterval(1, 100, log=True, integer=True),
        },
        n_trials=3,
        seconds=0.0,
        seconds_budget=1.0,
        default_score=peak(GIVEN),
        best_score=result.best.score,
        best_values=result.best.values,
        trials=result.trials,
    )


def test_the_search_tool_says_nothing_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    optuna.logging.enable_propagation()
    searched(max_trials=3)
    optuna.logging.disable_propagation()
    assert not caplog.records


TUNING = TuningSettings(seconds_per_member=60.0, max_trials=2, max_people=30)


@pytest.fixture(scope="module")
def split() -> Split:
    return split_by_time(block_dataset(), validation_share=0.2, test_share=0.2)


@pytest.fixture(scope="module")
def settings() -> TrainingSettings:
    """Members that fit in no time, and one with a silly value that any other beats."""
    default = TrainingSettings()
    return default.model_copy(
        update={
            "als": replace(default.als, n_factors=4, n_iterations=2),
            "neural": replace(default.neural, n_epochs=1, n_factors=4, n_hidden=4),
            "content": replace(default.content, half_life=12.5),
        }
    )


@pytest.fixture(scope="module")
def tuned(split: Split, settings: TrainingSettings) -> tuple[TrainingSettings, dict[str, Search]]:
    return tune_members(settings, split.past, split.validation, TUNING, seed=1)


def test_every_member_is_searched_and_set_to_its_best(
    settings: TrainingSettings, tuned: tuple[TrainingSettings, dict[str, Search]]
) -> None:
    after, searches = tuned
    assert list(searches) == [member.name for member in settings.fresh_members()]
    for name, each in searches.items():
        assert getattr(after, name) == replace(getattr(settings, name), **each.best.values)
        assert each.given.values == {
            setting: getattr(getattr(settings, name), setting) for setting in each.space
        }


def test_what_is_not_searched_stays(
    settings: TrainingSettings, tuned: tuple[TrainingSettings, dict[str, Search]]
) -> None:
    after, _ = tuned
    assert after.als.n_iterations == 2
    assert after.tower == settings.tower


def test_the_score_is_the_mean_of_both_ndcgs_and_auc(split: Split, settings: TrainingSettings) -> None:
    everybody = TUNING.model_copy(update={"max_people": 1000, "max_trials": 1})
    _, searches = tune_members(settings, split.past, split.validation, everybody, seed=1)
    candidates = draw_candidates(split.validation, split.past.n_items, seed=1)
    outcome = measure(replace(settings.ease).fit(split.past, seed=1).score, split.validation, candidates)
    area = auc(outcome.pair_scores, outcome.pair_labels)
    expected = (outcome.ndcg.mean() + outcome.catalogue_ndcg.mean() + area) / 3
    assert searches["ease"].given.score == pytest.approx(expected)


def test_no_more_people_are_evaluated_than_the_bound_and_the_seed_draws_them(
    split: Split, settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[list[int]] = []

    def measure_and_note(score: ScoreFunction, questions: Questions, candidates: Candidates) -> Outcome:
        evaluated.append(questions.user_indices.tolist())
        return measure(score, questions, candidates)

    monkeypatch.setattr("training.tuning.search.measure", measure_and_note)
    one_trial = TUNING.model_copy(update={"max_trials": 1})
    for seed in (1, 1, 2):
        tune_members(settings, split.past, split.validation, one_trial, seed=seed)
    n_members = len(settings.fresh_members())
    first, again, other = evaluated[0], evaluated[n_members], evaluated[2 * n_members]
    assert evaluated[:n_members] == [first] * n_members
    assert len(first) == TUNING.max_people < len(split.validation)
    assert first == again != other


def test_progress_tells_the_member_and_reaches_the_end(split: Split, settings: TrainingSettings) -> None:
    seen: list[tuple[float, str]] = []
    one_trial = TUNING.model_copy(update={"max_trials": 1})
    tune_members(
        settings,
        split.past,
        split.validation,
        one_trial,
        seed=1,
        progress=lambda share, words: seen.append((share, words)),
    )
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [words.split(":")[0] for _, words in seen] == [member.name for member in settings.fresh_members()]
