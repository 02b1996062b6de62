"""A generated shop with a bundle trained on its past, and many futures of it: quiet ones, and ones with a change.

People of a future are new ones of the same kind, in the same shop. The service knows their histories from before the
first live day, and learns every event after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from rich.console import Console

from models.bundles.bundle import read_bundle
from models.ensemble.ensemble import FittedEnsemble
from models.items import Items
from models.known_items import OwnItems
from models.monitoring.reference import CatalogueBins, Reference
from models.packed_histories import Histories
from models.student import Student
from training.bundling.reference import Traffic
from training.data.read import read_shop
from training.data.shop import Shop
from training.generator.behaviour import SimulatedEvents, simulate_people
from training.generator.catalogue import InventedCatalogue, build_catalogue, item_ids
from training.generator.generator import generate_shop
from training.generator.settings import GeneratorSettings
from training.pipeline.train import train
from training.recipe.settings import TrainingSettings, load_settings

SECONDS_PER_DAY = 86_400
MEMBERS = ("content", "als", "knn", "ease", "visits")
"""Members that are fitted within seconds."""

QUIET, TASTE, SEASON, TURNOVER = "quiet", "taste shift", "new season", "catalogue turnover"
SCENARIOS = (QUIET, TASTE, SEASON, TURNOVER)


@dataclass(frozen=True)
class WorldSettings:
    """The settings of the world.

    taste_shift, new_season, turnover: the size of each change, as in the generator. first_live_day: counted from the
    shop's first day.
    """

    n_items: int = 800
    n_people_trained: int = 8_000
    n_people_live: int = 8_000
    mean_events_per_person: float = 20.0
    stay_days: int = 60
    first_live_day: int = 150
    n_live_days: int = 30
    change_after_days: int = 10
    taste_shift: float = 1.0
    new_season: float = 2.0
    turnover: float = 0.2
    new_item_share: float = 0.1
    seed: int = 0

    @property
    def change_day(self) -> int:
        """Day of the change, in futures that have one."""
        return self.first_live_day + self.change_after_days

    def generator(self) -> GeneratorSettings:
        """Return the shop's settings, with its change after the last live day, so that new items are unknown."""
        n_days = self.first_live_day + self.n_live_days + self.stay_days
        return GeneratorSettings(
            n_people=self.n_people_trained,
            n_items=self.n_items,
            mean_events_per_person=self.mean_events_per_person,
            n_days=n_days,
            stay_days=self.stay_days,
            change_day=n_days,
            new_season=self.new_season,
            turnover=self.turnover,
            new_item_share=self.new_item_share,
            seed=self.seed,
        )


def quick_training(seed: int) -> TrainingSettings:
    """Return settings for a training of minutes, with MEMBERS."""
    return load_settings(None, quick=True, seed=seed).model_copy(update={"members": MEMBERS})


@dataclass(frozen=True)
class Trained:
    """The parts of a bundle that the monitor uses."""

    items: Items
    student: Student
    ensemble: FittedEnsemble
    reference: Reference
    catalogue: CatalogueBins
    own_items: OwnItems


