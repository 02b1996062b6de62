"""Run the bench from start to end: every size with its peers, then the sweeps; the report lists what failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from traceback import format_exc
from typing import Any

from loadtest.bench.bundles import Shop, generated_shop, shop_in
from loadtest.bench.environments import versions_in
from loadtest.bench.machine import describe_code, describe_machine
from loadtest.bench.peers import PeerFigures, measure_peers, prepare_peers
from loadtest.bench.plan import Plan
from loadtest.bench.questions import SCENARIOS
from loadtest.bench.scale import measure_people_sweep, measure_start_and_memory
from loadtest.bench.size import SizeFigures, blended_cost, measure_size, open_bench
from loadtest.bench.verdicts import judge
from loadtest.errors import LoadTestError
from loadtest.processes import running_on

SCHEMA_VERSION = 1

METHOD = (
    "Server on one core, generator and Redis on the other. CPU is user and system time of all the server's processes "
    "(Redis not among them). Closed loop: 64 connections that ask on at once; answers a CPU second, ratios are "
    "medians over rounds that take turns with what they are compared with. Open loop: Poisson arrivals at half of "
    "the closed loop's rate, latency from the scheduled moment. People by a power law (exponent 1) from 10,000, "
    "limit 20, metrics on, Redis on."
)


@dataclass
class Figures:
    """What has been measured so far, under the report's names."""

    kernels: dict[str, str] = field(default_factory=dict)
    recommend_vs_bare: dict[str, float] = field(default_factory=dict)
    recommend_vs_unlogged: dict[str, float] = field(default_factory=dict)
    recommend_vs_unlogged_interval: dict[str, list[float]] = field(default_factory=dict)
    open_loop: dict[str, Any] = field(default_factory=dict)
    peers: PeerFigures = field(default_factory=dict)
    scenarios: dict[str, Any] = field(default_factory=dict)
    blended_cost: dict[str, float] = field(default_factory=dict)
    stages: dict[str, Any] = field(default_factory=dict)
    recall_at_100: dict[str, float] = field(default_factory=dict)
    scale: list[dict[str, Any]] = field(default_factory=list)
    people_sweep: list[dict[str, Any]] = field(default_factory=list)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)


class Run:
    """One run of the bench. say: a function that is told what happens, one line at a time."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._say = say
        self._figures = Figures()

    def measure(self) -> dict[str, Any]:
        """Measure everything, and return the report."""
        machine = describe_machine()
        self._plan.logs.mkdir(parents=True, exist_ok=True)
        with running_on(self._plan.cores[1]):
            pythons, self._figures.peers = prepare_peers(self._plan.peers, self._say)
            for n_items in self._plan.sizes if self._plan.store is None else (0,):
                with self._part(f"size {n_items:,}"):
                    self._measure_size(self._shop(n_items), pythons)
            if self._plan.store is None and self._plan.people_sweep:
                self._sweep()
        return self._report(machine, pythons)

    def _shop(self, n_items: int) -> Shop:
        if self._plan.store is not None:
            return shop_in(self._plan.store)
        return generated_shop(n_items, self._plan.n_people, self._say)

    def _measure_size(self, shop: Shop, pythons: dict[str, Path]) -> None:
        recall = shop.stated_recall()
        if recall is not None:
            self._figures.recall_at_100[shop.size] = recall
        with ExitStack() as stack:
            bench = open_bench(stack, shop, self._plan)
            try:
                self._keep(measure_size(bench, self._say))
                measure_peers(bench, pythons, self._figures.peers, self._say)
            finally:
                self._figures.rounds += [asdict(each) for each in bench.rounds]
        self._figures.scale.append(measure_start_and_memory(shop, self._plan, self._say))

    def _keep(self, figures: SizeFigures) -> None:
        size, kept = figures.size, self._figures
        kept.kernels[size] = figures.kernel
        kept.recommend_vs_bare[size] = round(figures.vs_bare, 4)
        kept.recommend_vs_unlogged[size] = round(figures.vs_unlogged, 4)
        kept.recommend_vs_unlogged_interval[size] = [round(end, 4) for end in figures.vs_unlogged_interval]
        kept.open_loop[size] = figures.open_loop
        kept.scenarios[size] = figures.scenarios
        kept.blended_cost[size] = round(blended_cost(figures.scenarios), 3)
        kept.stages[size] = figures.stages

    def _sweep(self) -> None:
        """Sweep numbers of people beside the largest catalogue; the number used for the sizes is already measured."""
        with self._part("people sweep"):
            n_items = max(self._plan.sizes)
            shops = [generated_shop(n_items, n_people, self._say) for n_people in self._plan.people_sweep]
            for shop in shops:
                if shop.n_people != self._plan.n_people:
                    self._figures.scale.append(measure_start_and_memory(shop, self._plan, self._say))
            self._figures.people_sweep = measure_people_sweep(shops, self._plan, self._say)

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        """Record a part that fails, so that the others are measured all the same."""
        try:
            yield
        except Exception as error:  # no error may cost the figures of the other parts
            is_foreseen = isinstance(error, LoadTestError | OSError)
            message = str(error) if is_foreseen and str(error) else format_exc()
            self._say(f"{name} failed: {message}")
            self._figures.errors.append({"part": name, "error": message})

    def _report(self, machine: dict[str, Any], pythons: dict[str, Path]) -> dict[str, Any]:
        report: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "machine": machine,
            "code": describe_code(),
            "method": METHOD,
            "plan": {name: _plain(value) for name, value in vars(self._plan).items()},
            "assumed_day": {each.name: {"words": each.words, "share": each.share} for each in SCENARIOS},
            "peer_versions": {name: versions_in(python) for name, python in pythons.items()},
            **vars(self._figures),
        }
        return report | {"verdicts": [asdict(each) for each in judge(report)]}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
