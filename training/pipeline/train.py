"""A training run takes a shop's files to a bundle; an evaluation takes a split to figures. Read `train` first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from models.bundles.bundle import write_bundle
from models.history import EventKind
from training.base.progress import STAGES_FILE, Stages
from training.base.runs import Run
from training.bundling.contents import bundle_contents
from training.data.comes_back import asking_as_lists_answer, rule_of
from training.data.dataset import Dataset, index_shop
from training.data.last_basket import last_basket
from training.data.leave_last_out import leave_last_out
from training.data.read import ShopFiles, read_with_notes
from training.data.shop import Shop, require_trainable
from training.data.split import Split, require_questions, split_by_time
from training.ensemble.repurchase import bought_again
from training.evaluation.assessment import ask_everybody, protocol_part
from training.evaluation.examination import (
    study_attributes,
    study_cold_start,
    study_distillation,
    study_explanations,
    study_members,
    study_well_known,
    without_distillation,
)
from training.learning.evidence import with_tuned_evidence
from training.learning.fit import (
    Learned,
    Taught,
    fit_ensemble,
    teach_student,
    with_members_beside,
    with_own_thresholds,
)
from training.quality.figures import ColumnUse
from training.quality.schema import Compression, DataPortrait, Quality, Recipe, SearchRecord, StageCosts
from training.recipe.settings import ALL_MEMBERS, TrainingSettings, dump_settings
from training.student.files import save_student
from training.tuning.search import tune_members

WITHOUT = "student_without_distillation"


@dataclass(frozen=True)
class Trained:
    """What a training run leaves: the run's folder, and the path of the bundle."""

    run: Run
    bundle: Path


def train(
    source: Shop | ShopFiles,
    settings: TrainingSettings,
    *,
    store: Path,
    runs: Path,
    console: Console,
    command: str | None = None,
    stages: Stages | None = None,
) -> Trained:
    """Fit, combine, distil, compress, measure and write a bundle. Raises a TrainingError that says what is wrong.

    Once files are read, only the arrays stay in memory. The run's folder tells how long each stage took.
    command: the command line that repeats the run, for its report; None where the run was not started by a command.
    stages: those of a run that has begun, which read the shop.
    """
    stages = stages or Stages(console)
    dataset, portrait = read_and_index(source, settings, stages)
    run = Run.create(runs)  # only now, so that data that cannot be used leave no folder behind
    stages.keep_in(run.folder / STAGES_FILE)
    with stages.stage("split", "Holding out validation and test"):
        split = split_shop(dataset, "next_basket", settings)
    split, evidence = with_tuned_evidence(split, settings, stages)
    taught = fit_ensemble(split, settings, stages)
    learned = teach_student(taught, split, settings, run.folder, stages)
    assessment = ask_everybody(split, taught, learned, settings, stages, {})
    evaluation = protocol_part(split, taught, assessment, settings)
    with stages.stage("bundle", "Writing the bundle"):
        models = {str(split.protocol): evaluation.protocols[split.protocol].models}
        rule = split.test.known_items
        assert rule != "leave_out_touched"  # a protocol for papers asks so, and ships nothing
        contents = bundle_contents(
            dataset, learned, taught.ensemble, taught.choice, models, settings, split.is_new, rule
        )
        bundle = write_bundle(store, contents)
    portray(evaluation, portrait, settings)
    evaluation.recipe = recipe(taught)
    evaluation.evidence = {split.protocol: evidence}
    evaluation.compression = compression(learned, settings)
    evaluation.stages = timing(stages)
    evaluation.index = contents.student_entry.index
    evaluation.command = command
    evaluation.bundle = bundle.name
    save(run, taught, learned, split)
    run.finish(evaluation)
    return Trained(run, bundle)


