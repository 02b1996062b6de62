"""The plan of the bench: sizes, rounds and seconds, and an estimate of how long they take."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from loadtest.bench.environments import PEERS
from loadtest.bench.questions import SCENARIOS
from loadtest.processes import pick_cores

N_PAIRS_A_ROUND = 8
"""Number of half-length rounds with and without the live log for each round of everything else."""


@dataclass(frozen=True)
class Plan:
    """One run of the bench.

    sizes: items in the catalogue. n_people: in the bundles of the figures by size. people_sweep: numbers of people
    beside the largest catalogue. store: measure only this store instead of generated bundles. round_seconds: of a
    closed-loop round; requests under way at its end are waited for. open_seconds: of each stretch. kernel: the
    instructions that our service searches with, by the names of `STILLROOM_KERNEL`; peers take the best.
    """

    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    n_people: int = 1_000_000
    people_sweep: tuple[int, ...] = (10_000, 1_000_000, 10_000_000)
    store: Path | None = None
    n_rounds: int = 5
    round_seconds: float = 2.0
    peer_round_seconds: float = 2.0
    open_seconds: float = 10.0
    n_open_stretches: int = 3
    alone_seconds: float = 1.0
    peers: tuple[str, ...] = PEERS
    kernel: str = "best"
    logs: Path = Path("reports/bench-logs")
    cores: tuple[int, int] = field(default_factory=pick_cores)
    """The server's core and the generator's core."""

    def quick(self) -> Plan:
        """Return a shortened plan, to see that it works; its figures are not for quoting."""
        return Plan(
            **{
                **vars(self),
                "n_rounds": 2,
                "round_seconds": 0.7,
                "peer_round_seconds": 0.7,
                "open_seconds": 3.0,
                "n_open_stretches": 1,
                "alone_seconds": 0.5,
            }
        )

    def estimated_minutes(self) -> float:
        """Estimate the minutes, without making bundles and environments that are still missing."""
        n_sizes = 1 if self.store else len(self.sizes)
        closed = self.n_rounds * (len(SCENARIOS) + 1 + N_PAIRS_A_ROUND) * self.round_seconds
        alone = len(SCENARIOS) * self.alone_seconds
        # As a control, the echo has stretches of half the length beside ours.
        opened = 1.5 * self.n_open_stretches * self.open_seconds
        peers = len(self.peers) * (2 * self.n_rounds * self.peer_round_seconds + PEER_START_SECONDS)
        sweep = 0 if self.store else len(self.people_sweep) * (self.n_rounds * self.round_seconds + 60)
        return (n_sizes * (closed + alone + opened + peers + SIZE_START_SECONDS) + sweep) / 60


PEER_START_SECONDS = 20.0
SIZE_START_SECONDS = 40.0
