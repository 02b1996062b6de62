"""Measure what grows with the shop: start, memory, disk and throughput, by items and by people."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from statistics import median
from time import monotonic, sleep
from typing import Any
from urllib.request import urlopen

from loadtest.bench.bundles import Shop
from loadtest.bench.counted import CountedService
from loadtest.bench.errors import BenchFailed
from loadtest.bench.plan import Plan
from loadtest.bench.questions import SCENARIOS
from loadtest.bench.rounds import Round, check_sound, of
from loadtest.bench.size import OURS, WARM_UP, SizeBench, open_bench
from loadtest.processes import Memory, memory_of
from loadtest.servers import HOST

WAIT_SECONDS = 180.0


def measure_start_and_memory(shop: Shop, plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure start times, and the memory of a worker that shares the bundle with another one.

    The start is the seconds from process start to ready on all cores, with the bundle's files out of the page cache
    and then in it.
    """
    say(f"{shop.n_items:,} items, {shop.n_people:,} people: start and memory")
    log = plan.logs / shop.store.name / "start.log"
    forget_pages(shop)
    seconds = []
    for _ in range(2):
        with CountedService(log, None, shop.store, "") as service:
            seconds.append(round(service.seconds_to_ready, 2))
            [alone] = _workers(service, 1)
    with CountedService(log, None, shop.store, "", n_workers=2) as service:
        wait_until_all_ready(service, 2)
        workers = _workers(service, 2)
    return {
        "n_items": shop.n_items,
        "n_people": shop.n_people,
        "bundle_bytes": shop.bundle_bytes(),
        "seconds_to_ready_cold": seconds[0],
        "seconds_to_ready_warm": seconds[1],
        "one_worker": asdict(alone),
        "further_worker": asdict(max(workers, key=lambda each: each.private_bytes)),
    }


def measure_people_sweep(shops: list[Shop], plan: Plan, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure throughput and p50 of services that differ only in the number of people.

    All run at once and get requests in turn; answers per CPU second are relative to the first.
    """
    say(f"throughput beside {', '.join(f'{shop.n_people:,}' for shop in shops)} people")
    with ExitStack() as stack:
        benches = [open_bench(stack, shop, plan) for shop in shops]
        for bench in benches:
            bench.warm_up()
        for number in range(plan.n_rounds):
            for bench in benches:
                check_sound([bench.ask(bench.ours, OURS, SCENARIOS[0], number, plan.round_seconds)])
        alone = [
            bench.ask(bench.ours, OURS, SCENARIOS[0], WARM_UP, plan.alone_seconds, n_connections=1)
            for bench in benches
        ]
    first = _plain(benches[0])
    return [
        _sweep_row(bench, _plain(bench), first, each.p50_ms)
        for bench, each in zip(benches, alone, strict=True)
    ]


def forget_pages(shop: Shop) -> None:
    """Ask the kernel to drop a bundle's files from the page cache; pages that a process has mapped stay."""
    for file in (shop.store / str(shop.manifest["version"])).iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def wait_until_all_ready(service: CountedService, n_workers: int) -> None:
    """Wait until all workers count themselves as taking connections. Raises BenchFailed after three minutes."""
    give_up_at = monotonic() + WAIT_SECONDS
    while _n_ready(service) < n_workers:
        if monotonic() > give_up_at:
            raise BenchFailed(
                f"of {n_workers} workers only {_n_ready(service)} were ready in {WAIT_SECONDS:g} s"
            )
        sleep(0.2)


def _n_ready(service: CountedService) -> int:
    with urlopen(f"http://{HOST}:{service.port}/metrics", timeout=WAIT_SECONDS) as response:
        [line] = [line for line in response.read().splitlines() if line.startswith(b"stillroom_workers ")]
    return int(float(line.split()[1]))


def _workers(service: CountedService, n_workers: int) -> list[Memory]:
    """Return the workers' memory: with several, the largest processes beside the supervisor."""
    first, *others = service.processes()
    memories = [memory_of(pid) for pid in (others if n_workers > 1 else [first])]
    memories.sort(key=lambda each: each.resident_bytes, reverse=True)
    if len(memories) < n_workers:
        raise BenchFailed(f"{len(memories)} workers run where {n_workers} should")
    return memories[:n_workers]


def _plain(bench: SizeBench) -> list[Round]:
    return of(bench.rounds, bench.shop.size, OURS)


def _sweep_row(bench: SizeBench, rounds: list[Round], first: list[Round], p50_ms: float) -> dict[str, Any]:
    per_cpu_second = median(each.per_cpu_second for each in rounds)
    return {
        "n_items": bench.shop.n_items,
        "n_people": bench.shop.n_people,
        "answers_per_cpu_second": round(per_cpu_second, 1),
        "relative_to_first": round(per_cpu_second / median(each.per_cpu_second for each in first), 4),
        "p50_ms": p50_ms,
        "rounds": [asdict(each) for each in rounds],
    }
