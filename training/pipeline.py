"""A training run, from a shop's files to a bundle. Read `train` first: it is the whole way on one screen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from models.bundle import write_bundle
from models.student import Student, StudentFiles
from training.bundling import bundle_contents
from training.data.dataset import Dataset, Interactions, index_shop
from training.data.shop import Shop, require_trainable
from training.data.split import Split, split_by_time
from training.ensemble.ensemble import Ensemble, fit_ensemble
from training.evaluation.comparison import claimed_intervals, metrics_table, thresholds_from
from training.evaluation.protocols import (
    PROTOCOL,
    Outcome,
    ScoreFunction,
    draw_candidates,
    measure,
    popular_scores,
    random_scores,
)
from training.members.member import Floats, Member
from training.progress import Stages
from training.runs import Run
from training.settings import TrainingSettings, dump_settings
from training.student.compression import PrecisionChoice, choose_precision, student_scores
from training.student.distill import distil
from training.student.export import export_student
from training.student.files import save_student
from training.student.soft_labels import label_examples
from training.student.text_vectors import text_vectors


@dataclass(frozen=True)
class Trained:
    """What a run made: its folder and the bundle's."""

    run: Run
    bundle: Path


def train(shop: Shop, settings: TrainingSettings, *, store: Path, runs: Path, console: Console) -> Trained:
    """Fit, combine, distil, compress, measure and write a bundle. Raises a TrainingError that says what is wrong."""
    stages = Stages(console)
    run = Run.create(runs)
    dataset = prepare(shop, stages)
    split = split_by_time(
        dataset, validation_share=settings.split.validation_share, test_share=settings.split.test_share
    )
    ensemble, thresholds = fit_on_time(split, settings, stages)
    texts = text_vectors(
        dataset.catalogue.texts,
        settings.n_text_components,
        n_features=settings.content.n_features,
        seed=settings.seed,
    )
    exports = teach(ensemble, split, texts, settings, run, stages)
    choice = compress(exports, split, settings, stages)
    evaluation = measure_all(ensemble, exports, split, thresholds, settings, stages)
    with stages.stage("bundle", "Writing the bundle"):
        metrics = {PROTOCOL: evaluation["protocols"][PROTOCOL]["models"]}
        contents = bundle_contents(dataset, exports[choice.precision], choice, metrics, texts, settings)
        bundle = write_bundle(store, contents)
    evaluation |= portrait(shop, dataset, split, settings, choice, ensemble, stages) | {"bundle": bundle.name}
    save(run, ensemble, exports, evaluation, split)
    return Trained(run, bundle)


def prepare(shop: Shop, stages: Stages) -> Dataset:
    """Check that there is enough to train on, and turn ids into rows."""
    require_trainable(shop)
    with stages.stage("index", "Indexing events"):
        return index_shop(shop)


def fit_on_time(
    split: Split, settings: TrainingSettings, stages: Stages
) -> tuple[Ensemble, dict[str, float]]:
    """Fit members on the past, the strategy and thresholds on validation, then members again up to the test slice."""
    past = split.past()
    members = fit_members(settings, past, stages, "past")
    validation = split.validation()
    with stages.stage("stack", "Stacking on the validation slice"):
        ensemble = fit_ensemble(
            members,
            past,
            validation,
            settings.model_copy(deep=True).stacking,
            n_negatives=settings.split.n_pair_negatives,
            seed=settings.seed,
        )
        candidates = draw_candidates(validation, past.n_items, seed=settings.seed)
        scores = {**baselines(past, settings), **members_and_ensemble(ensemble)}
        thresholds = thresholds_from(
            {name: measure(each, validation, candidates) for name, each in scores.items()}
        )
    longer = split.past_and_validation()
    return ensemble.refitted_on(
        fit_members(settings, longer, stages, "past and validation"), longer
    ), thresholds


def fit_members(
    settings: TrainingSettings, interactions: Interactions, stages: Stages, period: str
) -> list[Member]:
    """Fit every member from scratch."""
    fitted = []
    for member in settings.fresh_members():
        with stages.stage(member.name, f"{member.name} on the {period}") as progress:
            fitted.append(member.fit(interactions, seed=settings.seed, progress=progress))
    return fitted