def evaluate(
    split: Split,
    settings: TrainingSettings,
    run: Run,
    stages: Stages,
    *,
    is_tuned: bool,
    studies: frozenset[str],
) -> Quality:
    """Evaluate one split, and return every figure that its protocol can give.

    The ensemble and its student are those that `train` would make with the same settings, and are measured alike;
    all other members are measured beside them. is_tuned: search members' settings first, and record that the
    figures are not those of what ships. studies: any of "explanations", "distillation" and "cold_start".
    """
    searches: dict[str, SearchRecord] = {}
    if is_tuned:
        settings, searches = tune(split, settings, stages)
    split, evidence = with_tuned_evidence(split, settings, stages)
    taught = with_members_beside(fit_ensemble(split, settings, stages), split, settings, stages)
    learned = teach_student(taught, split, settings, run.folder, stages)
    others = {WITHOUT: without_distillation(taught, learned, split, settings, stages).catalogue_scores}
    taught = with_own_thresholds(taught, others, split, settings)
    assessment = ask_everybody(split, taught, learned, settings, stages, others, is_tuned=is_tuned)
    evaluation = protocol_part(split, taught, assessment, settings)
    evaluation.recipe = recipe(taught, is_tuned)
    evaluation.evidence = {split.protocol: evidence}
    evaluation.tuning = {split.protocol: searches} if is_tuned else {}
    importance, worth = study_members(split, taught, assessment, settings, stages)
    evaluation.importance, evaluation.leave_one_out = {split.protocol: importance}, {split.protocol: worth}
    evaluation.bought_again = bought_again(split.dataset)
    evaluation.well_known = {split.protocol: study_well_known(split, taught, assessment, stages)}
    if attributes := study_attributes(split, assessment, settings, stages):
        evaluation.attributes = {split.protocol: attributes}
    if "distillation" in studies:
        variants = study_distillation(split, taught, learned, assessment, settings, stages)
        evaluation.ablations = {"distillation": variants}
    if "cold_start" in studies:
        evaluation.cold_start = study_cold_start(split, assessment, settings, stages)
    if "explanations" in studies:
        evaluation.explanations = study_explanations(split, learned, settings, stages)
    save(run, taught, learned, split)
    evaluation.compression = compression(learned, settings)
    evaluation.stages = timing(stages)
    return evaluation


def read_and_index(
    source: Shop | ShopFiles, settings: TrainingSettings, stages: Stages
) -> tuple[Dataset, DataPortrait]:
    """Read the files, if files are given, `prepare` the dataset, and describe it for the report."""
    if isinstance(source, ShopFiles):
        source = read_with_notes(source, stages)
    dataset = prepare(source, settings, stages)
    return dataset, describe_data(dataset, source.layout, source.dropped.lines(), source.columns)


def prepare(shop: Shop, settings: TrainingSettings, stages: Stages) -> Dataset:
    """Check that there is enough to train on, and turn ids into rows."""
    require_trainable(shop, unlisted_too=settings.recommend_unlisted)
    with stages.stage("index", "Indexing events"):
        target = None if settings.target == "auto" else EventKind[settings.target.upper()]
        dataset = index_shop(shop, unlisted_too=settings.recommend_unlisted, target=target)
    stages.note(f"what is predicted: the next {dataset.target.name.lower()}; {dataset.target_reason}")
    n_items, n_recommendable = len(dataset.catalogue), int(dataset.catalogue.recommendable.sum())
    if n_recommendable < n_items:
        n_unavailable, n_unlisted = (int((~shop.items[name]).sum()) for name in ("available", "is_listed"))
        stages.note(
            f"{n_recommendable:,} of {n_items:,} items may be recommended; {n_unavailable:,} are not available, "
            f"{n_unlisted:,} have no row in the item table; all are learned from"
        )
    return dataset


