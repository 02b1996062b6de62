"""How much is measured: sizes, rounds and seconds, and what that will take."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from loadtest.bench.environments import PEERS
from loadtest.bench.questions import SCENARIOS
from loadtest.processes import pick_cores

N_PAIRS_A_ROUND = 8
"""For one round of everything else, so many half as long with the live log and without."""


@dataclass(frozen=True)
class Plan:
    """One run of the bench.

    sizes: items in the catalogue. n_people: of the bundles that answer the figures by size. people_sweep: people
    beside the largest catalogue. store: measure this store alone instead of generated bundles. round_seconds: of a
    closed-loop round; requests under way at its end are waited for. open_seconds: of each of the stretches.
    kernel: the instructions that our service searches with, as `STILLROOM_KERNEL` names them; peers take the best.
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
    """The server's and the generator's."""

    def quick(self) -> Plan:
        """To see that it works; nothing to quote."""
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
        """Bundles and environments that are still to be made come on top."""
        n_sizes = 1 if self.store else len(self.sizes)
        closed = self.n_rounds * (len(SCENARIOS) + 1 + N_PAIRS_A_ROUND) * self.round_seconds
        alone = len(SCENARIOS) * self.alone_seconds
        # The echo has stretches of half the length beside ours, as a control.
        opened = 1.5 * self.n_open_stretches * self.open_seconds
        peers = len(self.peers) * (2 * self.n_rounds * self.peer_round_seconds + PEER_START_SECONDS)
        sweep = 0 if self.store else len(self.people_sweep) * (self.n_rounds * self.round_seconds + 60)
        return (n_sizes * (closed + alone + opened + peers + SIZE_START_SECONDS) + sweep) / 60


PEER_START_SECONDS = 20.0
SIZE_START_SECONDS = 40.0
