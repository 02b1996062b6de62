"""Run the studies of a full evaluation beyond the test itself: what each part adds, and how edge cases behave.

Each study is a module of `training/studies`; here they get what one protocol's run has learned.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import msgspec
import numpy as np

from models.ensemble.meta_features import member_columns
from models.student import Student
from models.text import TextEncoder
from training.base.progress import Stages
from training.data.split import Split
from training.ensemble.importance import member_importance
from training.ensemble.neural_stacking import NeuralStacking
from training.ensemble.pairs import describe_pairs
from training.ensemble.super_stacking import SuperStacking
from training.evaluation.assessment import Assessment
from training.learning.fit import SHIPPED, Learned, Taught
from training.members.content import Content
from training.metrics.protocols import Candidates, ScoreFunction
from training.quality.figures import Figure, Metrics
from training.quality.schema import AttributeWorth, ColdStart, Explanations, MemberWorth, WellKnownItem
from training.recipe.settings import TrainingSettings
from training.student.distill import DistillSettings, distil
from training.student.export import export_student, torch_scores
from training.student.neighbours import Neighbours, strongest_neighbours
from training.student.soft_labels import SoftLabels
from training.student.subhistories import cut_examples
from training.student.text_vectors import fit_text_encoder
from training.student.tower import StudentModel
from training.studies.attributes import attribute_worth
from training.studies.candidate_features import describe_candidates
from training.studies.cold_items import cold_items
from training.studies.cold_start import people_curve
from training.studies.distillation import ablation, losses, variants
from training.studies.explanations import student_removal_test
from training.studies.leave_one_out import leave_one_out
from training.studies.well_known import beside_well_known

MAX_STUDIED = 2_000
"""The most test questions that the studies of members ask."""
TEXT_ALONE_SHARE = 0.5
"""Share of the items known by text alone at each step, when a student has to learn from texts."""
CURVES = ("als", "content", "popular", "ensemble")


def without_distillation(
    taught: Taught, learned: Learned, split: Split, settings: TrainingSettings, stages: Stages
) -> Student:
    """Teach the same student, for as long on the same histories, only by what people took next."""
    with stages.stage("no_distillation", "A student without distillation") as progress:
        encoder, texts = learned.text_encoder, split.dataset.catalogue.texts
        student = distil(
            learned.labels,
            encoder.encode(texts),
            strongest_neighbours(taught.ensemble.item_items(), settings.tower.n_neighbours),
            settings.tower,
            losses(settings.distill)["no_distillation"],
            seed=settings.seed,
            progress=progress,
            repeats=taught.ensemble.repeats,
        )
        return Student(export_student(student, learned.labels.histories[:8])["fp32"])


def study_members(
    split: Split, taught: Taught, assessment: Assessment, settings: TrainingSettings, stages: Stages
) -> tuple[dict[str, Figure], dict[str, MemberWorth]]:
    """Measure each member's worth: permute it in the ensemble as it is, and leave it out of one fitted anew."""
    questions = split.test.some(MAX_STUDIED, settings.seed)
    candidates = candidates_of(assessment, split, MAX_STUDIED, settings.seed)
    ensemble, strategy = taught.ensemble, taught.choice.strategy
    groups = member_columns([member.name for member in ensemble.members])
    with stages.stage("importance", "Importance of each member"):
        pairs = describe_pairs(
            ensemble.members, ensemble.repeats, questions, n_negatives=100, seed=settings.seed
        )
        found = member_importance(
            strategy,
            pairs.features,
            pairs.labels,
            pairs.people,
            groups,
            seed=settings.seed,
            weights=pairs.weights,
        )
    with stages.stage("leave_one_out", "The ensemble without each member") as progress:
        # A combination of strategies fits dozens of models; one of its bases shows as well what a member adds.
        name = NeuralStacking.name if isinstance(strategy, SuperStacking) else taught.choice.name
        make = settings.model_copy(update={"ensemble": name}).strategies()[name]
        refitted = make().fit(
            taught.pairs.features,
            taught.pairs.labels,
            taught.pairs.people,
            seed=settings.seed,
            weights=taught.pairs.weights,
        )
        sampled, catalogue = describe_candidates(ensemble.describe, refitted, questions, candidates)
        added = leave_one_out(
            make,
            taught.pairs,
            sampled,
            catalogue,
            groups,
            training_seconds=taught.seconds,
            seed=settings.seed,
            progress=progress,
        )
    importance = {member: Figure(each.ndcg_loss, *each.ndcg_interval) for member, each in found.items()}
    return importance, added


def study_attributes(
    split: Split, assessment: Assessment, settings: TrainingSettings, stages: Stages
) -> dict[str, AttributeWorth]:
    """Measure what each attribute of items adds; empty, without a stage of its own, in a shop that gives none."""
    interactions = split.past_and_validation
    if not interactions.catalogue.attributes.by_name:
        return {}
    with stages.stage("attributes", "What attributes of items add") as progress:
        return attribute_worth(
            settings.content,
            interactions,
            split.test.some(MAX_STUDIED, settings.seed),
            candidates_of(assessment, split, MAX_STUDIED, settings.seed),
            seed=settings.seed,
            progress=progress,
        )


