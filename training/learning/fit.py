"""Learn from one split: fit members and the ensemble over them, distil a student from it, and certify what ships.

`pipeline` calls it for each protocol, with the split that the protocol made; nothing here looks at test questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.history import EventKind, History
from models.known_items import KnownItemsRule, left_out_items
from models.student import Student
from models.text import TextEncoder
from training.base.callback import no_progress
from training.base.progress import Stages
from training.data.dataset import Interactions
from training.data.split import Split
from training.ensemble.catalogue_lists import describe_catalogue
from training.ensemble.choice import StrategyChoice, choose_strategy
from training.ensemble.contributions import member_contributions
from training.ensemble.ensemble import Ensemble
from training.ensemble.evaluation_pairs import EvaluationPairs
from training.ensemble.pairs import Pairs, describe_pairs
from training.ensemble.repeats import fit_repeats
from training.members.member import Floats, Member
from training.metrics.baselines import baselines
from training.metrics.metrics import best_threshold
from training.metrics.protocols import (
    ScoreFunction,
    draw_candidates,
    measure,
)
from training.recipe.settings import TrainingSettings
from training.student.compression import CompressedStudent, compress_student
from training.student.distill import distil
from training.student.member_shares import FittedShares, fit_member_shares
from training.student.neighbours import Neighbours, strongest_neighbours
from training.student.soft_labels import SoftLabels, label_examples
from training.student.text_vectors import fit_text_encoder
from training.student.tower import StudentModel

MAX_THRESHOLD_QUESTIONS = 3_000
"""The most validation questions on which members' thresholds are chosen."""
MAX_CHOICE_QUESTIONS = 1_500
"""The most validation questions on whose whole catalogue strategies are compared: 300 candidates of 30 numbers each
take 54 MB."""
NO_NEIGHBOURS = Neighbours(np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32))
STUDENTS = ("student", "student_pruned", "student_shipped")
SHIPPED = "student_shipped"
"""The compressed student, as a bundle carries it. The name says that members have the settings that `train` uses."""
TUNED = "student_tuned"
"""The compressed student where members were tuned first: no bundle that `train` writes with these settings has it."""


@dataclass(frozen=True)
class Taught:
    """An ensemble that was fitted on one split.

    choice: the strategy and its rivals, with out-of-fold logits of the pairs. thresholds: by model, the score above
    which accuracy counts a pair as positive. seconds: the time that each member took to fit once on past and
    validation. beside: members that are not in the ensemble, fitted as its own are, to compare it with.
    """

    ensemble: Ensemble
    choice: StrategyChoice
    pairs: Pairs
    thresholds: dict[str, float]
    seconds: dict[str, float]
    beside: list[Member] = field(default_factory=list)


@dataclass(frozen=True)
class Learned:
    """A student, and what is needed to teach another one from the same labels."""

    labels: SoftLabels
    text_encoder: TextEncoder
    model: StudentModel
    compressed: CompressedStudent
    shares: FittedShares


@dataclass(frozen=True)
class OfAnswers:
    """An ensemble that labels no own items that are no answers. rule, target: see `left_out_items`."""

    ensemble: Ensemble
    rule: KnownItemsRule
    target: EventKind

    def score_candidates(
        self, histories: list[History], n_top: int, n_uniform: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int32], Floats]:
        """Return candidates and logits as the ensemble does, -inf where the item is no answer."""
        items, logits = self.ensemble.score_candidates(histories, n_top, n_uniform, rng)
        for history, own_items, own_logits in zip(histories, items, logits, strict=True):
            own_logits[np.isin(own_items, left_out_items(history, self.rule, self.target))] = -np.inf
        return items, logits


def fit_ensemble(split: Split, settings: TrainingSettings, stages: Stages) -> Taught:
    """Fit members on the past, choose a strategy on validation, then refit the members on both.

    The refitted members are what is measured and what teaches the student.
    """
    choice, pairs, thresholds = _choose_on_validation(split, settings, stages)
    longer = split.past_and_validation
    before = dict(stages.seconds)
    refitted = fit_members(settings, longer, stages, "past and validation")
    seconds = {member.name: stages.seconds[member.name] - before[member.name] for member in refitted}
    with stages.stage("repeats", "What comes back, past and validation") as progress:
        repeats = fit_repeats(longer, settings.repeats, seed=settings.seed, progress=progress)
    ensemble = Ensemble(refitted, repeats, choice.strategy)
    return Taught(ensemble, choice, pairs, thresholds, seconds)


