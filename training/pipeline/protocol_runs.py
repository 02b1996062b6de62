"""Evaluate under several protocols, each in a process of its own, and put their figures together.

`stillroom evaluate` calls it with a shop's files or with published ones. Protocols run beside each other where there
are cores for it: two processes that want the same cores lose much.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from msgspec import structs
from rich.console import Console

from training.base.errors import SettingsInvalid
from training.base.progress import STAGES_FILE, Stages
from training.base.runs import Run
from training.data.baskets import basket_columns, basket_files, read_baskets
from training.data.columns import column_lines
from training.data.item_texts import item_text_columns
from training.data.published import n_lines_with_target, published_columns, read_published
from training.data.read import ShopFiles
from training.data.sequences import read_sequences, sequence_columns
from training.data.shop import Shop
from training.data.split import Split
from training.pipeline.train import describe_data, evaluate, portray, read_and_index, split_shop
from training.quality.figures import ColumnUse
from training.quality.schema import DataPortrait, Quality, StageCosts
from training.recipe.settings import TrainingSettings

OF_FIRST, OF_LAST = frozenset({"explanations"}), frozenset({"distillation", "cold_start"})
"""The studies that need only one protocol: the first protocol (the headline) tells what ships, the last asks the most
people."""


class PublishedFiles(NamedTuple):
    """The files of a dataset as published with a paper: train and test, perhaps candidates; sequences; or baskets.

    baskets: a folder, or the file of the history, beside which `future` is named.
    """

    train: Path | None
    test: Path | None
    candidates: Path | None
    sequences: Path | None
    items: Path | None
    baskets: Path | None = None
    future: Path | None = None

    @staticmethod
    def of(
        train: Path | None,
        test: Path | None,
        candidates: Path | None,
        sequences: Path | None,
        items: Path | None,
        baskets: Path | None = None,
        future: Path | None = None,
    ) -> PublishedFiles | None:
        """Check which files are named; None if none is. Raises SettingsInvalid where only half of them are."""
        if not any((train, test, candidates, sequences, baskets, future)):
            return None
        if baskets is not None or future is not None:
            if train or test or candidates or sequences:
                raise SettingsInvalid(
                    "--baskets is a protocol of its own; leave --train, --test, --candidates and --sequences out"
                )
            if baskets is None or (future is None) != baskets.is_dir():
                raise SettingsInvalid(
                    "published baskets need --baskets HISTORY.json and --future FUTURE.json, or --baskets FOLDER"
                )
            return PublishedFiles(None, None, None, None, items, baskets, future)
        if sequences is not None and (train or test or candidates):
            raise SettingsInvalid(
                "--sequences is a protocol of its own; leave --train, --test and --candidates out"
            )
        if sequences is None and (train is None or test is None):
            raise SettingsInvalid("published files need both --train and --test (--candidates is optional)")
        return PublishedFiles(train, test, candidates, sequences, items)

    @property
    def layout(self) -> str:
        """The layout of the files, in words."""
        kinds = {"sequences": self.sequences, "baskets": self.baskets}
        named = next((kind for kind, file in kinds.items() if file is not None), "train and test files")
        return f"{named} as published"

    def read(self, *, seed: int) -> tuple[Split, list[str]]:
        """Read the files into a split, and say what is odd in them.

        See `read_published`, `read_sequences` and `read_baskets`.
        """
        if self.baskets is not None:
            return read_baskets(*basket_files(self.baskets, self.future), self.items, seed=seed)
        if self.sequences is not None:
            return read_sequences(self.sequences, self.items, seed=seed), []
        assert self.train is not None
        assert self.test is not None
        split = read_published(
            train=self.train, test=self.test, candidates=self.candidates, items=self.items, seed=seed
        )
        if n_lines := n_lines_with_target(split.test):
            held = "test lines hold their own true item among the negatives; it counts once, as published"
            return split, [f"{n_lines:,} {held}"]
        return split, []

    def columns(self) -> tuple[ColumnUse, ...]:
        """Say what each column of the files is used for."""
        of_items = () if self.items is None else item_text_columns(self.items)
        if self.baskets is not None:
            return basket_columns(*basket_files(self.baskets, self.future)) + of_items
        if self.sequences is not None:
            return sequence_columns(self.sequences) + of_items
        assert self.train is not None
        assert self.test is not None
        return published_columns(self.train, self.test, self.candidates) + of_items


def evaluate_published(
    files: PublishedFiles, settings: TrainingSettings, runs: Path, *, is_tuned: bool, console: Console
) -> tuple[Quality, Run]:
    """Evaluate on published files, in this process. The run gets a folder once the files have been read."""
    stages = Stages(console)
    with stages.stage("read", "Reading published files"):
        (split, noted), columns = files.read(seed=settings.seed), files.columns()
    run = Run.create(runs)
    part = run.part("published")
    stages.keep_in(part.folder / STAGES_FILE)
    for line in (*column_lines(columns), *noted):
        stages.note(line)
    evaluation = evaluate(
        split, settings, part, stages, is_tuned=is_tuned, studies=frozenset({"distillation"})
    )
    part.write(evaluation)
    whole = joined([evaluation], ["published"])
    portray(whole, describe_data(split.dataset, files.layout, noted, columns), settings)
    return whole, run


def portrait_of(shop: Shop, settings: TrainingSettings, stages: Stages) -> DataPortrait:
    """Describe a shop before anything is written, which refuses one that cannot be used."""
    _, portrait = read_and_index(shop, settings, stages)
    return portrait


def evaluate_shop(
    files: ShopFiles,
    portrait: DataPortrait,
    protocols: Sequence[str],
    settings: TrainingSettings,
    run: Run,
    *,
    is_tuned: bool,
    console: Console,
) -> Quality:
    """Evaluate a shop under each protocol, and join the parts. portrait: see `portrait_of`."""
    studies = {name: (OF_FIRST if name == protocols[0] else frozenset()) for name in protocols}
    studies[protocols[-1]] |= OF_LAST
    arguments = [(files, name, settings, run, is_tuned, studies[name]) for name in protocols]
    if len(arguments) == 1:
        parts = [_evaluate_one(*arguments[0], console)]
    else:
        fresh = multiprocessing.get_context("spawn")
        # Each process has as many threads as `train` would have: sums in another order move figures by up to
        # .002, and what is called shipped must equal what `train` ships to the last digit.
        with ProcessPoolExecutor(
            min(len(arguments), n_at_once()), mp_context=fresh, max_tasks_per_child=1
        ) as pool:
            futures = [pool.submit(_evaluate_one, *each) for each in arguments]
            parts = [future.result() for future in futures]
    whole = joined(parts, protocols)
    portray(whole, portrait, settings)
    return whole


def n_at_once() -> int:
    """Count the protocols that can have cores of their own; each takes OMP_NUM_THREADS cores, or all if unset."""
    n_cores = os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, n_cores // (int(threads) if threads.isdecimal() and int(threads) else n_cores))


def joined(parts: Sequence[Quality], protocols: Sequence[str]) -> Quality:
    """Join the evaluations of several protocols into one.

    What is keyed by protocol is merged; of anything else, the first protocol that has it wins.
    """
    whole, stages = Quality(), StageCosts()
    for part, protocol in zip(parts, protocols, strict=True):
        if part.stages is not None:
            for costs, own in zip(structs.astuple(stages), structs.astuple(part.stages), strict=True):
                costs.update({f"{protocol}: {name}": cost for name, cost in own.items()})
        for name, value in structs.asdict(part).items():
            if isinstance(value, dict) and protocol in value:
                setattr(whole, name, getattr(whole, name) | value)
            elif value and not getattr(whole, name) and name != "stages":
                setattr(whole, name, value)
                whole.of_protocol[name] = protocol
    whole.stages = stages
    return whole


def _evaluate_one(
    files: ShopFiles,
    protocol: str,
    settings: TrainingSettings,
    run: Run,
    is_tuned: bool,
    studies: frozenset[str],
    console: Console | None = None,
) -> Quality:
    """Read, split and evaluate one protocol, in the process that is its own."""
    stages = Stages(console or Console(width=118), prefix=f"{protocol}: ")
    part = run.part(protocol)
    stages.keep_in(part.folder / STAGES_FILE)
    dataset, _ = read_and_index(files, settings, stages)
    split = split_shop(dataset, protocol, settings)
    evaluation = evaluate(split, settings, part, stages, is_tuned=is_tuned, studies=studies)
    part.write(evaluation)
    return evaluation