def split_shop(dataset: Dataset, protocol: str, settings: TrainingSettings) -> Split:
    """Hold out what the protocol asks about: "next_basket", "last_basket" or "leave_last_out".

    Where nothing comes back, baskets are asked about without what people have. Raises TooLittleData.
    """
    held_out = settings.split
    if protocol == "leave_last_out":
        return leave_last_out(
            dataset,
            new_people_share=held_out.new_people_share,
            max_people=held_out.max_people,
            seed=settings.seed,
        )
    if protocol == "last_basket":
        split = last_basket(
            dataset,
            new_people_share=held_out.new_people_share,
            max_people=held_out.max_people,
            seed=settings.seed,
        )
    else:
        split = split_by_time(
            dataset,
            validation_share=held_out.validation_share,
            test_share=held_out.test_share,
            new_people_share=held_out.new_people_share,
            max_people=held_out.max_people,
            seed=settings.seed,
        )
    rule = rule_of(split) if settings.known_items == "auto" else settings.known_items
    split = asking_as_lists_answer(split, rule)
    require_questions(split, remedy="bring a longer period, or set known_items to rank")
    return split


def tune(
    split: Split, settings: TrainingSettings, stages: Stages
) -> tuple[TrainingSettings, dict[str, SearchRecord]]:
    """Search the settings of every member, also of those beside the ensemble, on validation and within the budget."""
    every = settings.model_copy(update={"members": ALL_MEMBERS})
    with stages.stage("tuning", "Tuning each member") as progress:
        tuned, searches = tune_members(
            every, split.past, split.validation, settings.tuning, seed=settings.seed, progress=progress
        )
    for name, search in searches.items():
        stages.note(
            f"{name}: {search.given.score:.4f} -> {search.best.score:.4f} in {len(search.trials)} trials"
        )
    tuned = tuned.model_copy(update={"members": settings.members})
    return tuned, {name: each.record() for name, each in searches.items()}


def describe_data(
    dataset: Dataset, layout: str, dropped: list[str], columns: tuple[ColumnUse, ...]
) -> DataPortrait:
    """Describe the dataset for the report."""
    histories = dataset.histories
    return DataPortrait(
        source=dataset.name,
        layout=layout,
        dropped=dropped,
        columns=columns,
        n_people=len(dataset.people),
        n_items=len(dataset.items),
        n_recommendable_items=int(dataset.catalogue.recommendable.sum()),
        n_items_with_text=sum(map(bool, dataset.catalogue.texts)),
        n_events=len(histories.item_indices),
        history_lengths=np.diff(histories.offsets).tolist(),
        item_counts=np.bincount(histories.item_indices, minlength=len(dataset.items)).tolist(),
        first_event=int(histories.times.min()),
        last_event=int(histories.times.max()),
        target=dataset.target.name.lower(),
        target_reason=dataset.target_reason,
    )


def portray(evaluation: Quality, portrait: DataPortrait, settings: TrainingSettings) -> None:
    """Add to an evaluation which data it is of, and which settings and seed it was made with."""
    evaluation.data, evaluation.settings, evaluation.seed = portrait, dump_settings(settings), settings.seed


def recipe(taught: Taught, is_tuned: bool = False) -> Recipe:
    """Record whether members were tuned first, so that `train` ships other models, and which members stand where."""
    members, beside = ([each.name for each in group] for group in (taught.ensemble.members, taught.beside))
    return Recipe(is_tuned, members, beside)


def compression(learned: Learned, settings: TrainingSettings) -> Compression:
    """Record what ships, why, and every version that was measured to decide it."""
    compressed = learned.compressed
    return Compression(
        compressed.shipped,
        compressed.precision,
        compressed.reason,
        settings.certification.max_quality_loss,
        candidates=compressed.evidence,
        pruning_curve=[row for name, row in compressed.evidence.items() if name.endswith("fp32")],
    )


def timing(stages: Stages) -> StageCosts:
    """Record the time and the peak memory of each stage."""
    return StageCosts(stages.seconds, stages.cpu_seconds, stages.peak_memory_bytes)


def save(run: Run, taught: Taught, learned: Learned, split: Split) -> None:
    """Keep in the run's folder the ensemble, students and histories on which serving is measured."""
    taught.ensemble.save(run.ensemble)
    for name, files in learned.compressed.versions.items():
        save_student(files, run.student(name))
    run.keep_histories(split.test.histories[:512])
