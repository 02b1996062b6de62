"""Measure one size of catalogue: our service beside an echo, all kinds of requests, open loop, and stage times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from loadtest.bench.answers import STUDENT_MARK, ask_for_body
from loadtest.bench.bundles import Shop
from loadtest.bench.counted import Counted, CountedRedis, CountedService, Echo
from loadtest.bench.errors import BenchFailed
from loadtest.bench.instructions import read_kernel
from loadtest.bench.open_loop import OpenResult, latency_figures, poisson_schedule, run_open_loop
from loadtest.bench.plan import N_PAIRS_A_ROUND, Plan
from loadtest.bench.questions import COLD_HISTORY, LIMIT, PLAIN, SCENARIOS, Questions, Scenario
from loadtest.bench.rounds import (
    MAX_SIMPLER_SHARE,
    Round,
    RoundSpec,
    check_sound,
    median_interval,
    median_ratio,
    no_garbage_pauses,
    of,
    ratios,
    run_on_uvloop,
    run_round,
)
from loadtest.bench.stages import mean_microseconds, read_stages
from loadtest.servers import free_port

OURS, ECHO = "stillroom", "echo"
LOGGED, UNLOGGED = "stillroom started anew", "stillroom without its live log"
SATURATION_SHARE = 0.5
WARM_UP = -1
"""The round number of warm-up rounds, which are kept with the others but count in no figure."""


@dataclass
class SizeFigures:
    """Everything measured at one size.

    kernel: the instructions that ran. vs_bare: our answers per CPU second over the echo's. vs_unlogged: over those of
    a service without a live log of its answers, with its interval.
    """

    size: str
    kernel: str = ""
    vs_bare: float = 0.0
    vs_unlogged: float = 0.0
    vs_unlogged_interval: tuple[float, float] = (0.0, 0.0)
    open_loop: dict[str, Any] = field(default_factory=dict)
    scenarios: dict[str, dict[str, float]] = field(default_factory=dict)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass
class SizeBench:
    """The servers of one size, started together, and the rounds run so far."""

    shop: Shop
    plan: Plan
    questions: Questions
    redis: CountedRedis
    ours: CountedService
    rounds: list[Round] = field(default_factory=list)

    def ask(
        self,
        server: Counted,
        name: str,
        scenario: Scenario,
        number: int,
        seconds: float,
        *,
        requests: Iterator[bytes] | None = None,
        n_connections: int | None = None,
        beside: str = "",
    ) -> Round:
        """Run one round and keep it. requests, n_connections: if given, they replace the scenario's usual ones."""
        spec = RoundSpec(
            self.shop.size,
            name,
            scenario.name,
            requests or self.questions.stream(scenario),
            scenario.n_answers,
            is_marked=name in (OURS, LOGGED, UNLOGGED),
            n_connections=n_connections or scenario.n_connections,
            n_items=0 if name == ECHO else LIMIT,
            beside=beside,
        )
        done = run_round(server, spec, number, seconds)
        self.rounds.append(done)
        return done

    def warm_up(self) -> None:
        """Ask for every known person twice: the first answer computes their vector, the second finds it."""
        for _ in range(2):
            self.ask_everybody(self.ours, OURS)

    def ask_everybody(self, server: Counted, name: str) -> None:
        """Ask for every known person once; the round counts in no figure."""
        everybody = self.questions.everybody_once()
        self.ask(server, name, SCENARIOS[0], WARM_UP, 120, requests=everybody, n_connections=16)


def open_bench(stack: ExitStack, shop: Shop, plan: Plan) -> SizeBench:
    """Start Redis and our service for a shop; they stop with the stack."""
    server_core, client_core = plan.cores
    log = plan.logs / shop.store.name
    redis = stack.enter_context(CountedRedis(free_port(), log / "redis.log", client_core))
    ours = stack.enter_context(
        CountedService(log / "service.log", server_core, shop.store, redis.url, kernel=plan.kernel)
    )
    return SizeBench(shop, plan, Questions(shop.people(), shop.items(), plan.n_rounds + 1), redis, ours)


def measure_size(bench: SizeBench, say: Callable[[str], None]) -> SizeFigures:
    """Measure everything but the peers. Raises BenchFailed if a figure would not mean what it says."""
    figures = SizeFigures(bench.shop.size, read_kernel(bench.ours.port))
    say(f"{bench.shop.size}: the catalogue is searched with {figures.kernel} instructions")
    bench.warm_up()
    with ExitStack() as stack:
        log = bench.plan.logs / bench.shop.store.name
        server_core, _ = bench.plan.cores
        echo = stack.enter_context(Echo(log / "echo.log", server_core, _reply_file(bench, log)))
        cold = stack.enter_context(
            CountedService(
                log / "without-redis.log", server_core, bench.shop.store, "", kernel=bench.plan.kernel
            )
        )
        pairs = _vs_unlogged(bench)
        figures.vs_unlogged, figures.vs_unlogged_interval = median(pairs), median_interval(pairs)
        say(
            f"{bench.shop.size}: {bench.plan.n_rounds} rounds of the echo and {len(SCENARIOS)} kinds of requests"
        )
        _closed_rounds(bench, echo, cold)
        figures.scenarios, figures.stages["alone"] = _alone(bench, cold)
        figures.vs_bare = vs_echo(bench)
        _compare_scenarios(bench, figures.scenarios)
        say(f"{bench.shop.size}: {figures.vs_bare:.3f} of the echo; open loop at half of saturation")
        figures.open_loop, figures.stages["at_half_of_saturation"] = _open_loop(bench, echo)
    return figures


