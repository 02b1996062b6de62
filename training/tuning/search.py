"""The search: each member on its own, by a tree-structured Parzen estimator (TPE, Bergstra et al. 2011).

Settings, the past and validation questions go in; the best settings and an account of every trial come out. What a
seconds budget allows depends on the machine: only where `max_trials` ends a search does a seed repeat it.
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
"""Draws before TPE has an opinion. Its own default of 10 would be half of a usual budget."""

Values = dict[str, Number]
"""Setting to number."""
Objective = Callable[[Values], float]
"""Quality of a member with these settings, higher is better. Raises NotFinite where training diverges."""
Clock = Callable[[], float]
"""Seconds since any moment."""


@dataclass(frozen=True)
class Search:
    """What was tried of one member, in order; the first trial is the settings as given.

    seconds exceed seconds_budget by no more than the last trial took longer than the mean of those before it. The
    settings as given are tried whatever they take.
    """

    space: Space
    trials: list[Trial]
    seconds: float
    seconds_budget: float

    @property
    def given(self) -> Trial:
        """The settings as given."""
        return self.trials[0]

    @property
    def best(self) -> Trial:
        """The highest score; the earliest of equals, so that what gains nothing changes nothing."""
        return max(self.trials, key=lambda trial: -np.inf if trial.score is None else trial.score)

    def record(self) -> SearchRecord:
        """All of it, for the report."""
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
    """Search every member's settings; the settings with each one's best, and each one's search by name.

    No member is worse than given on the questions asked: at most `max_people` of `validation`, drawn by seed.
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

    A trial that began is let finish; none begins that, at the mean so far, would not end within the budget.
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
    """In memory, and quiet: Optuna's own log says nothing that the record does not."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=N_RANDOM_TRIALS)
    return optuna.create_study(direction="maximize", sampler=sampler)


def _tell_given(study: optuna.Study, space: Space, trial: Trial) -> None:
    """Let TPE learn from the given settings, unless they lie where it does not search."""
    if all(interval.low <= trial.values[name] <= interval.high for name, interval in space.items()):
        study.enqueue_trial(trial.values)
        _tell(study, study.ask(dict(space)), trial)


def _tell(study: optuna.Study, asked: optuna.Trial, trial: Trial) -> None:
    state = TrialState.PRUNED if trial.score is None else TrialState.COMPLETE
    study.tell(asked, trial.score, state)


def _score(objective: Objective, values: Values) -> float | None:
    try:
        return objective(values)
    except NotFinite:  # beyond what can be trained: the record says so, and the search goes on
        return None


def _quality_alone(
    member: Any, past: Interactions, questions: Questions, candidates: Candidates, seed: int
) -> Objective:
    """Mean of sampled NDCG@10, whole-catalogue NDCG@20 and AUC: what is claimed of the ensemble, of one member."""

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
    """Progress of one of several parts of equal length."""
    return lambda share, words: progress((position + share) / n_parts, f"{name}: {words}")