def with_members_beside(taught: Taught, split: Split, settings: TrainingSettings, stages: Stages) -> Taught:
    """Fit the members that the ensemble leaves out, on the same events; their thresholds come from validation."""
    others = settings.beside()
    on_past = fit_members(others, split.past, stages, "past, beside")
    with stages.stage("thresholds", "Thresholds of members beside"):
        thresholds = member_thresholds(on_past, split, settings)
    beside = fit_members(others, split.past_and_validation, stages, "past and validation, beside")
    return replace(taught, thresholds=taught.thresholds | thresholds, beside=beside)


def _choose_on_validation(
    split: Split, settings: TrainingSettings, stages: Stages
) -> tuple[StrategyChoice, Pairs, dict[str, float]]:
    """Choose the strategy and thresholds on validation; the members fitted on the past alone are dropped after that.

    Returns the choice, the pairs it was made on, and the thresholds by model.
    """
    members = fit_members(settings, split.past, stages, "past")
    with stages.stage("repeats", "What comes back, past") as progress:
        repeats = fit_repeats(split.past, settings.repeats, seed=settings.seed, progress=progress)
    with stages.stage("pairs", "Describing validation pairs") as progress:
        pairs = describe_pairs(
            members,
            repeats,
            split.validation,
            n_negatives=settings.split.n_pair_negatives,
            seed=settings.seed,
            progress=progress,
        )
        catalogue = describe_catalogue(
            members, repeats, split.validation.some(MAX_CHOICE_QUESTIONS, settings.seed)
        )
    with stages.stage("choice", "Choosing how to combine") as progress:
        choice = choose_strategy(
            settings.strategies(),
            pairs.features,
            pairs.labels,
            pairs.people,
            seed=settings.seed,
            weights=pairs.weights,
            catalogue=catalogue,
            n_folds=settings.n_folds,
            progress=progress,
        )
    stages.note(describe_choice(choice))
    with stages.stage("thresholds", "Thresholds for accuracy"):
        thresholds = fit_thresholds(members, choice, pairs, split, settings)
    return choice, pairs, thresholds


def fit_members(
    settings: TrainingSettings, interactions: Interactions, stages: Stages, period: str
) -> list[Member]:
    """Fit every member from scratch."""
    fitted = []
    for member in settings.fresh_members():
        with stages.stage(member.name, f"{member.name} on the {period}") as progress:
            fitted.append(member.fit(interactions, seed=settings.seed, progress=progress))
    return fitted


def fit_thresholds(
    members: list[Member], choice: StrategyChoice, pairs: Pairs, split: Split, settings: TrainingSettings
) -> dict[str, float]:
    """Choose the thresholds for accuracy: for members on validation, which they have not seen; for the ensemble
    out of fold.

    Students learn the ensemble's logits, so they share its threshold.
    """
    own = best_thresholds(baselines(split.past, seed=settings.seed), split, settings)
    thresholds = own | member_thresholds(members, split, settings)
    evaluation_pairs = EvaluationPairs.draw(
        pairs.labels, pairs.people, np.random.default_rng(settings.seed), pairs.weights
    )
    ensembles = best_threshold(
        choice.logits[evaluation_pairs.balanced], pairs.labels[evaluation_pairs.balanced]
    )
    return thresholds | dict.fromkeys(("ensemble", *STUDENTS, TUNED), ensembles)


def member_thresholds(
    members: Sequence[Member], split: Split, settings: TrainingSettings
) -> dict[str, float]:
    """Choose a threshold for each of these members, which were fitted on the past."""
    return best_thresholds({member.name: member.score for member in members}, split, settings)