class World:
    """The shop and its futures. folder: for the shop, runs and bundles. training: settings of its bundles."""

    def __init__(
        self, settings: WorldSettings, training: TrainingSettings, folder: Path, console: Console
    ) -> None:
        self.settings = settings
        self._training = training
        self._folder = folder
        self._console = console
        self._shop = settings.generator()
        self.catalogues = {scenario: self._catalogue(scenario) for scenario in SCENARIOS}

    def train(self, until_day: int) -> Trained:
        """Train a bundle on everything before a day."""
        made = train(
            self.past(until_day),
            self._training,
            store=self._folder / "store",
            runs=self._folder / "runs",
            console=self._console,
        )
        bundle = read_bundle(made.bundle)
        reference = Reference.from_json(bundle.reference)
        return Trained(
            bundle.items,
            bundle.load_student(),
            bundle.load_variants().ensemble,
            reference,
            CatalogueBins(bundle.items, reference.categories),
            bundle.own_items,
        )

    def past(self, until_day: int) -> Shop:
        """Return the shop as it was on that day, without items that had not arrived."""
        folder = self._folder / "shop"
        if not folder.exists():
            generate_shop(self._shop, folder)
        shop = read_shop(folder)
        until = self._shop.start_time + until_day * SECONDS_PER_DAY
        there = pl.read_parquet(folder / "items.parquet").filter(pl.col("arrival_time") < until)
        return replace(
            shop,
            events=shop.events.filter(pl.col("time") < until),
            items=shop.items.filter(pl.col("item_id").is_in(there["item_id"].implode())),
        )

    def live(self, trained: Trained, scenario: str, number: int) -> Traffic:
        """Return the live days of a future, with people's whole past; items unknown to the bundle are -1."""
        settings = self._scenario_settings(scenario)
        rng = np.random.default_rng([self.settings.seed, 1, number])
        catalogue = self.catalogues[scenario]
        people = simulate_people(catalogue, settings, self.settings.n_people_live, rng)
        events = people.without_returns()
        first = self.settings.first_live_day * SECONDS_PER_DAY
        last = first + self.settings.n_live_days * SECONDS_PER_DAY
        rows = _item_indices(catalogue, trained.items)[events.items]
        return _traffic(events, rows, first, last, self._shop.start_time, self.settings.n_people_live)

    @property
    def change_time(self) -> int:
        """Moment of the change, in Unix seconds."""
        return self._shop.start_time + self.settings.change_day * SECONDS_PER_DAY

    def _scenario_settings(self, scenario: str) -> GeneratorSettings:
        if scenario == QUIET:
            return self._shop
        taste_shift = self.settings.taste_shift if scenario == TASTE else 0.0
        return replace(self._shop, change_day=self.settings.change_day, taste_shift=taste_shift)

    def _catalogue(self, scenario: str) -> InventedCatalogue:
        """Return the same items for every scenario, without the changes of other scenarios."""
        turns_over = scenario == TURNOVER
        settings = self._scenario_settings(scenario) if turns_over else self._shop
        catalogue = build_catalogue(settings, np.random.default_rng([settings.seed, 0]))
        if scenario in (SEASON, QUIET):
            return catalogue
        return replace(catalogue, season_log_weights=np.zeros_like(catalogue.season_log_weights))


def _item_indices(catalogue: InventedCatalogue, items: Items) -> npt.NDArray[np.int64]:
    """Return the bundle's item index of each row of the catalogue, (n_items,), -1 for none."""
    ids = pl.DataFrame({"number": catalogue.numbers}).select(item_ids(pl.col("number"))).to_series()
    find = items.vocabulary.find
    return np.array([-1 if (row := find(item_id)) is None else row for item_id in ids], np.int64)


def _traffic(
    events: SimulatedEvents,
    rows: npt.NDArray[np.int64],
    first: int,
    last: int,
    start_time: int,
    n_people: int,
) -> Traffic:
    """Build the live traffic. first, last: seconds after the shop's first day."""
    order = np.lexsort((np.arange(len(rows)), events.times, events.people))
    people, times, kinds, rows = events.people[order], events.times[order], events.kinds[order], rows[order]
    is_known = rows >= 0
    offsets = np.concatenate([[0], np.cumsum(np.bincount(people[is_known], minlength=n_people))])
    places = np.cumsum(is_known) - is_known - offsets[people]
    histories = Histories(
        offsets, rows[is_known].astype(np.int32), times[is_known] + start_time, kinds[is_known]
    )
    live = np.flatnonzero((times >= first) & (times < last))
    live = live[np.argsort(times[live], kind="stable")]
    return Traffic(
        histories,
        people[live],
        rows[live].astype(np.int32),
        times[live] + start_time,
        kinds[live],
        places[live],
    )
