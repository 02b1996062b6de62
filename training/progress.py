"""Progress of long work: a live bar on a terminal, a line a stage elsewhere, seconds and peak memory kept."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from training.members.member import Progress as Callback


class Stages:
    """The stages of one run; prefix: said before each line, where runs share a terminal.

    seconds, peak_memory_bytes: per finished stage; memory is the process's so far.
    """

    def __init__(self, console: Console, prefix: str = "") -> None:
        self.console = console
        self.prefix = prefix
        self.seconds: dict[str, float] = {}
        self.peak_memory_bytes: dict[str, int] = {}

    @contextmanager
    def stage(self, name: str, words: str) -> Iterator[Callback]:
        """Show one stage; call what is yielded with the share done and a few words."""
        started = time.perf_counter()
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
            yield lambda share, detail: bar.update(task, completed=share, description=detail)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        self.peak_memory_bytes[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.console.print(
            f"[green]✓[/] {self.prefix}{words:<44} {time.perf_counter() - started:7.1f} s", highlight=False
        )

    def note(self, words: str) -> None:
        """Say something between two stages."""
        self.console.print(f"  {self.prefix}{words}", highlight=False)