def study_well_known(
    split: Split, taught: Taught, assessment: Assessment, stages: Stages
) -> list[WellKnownItem]:
    """Ask members, the ensemble and the student that ships what belongs beside the best-known items."""
    members = (*taught.ensemble.members, *taught.beside)
    shown = [*(member.name for member in members), "ensemble", assessment.shipped]
    with stages.stage("well_known", "What stands beside well-known items"):
        scores = {name: assessment.scores[name] for name in shown}
        return beside_well_known(scores, split.past_and_validation)


def study_distillation(
    split: Split,
    taught: Taught,
    learned: Learned,
    assessment: Assessment,
    settings: TrainingSettings,
    stages: Stages,
) -> dict[str, Metrics]:
    """Train students briefly with one thing changed in each; nothing is chosen by the results."""
    encoder = learned.text_encoder
    texts = encoder.encode(split.dataset.catalogue.texts)
    neighbours = strongest_neighbours(
        taught.ensemble.item_items(), settings.tower.n_neighbours, split.past_and_validation.evidence.weights
    )

    def taught_by(labels: SoftLabels, loss: DistillSettings) -> ScoreFunction:
        student = distil(
            labels,
            texts,
            neighbours,
            settings.tower,
            loss,
            seed=settings.seed,
            progress=lambda *_: None,
            repeats=taught.ensemble.repeats,
        )
        return partial(torch_scores, student)

    with stages.stage("ablation", "Distillation, one thing changed at a time") as progress:
        return ablation(
            variants(
                learned.labels,
                min(settings.labels.n_top, len(split.dataset.items)),
                split.past_and_validation.histories,
                settings.distill,
                settings.ablation,
                seed=settings.seed,
            ),
            taught_by,
            assessment.outcomes["ensemble"],
            split.test,
            assessment.candidates,
            seed=settings.seed,
            progress=progress,
        )


def study_cold_start(
    split: Split, assessment: Assessment, settings: TrainingSettings, stages: Stages
) -> ColdStart:
    """Measure cold start: new people by the number of known events, and new items by their text."""
    rows = np.flatnonzero(split.is_new[split.test.user_indices])
    with stages.stage("cold_people", "New people, event by event"):
        own, curves = assessment.candidates, (assessment.shipped, *CURVES)
        candidates = Candidates([own.target_items[row] for row in rows], [own.negatives[row] for row in rows])
        scores = {name: assessment.scores[name] for name in curves if name in assessment.scores}
        curve = people_curve(scores, split.test.take(rows), candidates, seed=settings.seed)
    with stages.stage("cold_items", "New items, by their text alone"):
        items = cold_items(
            split, lambda rest: teach_without_ensemble(rest, settings), Content(), seed=settings.seed
        )
    return msgspec.structs.replace(curve, items=items)


def teach_without_ensemble(split: Split, settings: TrainingSettings) -> tuple[Student, TextEncoder]:
    """Teach a student only by what people took next, on a split in which some items do not appear at all.

    At each step `TEXT_ALONE_SHARE` of the items are known by text alone, so that the student learns from texts.
    """
    texts = split.dataset.catalogue.texts
    encoder = fit_text_encoder(
        texts, settings.n_text_components, n_features=settings.n_text_terms, seed=settings.seed
    )
    rng = np.random.default_rng(settings.seed)
    n_copies, most = settings.labels.n_copies, settings.labels.max_examples
    histories, next_items = cut_examples(
        split.past_and_validation.histories, n_copies, most, rng, target=split.dataset.target
    )
    nothing = np.zeros((len(histories), 1))
    student: StudentModel = distil(
        SoftLabels(
            histories,
            next_items,
            nothing.astype(np.int32),
            np.full_like(nothing, -np.inf, dtype=np.float16),
        ),
        encoder.encode(texts),
        Neighbours(np.zeros((len(texts), 1), np.int32), np.zeros((len(texts), 1), np.float32)),
        replace(settings.tower, id_dropout=TEXT_ALONE_SHARE, n_neighbours=1),
        losses(settings.distill)["no_distillation"],
        seed=settings.seed,
        progress=lambda *_: None,
    )
    return Student(export_student(student, histories[:8])["fp32"]), encoder


def study_explanations(
    split: Split, learned: Learned, settings: TrainingSettings, stages: Stages
) -> Explanations:
    """Measure whether the items named by explanations matter, and how accurate the members' shares are."""
    with stages.stage("explanations", "Removing what explanations name"):
        student = Student(learned.compressed.versions[SHIPPED])
        removals = student_removal_test(
            student, split.test.histories, recommendable=split.test.recommendable, seed=settings.seed
        )
    fidelity = learned.shares.fidelity
    return msgspec.structs.replace(
        removals,
        member_shares_fidelity=fidelity.correlations,
        member_shares_r2=fidelity.r2,
        member_shares_top_agreement=fidelity.top_agreement,
        member_shares_commonest_top=fidelity.commonest_top,
        member_shares_mean_error=fidelity.share_error,
    )


def candidates_of(assessment: Assessment, split: Split, n_kept: int, seed: int) -> Candidates:
    """Return the candidates that belong to `Questions.some` of the test."""
    if len(split.test) <= n_kept:
        return assessment.candidates
    rows = np.sort(np.random.default_rng(seed).permutation(len(split.test))[:n_kept])
    own = assessment.candidates
    return Candidates([own.target_items[row] for row in rows], [own.negatives[row] for row in rows])
