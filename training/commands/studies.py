"""Commands that simulate how far experiments and the monitor can be trusted, and that estimate an arm from logs."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from models.bundles.registry import DEFAULT_STORE
from training.commands.options import app, console
from training.quality.figures import to_json


class Outcome(StrEnum):
    """The outcomes of an answer."""

    CLICK = "click"
    PURCHASE = "purchase"


@app.command("simulate-experiments")
def simulate_experiments_command(
    out: Annotated[Path, typer.Option(help="Folder for experiments.json.")] = Path("reports"),
    seed: Annotated[int, typer.Option(help="Random seed; equal seeds make equal figures.")] = 0,
    runs: Annotated[
        int,
        typer.Option(
            help="Number of experiments without a difference; there are a fifth as many of each other kind.",
            min=5,
        ),
    ] = 1000,
) -> None:
    """Simulate experiments whose truth is known, and count false stops, lifts found and bugs caught."""
    from training.base.progress import Stages
    from training.simulations.experiments.study import StudySettings, study

    chosen = StudySettings(n_aa_runs=runs, n_lift_runs=runs // 5, n_srm_runs=runs // 5, seed=seed)
    with Stages(console).stage("simulate", f"Simulating {runs:,} experiments, and more") as progress:
        figures = study(chosen, progress)
    out.mkdir(parents=True, exist_ok=True)
    (out / "experiments.json").write_text(to_json(figures) + "\n")
    console.print(f"wrote {out / 'experiments.json'}", highlight=False)


@app.command("simulate-monitoring")
def simulate_monitoring_command(
    out: Annotated[Path, typer.Option(help="Folder for monitoring.json.")] = Path("reports"),
    seed: Annotated[int, typer.Option(help="Random seed; equal seeds make equal figures.")] = 0,
    futures: Annotated[
        int,
        typer.Option(
            help="Number of futures of the shop without a change; there are half as many of each change.",
            min=2,
        ),
    ] = 20,
) -> None:
    """Change a shop and damage models, and measure how soon and how often wrongly the monitor reports it; minutes."""
    import tempfile

    from training.base.progress import Stages
    from training.simulations.monitoring.study import StudySettings, study
    from training.simulations.monitoring.world import World, WorldSettings, quick_training

    chosen = StudySettings(n_quiet=futures, n_changed=futures // 2)
    with tempfile.TemporaryDirectory(prefix="stillroom-monitoring-") as folder:
        world = World(WorldSettings(seed=seed), quick_training(seed), Path(folder), console)
        figures = study(chosen, world, Stages(console))
    out.mkdir(parents=True, exist_ok=True)
    (out / "monitoring.json").write_text(to_json(figures) + "\n")
    console.print(f"wrote {out / 'monitoring.json'}", highlight=False)


@app.command("estimate-arm")
def estimate_arm_command(
    log: Annotated[Path, typer.Option(help="Folder that `make export-events` wrote.")],
    bundle: Annotated[str, typer.Option(help="Version of the arm's bundle.")],
    variant: Annotated[
        str, typer.Option(help="Variant of the arm: student, ensemble or a member's name.")
    ] = "student",
    outcome: Annotated[Outcome, typer.Option(help="Outcome that is counted.")] = Outcome.CLICK,
    window: Annotated[
        int, typer.Option(help="Seconds after an answer in which an outcome counts.", min=1)
    ] = 1800,
    since: Annotated[datetime | None, typer.Option(help="Use only answers from then on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Use only answers before then, UTC.")] = None,
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = DEFAULT_STORE,
) -> None:
    """Estimate the outcome of an arm from logged answers of other arms, before anybody sees it."""
    from training.experiments.estimate import estimate_arm, estimate_lines

    between = tuple(None if at is None else at.replace(tzinfo=UTC) for at in (since, until))
    found = estimate_arm(
        log,
        store,
        (bundle, variant),
        outcome=outcome.value,
        window_seconds=window,
        since=between[0],
        until=between[1],
    )
    for line in estimate_lines(found):
        console.print(line, highlight=False, soft_wrap=True)