def vs_echo(bench: SizeBench) -> float:
    """Return our plain answers per CPU second over the echo's."""
    ours, echo = (of(bench.rounds, bench.shop.size, name) for name in (OURS, ECHO))
    return median_ratio(ours, echo)


def _vs_unlogged(bench: SizeBench) -> list[float]:
    """Return plain answers per CPU second over those of the same service without a live log, in turns.

    Both are started for this and read the same people from Redis in the same order, so that their memory is alike.
    There are many short rounds, because the difference sought is a tenth, and the noise between rounds half of that.
    """
    server_core, _ = bench.plan.cores
    with ExitStack() as stack:
        servers = []
        for name, is_logging in ((LOGGED, True), (UNLOGGED, False)):
            log = bench.plan.logs / bench.shop.store.name / f"{name.replace(' ', '-')}.log"
            service = CountedService(
                log,
                server_core,
                bench.shop.store,
                bench.redis.url,
                is_logging=is_logging,
                kernel=bench.plan.kernel,
            )
            servers.append((stack.enter_context(service), name))
            bench.ask_everybody(service, name)
        for number in range(N_PAIRS_A_ROUND * bench.plan.n_rounds):
            for server, name in servers[:: 1 if number % 2 else -1]:
                check_sound([bench.ask(server, name, SCENARIOS[0], number, bench.plan.round_seconds / 2)])
    return ratios(*(of(bench.rounds, bench.shop.size, name) for name in (LOGGED, UNLOGGED)))


def _reply_file(bench: SizeBench, folder: Path) -> Path:
    """Write a real answer of the service for the echo to repeat: the one of median length among a few."""
    bodies = [ask_for_body(bench.ours.port, user_id, LIMIT) for user_id in bench.questions.known[:25]]
    file = folder / "reply.json"
    file.write_bytes(sorted(bodies, key=len)[len(bodies) // 2])
    return file


def _closed_rounds(bench: SizeBench, echo: Echo, cold: CountedService) -> None:
    """Run everything in turn, round by round, so that a slow minute of the machine affects all alike."""
    seconds = bench.plan.round_seconds
    for number in range(bench.plan.n_rounds):
        bench.ask(echo, ECHO, SCENARIOS[0], number, seconds)
        for scenario in SCENARIOS:
            server = cold if scenario.name == COLD_HISTORY else bench.ours
            check_sound([bench.ask(server, OURS, scenario, number, seconds)])


def _alone(bench: SizeBench, cold: CountedService) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Run each kind with one request at a time; return p50 without any queue, and the stages of the plain kind."""
    figures: dict[str, dict[str, float]] = {}
    stages: dict[str, float] = {}
    for scenario in SCENARIOS:
        server = cold if scenario.name == COLD_HISTORY else bench.ours
        before = read_stages(server.port)
        done = bench.ask(server, OURS, scenario, WARM_UP, bench.plan.alone_seconds, n_connections=1)
        figures[scenario.name] = {"p50_ms": done.p50_ms, "share_of_day": scenario.share}
        if scenario.name == PLAIN:
            stages = mean_microseconds(before, read_stages(server.port))
    return figures, stages


def _compare_scenarios(bench: SizeBench, figures: dict[str, dict[str, float]]) -> None:
    """Add the answers per CPU second of each kind, and its cost in plain answers."""
    plain = of(bench.rounds, bench.shop.size, OURS)
    for scenario in SCENARIOS:
        rounds = of(bench.rounds, bench.shop.size, OURS, scenario.name)
        n_looked_at = sum(each.n_looked_at for each in rounds)
        figures[scenario.name] |= {
            "answers_per_cpu_second": round(median(each.per_cpu_second for each in rounds), 1),
            "relative_to_plain": round(median_ratio(rounds, plain), 4),
            "cost_in_plain_answers": round(1 / median_ratio(rounds, plain), 3),
            "full_share": round(1 - sum(each.n_short for each in rounds) / n_looked_at, 4),
        }


def blended_cost(scenarios: dict[str, dict[str, float]]) -> float:
    """Return the CPU cost of a mean answer of the assumed day, in plain answers."""
    return sum(each["share_of_day"] * each["cost_in_plain_answers"] for each in scenarios.values())


def _open_loop(bench: SizeBench, echo: Echo) -> tuple[dict[str, Any], dict[str, float]]:
    """Run open-loop stretches at half of our saturation, and as a control the echo before each.

    The echo runs for half as long at the same rate, which shows how much of the tail is due to the machine.
    """
    saturation = median(each.per_second for each in of(bench.rounds, bench.shop.size, OURS))
    rate = SATURATION_SHARE * saturation
    results: dict[str, list[OpenResult]] = {OURS: [], ECHO: []}
    before = read_stages(bench.ours.port)
    for stretch in range(bench.plan.n_open_stretches):
        for name, server, share in ((ECHO, echo, 0.5), (OURS, bench.ours, 1.0)):
            due = poisson_schedule(rate, share * bench.plan.open_seconds, seed=stretch)
            requests = bench.questions.stream(SCENARIOS[0])
            mark = STUDENT_MARK if name == OURS else b""
            with no_garbage_pauses():
                results[name].append(run_on_uvloop(run_open_loop(server.port, due, requests, mark)))
    stages = mean_microseconds(before, read_stages(bench.ours.port))
    figures = {
        "rate": round(rate, 1),
        "saturation": round(saturation, 1),
        **latency_figures(results[OURS]),
        "stretches": [latency_figures([each]) for each in results[OURS]],
        "echo": latency_figures(results[ECHO]),
    }
    if figures["degraded"] > MAX_SIMPLER_SHARE * figures["requests"]:
        raise BenchFailed(f"open loop: {figures['degraded']} answers came from a simpler tier")
    return figures, stages