def teach(
    ensemble: Ensemble, split: Split, texts: Floats, settings: TrainingSettings, run: Run, stages: Stages
) -> dict[str, StudentFiles]:
    """Label histories with the ensemble, distil the student from them, export it in both precisions."""
    histories = split.past_and_validation().histories
    with stages.stage("labels", "Soft labels from the ensemble") as progress:
        labels = label_examples(
            ensemble,
            histories,
            settings.labels,
            run.folder / "soft_labels",
            seed=settings.seed,
            progress=progress,
        )
    with stages.stage("distil", f"Distilling on {len(labels):,} histories") as progress:
        model = distil(
            ensemble, labels, texts, settings.tower, settings.distill, seed=settings.seed, progress=progress
        )
    with stages.stage("export", "Exporting to ONNX, fp32 and int8"):
        return export_student(model, labels.histories[:: max(1, len(labels) // 64)])


def compress(
    exports: dict[str, StudentFiles], split: Split, settings: TrainingSettings, stages: Stages
) -> PrecisionChoice:
    """Choose the precision on the validation questions; the test slice stays untouched."""
    with stages.stage("precision", "Choosing fp32 or int8"):
        validation = split.validation()
        candidates = draw_candidates(validation, len(split.dataset.items), seed=settings.seed)
        choice = choose_precision(exports, validation, candidates, settings.compression, seed=settings.seed)
    stages.console.print(f"  {choice.reason}", highlight=False)
    return choice


def measure_all(
    ensemble: Ensemble,
    exports: dict[str, StudentFiles],
    split: Split,
    thresholds: dict[str, float],
    settings: TrainingSettings,
    stages: Stages,
) -> dict[str, Any]:
    """Put the same test questions to every model, once."""
    questions = split.test()
    candidates = draw_candidates(questions, len(split.dataset.items), seed=settings.seed + 1)
    scores = {
        **baselines(split.past_and_validation(), settings),
        **members_and_ensemble(ensemble),
        "student": student_scores(Student(exports["fp32"])),
        "student_int8": student_scores(Student(exports["int8"])),
    }
    with stages.stage("measure", f"Measuring {len(scores)} models on the test slice") as progress:
        outcomes: dict[str, Outcome] = {}
        for position, (name, score) in enumerate(scores.items()):
            progress(position / len(scores), name)
            outcomes[name] = measure(score, questions, candidates)
        members = [member.name for member in ensemble.members]
        intervals = claimed_intervals(outcomes, thresholds, members, seed=settings.seed)
    table = metrics_table(outcomes, thresholds)
    return {"protocols": {PROTOCOL: {"models": table}}, "intervals": {PROTOCOL: intervals}}


def baselines(interactions: Interactions, settings: TrainingSettings) -> dict[str, ScoreFunction]:
    """The models that every other is to beat."""
    return {
        "random": random_scores(interactions.n_items, seed=settings.seed),
        "popular": popular_scores(interactions.item_counts().astype(np.float32)),
    }


def members_and_ensemble(ensemble: Ensemble) -> dict[str, ScoreFunction]:
    """Each member alone, and all of them together."""
    return {**{member.name: member.score for member in ensemble.members}, "ensemble": ensemble.score}


def portrait(
    shop: Shop,
    dataset: Dataset,
    split: Split,
    settings: TrainingSettings,
    choice: PrecisionChoice,
    ensemble: Ensemble,
    stages: Stages,
) -> dict[str, Any]:
    """What else the report tells: the data, the cuts, the choice, the stack's weights, where the time went."""
    test, validation = split.test(), split.validation()
    return {
        "data": {
            "source": dataset.name,
            "layout": shop.layout,
            "dropped": shop.dropped.lines(),
            "n_people": len(dataset.people),
            "n_items": len(dataset.items),
            "n_events": len(dataset.histories.item_indices),
            "history_lengths": np.diff(dataset.histories.offsets).tolist(),
            "first_event": int(dataset.histories.times.min()),
            "last_event": int(dataset.histories.times.max()),
        },
        "split": {
            "validation_start": split.validation_start,
            "test_start": split.test_start,
            "n_validation_people": len(validation),
            "n_test_people": len(test),
            "n_test_truth": sum(len(truth) for truth in test.truth),
        },
        "settings": dump_settings(settings),
        "compression": {"precision": choice.precision, "reason": choice.reason, "evidence": choice.evidence},
        "feature_weights": ensemble.feature_weights(),
        "stages": {"seconds": stages.seconds, "peak_memory_bytes": stages.peak_memory_bytes},
    }


def save(
    run: Run,
    ensemble: Ensemble,
    exports: dict[str, StudentFiles],
    evaluation: dict[str, Any],
    split: Split,
) -> None:
    """Leave in the run's folder what its report needs."""
    ensemble.save(run.ensemble)
    for precision, files in exports.items():
        save_student(files, run.student(precision))
    run.finish(evaluation, split.test().histories[:512])
