"""Show the progress of long work, by a live bar on a terminal or by lines elsewhere, and record each stage's cost.

Seconds, CPU seconds and peak memory of every stage are kept, and written to a file after each one if the run has a
folder, so that a run that was stopped, or ran out of memory, shows how far it came.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from training.base.callback import Progress as Callback

STAGES_FILE = "stages.json"
"""File in a run's folder with the `StageCost` of every finished stage, in order."""
CLEAR_REFS = Path("/proc/self/clear_refs")
SAY_EVERY_SECONDS = 30.0
"""Interval at which a stage reports its progress if there is no terminal to draw a bar on."""
RESET_PEAK = "5"
"""The value that resets a process's high-water mark of memory to its current memory (Linux, proc(5))."""


@dataclass(frozen=True)
class StageCost:
    """The cost of one stage. cpu_seconds: of all threads; divided by `seconds`, it is the number of busy cores.

    peak_memory_bytes: the most that the process held in RAM during the stage, including what earlier stages left. If
    the system cannot reset its mark (not Linux), it is the most so far.
    """

    name: str
    words: str
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int


class Stages:
    """The stages of one run, in order. prefix: starts each line, for runs that share a terminal.

    costs: of every finished stage; a name may occur twice, as members do. clock: seconds since any moment.
    """

    def __init__(
        self, console: Console, prefix: str = "", clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.console = console
        self.prefix = prefix
        self._clock = clock
        self.costs: list[StageCost] = []
        self._file: Path | None = None

    @contextmanager
    def stage(self, name: str, words: str) -> Iterator[Callback]:
        """Show one stage; it yields a function to call with the share done and a few words."""
        started, cpu_started = self._clock(), time.process_time()
        forget_peak_memory()
        columns = (
            TextColumn("{task.fields[title]:<28}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        ) as bar:
            task = bar.add_task("", total=1.0, title=words)
            if self.console.is_terminal:
                yield lambda share, detail: bar.update(task, completed=share, description=detail)
            else:
                yield self._saying(words, started)
        cost = StageCost(
            name,
            words,
            self._clock() - started,
            time.process_time() - cpu_started,
            peak_memory_bytes(),
        )
        self.costs.append(cost)
        self._write()
        self.console.print(
            f"[green]✓[/] {self.prefix}{words:<44} {cost.seconds:7.1f} s {cost.peak_memory_bytes / 2**20:8,.0f} MiB",
            highlight=False,
        )

    def _saying(self, words: str, started: float) -> Callback:
        """Return a callback that reports progress in lines, at most one in `SAY_EVERY_SECONDS`."""
        due = started + SAY_EVERY_SECONDS

        def say(share: float, detail: str) -> None:
            nonlocal due
            now = self._clock()
            if now >= due:
                due = now + SAY_EVERY_SECONDS
                self.note(f"{words}: {share:.0%} after {now - started:,.0f} s, {detail}")

        return say

    def note(self, words: str) -> None:
        """Print a line between two stages."""
        self.console.print(f"  {self.prefix}{words}", highlight=False)

    def keep_in(self, file: Path) -> None:
        """Write the costs so far to a file, as JSON, and again after each further stage."""
        self._file = file
        self._write()

    @property
    def seconds(self) -> dict[str, float]:
        """Wall-clock seconds by name, summed if a name occurs twice."""
        names = dict.fromkeys(cost.name for cost in self.costs)
        return {name: sum(cost.seconds for cost in self._of(name)) for name in names}

    @property
    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds by name, summed if a name occurs twice."""
        return {name: sum(cost.cpu_seconds for cost in self._of(name)) for name in self.seconds}

    @property
    def peak_memory_bytes(self) -> dict[str, int]:
        """Peak memory by name, the larger if a name occurs twice."""
        return {name: max(cost.peak_memory_bytes for cost in self._of(name)) for name in self.seconds}

    def _of(self, name: str) -> list[StageCost]:
        return [cost for cost in self.costs if cost.name == name]

    def _write(self) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps([asdict(cost) for cost in self.costs], indent=1))


def forget_peak_memory() -> None:
    """Make the next `peak_memory_bytes` count from now; if the system cannot, it counts from the start."""
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
    except OSError:
        return


def peak_memory_bytes() -> int:
    """Return the most bytes that this process held in RAM since `forget_peak_memory`."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
