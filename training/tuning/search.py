"""Search the settings of each member separately by a tree-structured Parzen estimator (TPE, Bergstra et al. 2011).

Settings, the past and validation questions go in; the best settings and an account of every trial come out. The
number of trials within a budget of seconds depends on the machine: a seed repeats a search only if `max_trials` ends
it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from training.base.callback import Progress, no_progress
from training.base.errors import NotFinite
from training.data.dataset import Interactions
from training.data.split import Questions
from training.metrics.metrics import auc
from training.metrics.protocols import Candidates, draw_candidates, measure
from training.quality.figures import Number
from training.quality.schema import SearchInterval, SearchRecord, Trial
from training.recipe.settings import TrainingSettings, TuningSettings
from training.tuning.spaces import SEARCH_SPACES, Space

N_RANDOM_TRIALS = 5
"""Number of random draws before TPE takes over. Its own default of 10 would be half of a usual budget."""

Values = dict[str, Number]
"""Maps setting to number."""
Objective = Callable[[Values], float]
"""A function from settings to a member's quality; higher is better. Raises NotFinite if training diverges."""
Clock = Callable[[], float]
"""A function that returns seconds since any moment."""


@dataclass(frozen=True)
class Search:
    """The trials of one member, in order; the first trial has the settings as given.

    seconds exceed seconds_budget by no more than the last trial took longer than the mean of those before it. The
    settings as given are tried even if that takes longer.
    """

    space: Space
    trials: list[Trial]
    seconds: float
    seconds_budget: float

    @property
    def given(self) -> Trial:
        """The trial with the settings as given."""
        return self.trials[0]

    @property
    def best(self) -> Trial:
        """The trial with the highest score; the earliest of ties, so that no setting changes without a gain."""
        return max(self.trials, key=lambda trial: -np.inf if trial.score is None else trial.score)

    def record(self) -> SearchRecord:
        """Return the whole search for the report."""
        return SearchRecord(
            space={
                name: SearchInterval(
                    interval.low, interval.high, interval.log, isinstance(interval, IntDistribution)
                )
                for name, interval in self.space.items()
            },
            n_trials=len(self.trials),
            seconds=self.seconds,
            seconds_budget=self.seconds_budget,
            default_score=self.given.score,
            best_score=self.best.score,
            best_values=self.best.values,
            trials=self.trials,
        )


def tune_members(
    settings: TrainingSettings,
    past: Interactions,
    validation: Questions,
    tuning: TuningSettings,
    *,
    seed: int,
    progress: Progress = no_progress,
) -> tuple[TrainingSettings, dict[str, Search]]:
    """Search every member's settings; return settings with each member's best, and the searches by name.

    The search uses at most `max_people` of `validation`, drawn by seed; on these no member becomes worse.
    """
    questions = _drawn(validation, tuning.max_people, seed)
    candidates = draw_candidates(questions, past.n_items, seed=seed)
    names = [member.name for member in settings.fresh_members()]
    searches: dict[str, Search] = {}
    tuned: dict[str, Any] = {}
    for position, name in enumerate(names):
        member, space = getattr(settings, name), SEARCH_SPACES[name]
        searches[name] = search(
            space,
            {setting: getattr(member, setting) for setting in space},
            _quality_alone(member, past, questions, candidates, seed),
            tuning,
            seed=seed,
            progress=_part(progress, position, len(names), name),
        )
        tuned[name] = replace(member, **searches[name].best.values)
    return settings.model_copy(update=tuned), searches


def search(
    space: Space,
    given: Values,
    objective: Objective,
    tuning: TuningSettings,
    *,
    seed: int,
    progress: Progress = no_progress,
    clock: Clock = time.perf_counter,
) -> Search:
    """Try the given values, then what TPE proposes, until trials or seconds are spent.

    A trial that began is finished; none begins that, at the mean duration so far, would not end within the budget.
    """
    started = clock()
    study = _new_study(seed)
    trials = [Trial(given, _score(objective, given))]
    _tell_given(study, space, trials[0])
    while (seconds := clock() - started) + seconds / len(trials) <= tuning.seconds_per_member:
        if len(trials) == tuning.max_trials:
            break
        progress(
            max(len(trials) / tuning.max_trials, seconds / tuning.seconds_per_member),
            f"trial {len(trials) + 1}",
        )
        proposal = study.ask(dict(space))
        trials.append(Trial(proposal.params, _score(objective, proposal.params)))
        _tell(study, proposal, trials[-1])
    progress(1.0, f"{len(trials)} trials")
    return Search(space, trials, seconds, tuning.seconds_per_member)


def _new_study(seed: int) -> optuna.Study:
    """Make a study in memory, without Optuna's own log, which says nothing that the record does not."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=N_RANDOM_TRIALS)
    return optuna.create_study(direction="maximize", sampler=sampler)


def _tell_given(study: optuna.Study, space: Space, trial: Trial) -> None:
    """Let TPE learn from the given settings, unless they lie outside its search space."""
    if all(interval.low <= trial.values[name] <= interval.high for name, interval in space.items()):
        study.enqueue_trial(trial.values)
        _tell(study, study.ask(dict(space)), trial)


def _tell(study: optuna.Study, pending: optuna.Trial, trial: Trial) -> None:
    state = TrialState.PRUNED if trial.score is None else TrialState.COMPLETE
    study.tell(pending, trial.score, state)


def _score(objective: Objective, values: Values) -> float | None:
    try:
        return objective(values)
    except NotFinite:  # these settings cannot be trained: record that, and go on
        return None


def _quality_alone(
    member: Any, past: Interactions, questions: Questions, candidates: Candidates, seed: int
) -> Objective:
    """Score one member by the mean of sampled NDCG@10, catalogue NDCG@20 and AUC, as claimed for the ensemble."""

    def quality(values: Values) -> float:
        fitted = replace(member, **values).fit(past, seed=seed)
        outcome = measure(fitted.score, questions, candidates)
        area = auc(outcome.pair_scores, outcome.pair_labels)
        return float((outcome.ndcg.mean() + outcome.catalogue_ndcg.mean() + area) / 3)

    return quality


def _drawn(questions: Questions, max_people: int, seed: int) -> Questions:
    if len(questions) <= max_people:
        return questions
    rows = np.random.default_rng(seed).choice(len(questions), max_people, replace=False)
    return questions.take(np.sort(rows))


def _part(progress: Progress, position: int, n_parts: int, name: str) -> Progress:
    """Return the progress callback of one of several parts of equal length."""
    return lambda share, words: progress((position + share) / n_parts, f"{name}: {words}")