def best_thresholds(
    scores: Mapping[str, ScoreFunction], split: Split, settings: TrainingSettings
) -> dict[str, float]:
    """Choose, for each model, the threshold on scores that is right most often about validation's pairs."""
    questions = split.validation.some(MAX_THRESHOLD_QUESTIONS, settings.seed)
    candidates = draw_candidates(questions, len(split.dataset.items), seed=settings.seed)
    return {name: measure(score, questions, candidates).threshold() for name, score in scores.items()}


def teach_student(
    taught: Taught, split: Split, settings: TrainingSettings, folder: Path, stages: Stages
) -> Learned:
    """Label histories with the ensemble, distil a student from them, and compress it as far as certification lets.

    Last, members' shares in the ensemble's opinion are fitted to the student that ships.
    """
    texts = split.dataset.catalogue.texts
    encoder = fit_text_encoder(
        texts, settings.n_text_components, n_features=settings.n_text_terms, seed=settings.seed
    )
    with stages.stage("labels", "Soft labels from the ensemble") as progress:
        labels = label_examples(
            OfAnswers(taught.ensemble, split.test.known_items, split.dataset.target),
            split.past_and_validation.histories,
            settings.labels,
            folder / "soft_labels",
            seed=settings.seed,
            progress=progress,
            target=split.dataset.target,
        )
    with stages.stage("distil", f"Distilling on {len(labels):,} histories") as progress:
        student = distil(
            labels,
            encoder.encode(texts),
            strongest_neighbours(
                taught.ensemble.item_items(),
                settings.tower.n_neighbours,
                split.past_and_validation.evidence.weights,
            ),
            settings.tower,
            settings.distill,
            seed=settings.seed,
            progress=progress,
            repeats=taught.ensemble.repeats,
        )
    with stages.stage("compress", "Pruning, quantizing, certifying") as progress:
        questions = split.validation.some(settings.certification.max_people, settings.seed)
        compressed = compress_student(
            student,
            lambda pruned: recover(pruned, labels, settings),
            labels.histories,
            (questions, draw_candidates(questions, len(split.dataset.items), seed=settings.seed)),
            settings.pruning,
            settings.certification,
            seed=settings.seed,
            progress=progress,
        )
    stages.note(compressed.reason)
    with stages.stage("shares", "Members' shares in the opinion") as progress:
        shares = fit_member_shares(
            Student(compressed.versions[SHIPPED]),
            partial(member_contributions, taught.ensemble),
            [member.name for member in taught.ensemble.members],
            labels,
            progress=progress,
        )
    return Learned(labels, encoder, student, compressed, shares)


def recover(pruned: StudentModel, labels: SoftLabels, settings: TrainingSettings) -> StudentModel:
    """Teach a pruned student again for as many epochs, and at the learning rate, that the pruning settings say."""
    gentler = replace(
        settings.distill,
        n_epochs=settings.pruning.n_recovery_epochs,
        learning_rate=settings.pruning.recovery_learning_rate,
    )
    return distil(
        labels,
        pruned.answer_items.text_vectors.numpy(),
        NO_NEIGHBOURS,  # the pruned student brings its own
        settings.tower,
        gentler,
        seed=settings.seed,
        progress=no_progress,
        initial=pruned,
    )


def with_own_thresholds(
    taught: Taught, others: Mapping[str, ScoreFunction], split: Split, settings: TrainingSettings
) -> Taught:
    """Add thresholds, chosen on validation, for models whose scores are not on the ensemble's scale.

    These models have learned from validation's events already, which can only flatter them.
    """
    return replace(taught, thresholds=taught.thresholds | best_thresholds(others, split, settings))


def describe_choice(choice: StrategyChoice) -> str:
    """Say in one line which strategy was chosen and by what margin."""
    rivals = ", ".join(f"{name} {standing.ndcg:.4f}" for name, standing in choice.standings.items())
    if choice.margin is None or choice.margin_interval is None:
        return (
            f"{choice.name} combines the members, the only strategy that was tried (setting `ensemble`): "
            f"NDCG@20 out of fold {rivals}"
        )
    low, high = choice.margin_interval
    return (
        f"{choice.name} combines the members: NDCG@20 out of fold {choice.margin:+.4f} ({low:+.4f} to {high:+.4f}) "
        f"over the next best; {rivals}"
    )
