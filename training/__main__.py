"""The training side from the command line: `python -m training train | evaluate | tune | report | …`."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from models.errors import StillroomError
from models.registry import DEFAULT_STORE, Registry
from training.errors import SettingsInvalid, TrainingError
from training.runs import DEFAULT_RUNS, LATEST

# Threads that spin while they wait took 4 to 6 times as long beside another process; read when OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console() if sys.stdout.isatty() else Console(width=118)


NOT_PROMOTED = 3
"""Exit code of `retrain` where the candidate stays in the store."""


class Protocol(StrEnum):
    """What a shop's own data can be asked."""

    NEXT_BASKET = "next_basket"
    LEAVE_LAST_OUT = "leave_last_out"


class Outcome(StrEnum):
    """What can come of an answer."""

    CLICK = "click"
    PURCHASE = "purchase"


Runs = Annotated[Path, typer.Option(help="Folder of training runs.")]
SettingsFile = Annotated[Path | None, typer.Option(help="TOML file; see `settings`.")]
Seed = Annotated[int | None, typer.Option(help="Of everything random; 0 if not given.")]
Columns = Annotated[
    str, typer.Option(help="Column names where they differ, e.g. user_id=customer,item_id=sku,time=ts.")
]
Items = Annotated[Path | None, typer.Option(help="Item table or texts, where they are a file apart.")]

# Commands import what they run: `--help` and `generate` need not wait for torch.


@app.command("train")
def train_command(
    data: Annotated[Path, typer.Argument(help="A shop's events: a file or folder in a known layout.")],
    items: Items = None,
    columns: Columns = "",
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = DEFAULT_STORE,
    runs: Runs = DEFAULT_RUNS,
    settings: SettingsFile = None,
    seed: Seed = None,
    quick: Annotated[bool, typer.Option(help="Smaller and shorter: to look at, not to promote.")] = False,
    promote: Annotated[bool, typer.Option(help="Put the new bundle into service.")] = True,
) -> None:
    """Train on a shop's events and write a bundle."""
    from training.data.read import ShopFiles
    from training.data.tables import parse_columns
    from training.pipeline import train
    from training.settings import load_settings

    chosen = load_settings(settings, quick=quick, seed=seed)
    files = ShopFiles(data, parse_columns(columns), items)
    trained = train(files, chosen, store=store, runs=runs, console=console)
    _show_quality(trained.run.evaluation())
    console.print(f"bundle  {trained.bundle}\nrun     {trained.run.folder}", highlight=False, soft_wrap=True)
    if promote:
        Registry(store).promote(trained.bundle.name)
        console.print(f"current is {trained.bundle.name}", highlight=False)


@app.command("retrain")
def retrain_command(
    data: Annotated[Path, typer.Argument(help="The history: a shop's events, as for `train`.")],
    events: Annotated[Path | None, typer.Option(help="Folder that `make export-events` wrote.")] = None,
    items: Items = None,
    columns: Columns = "",
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = DEFAULT_STORE,
    runs: Runs = DEFAULT_RUNS,
    settings: SettingsFile = None,
    seed: Seed = None,
    quick: Annotated[bool, typer.Option(help="Smaller and shorter: to look at, not to promote.")] = False,
    max_loss: Annotated[
        float | None, typer.Option(help="Instead of promotion.max_loss in the settings.", min=0, max=1)
    ] = None,
    promote: Annotated[bool, typer.Option(help="Put it into service if it is not worse.")] = True,
) -> None:
    """Train on history and exported events; promote unless it may be worse. Exit code 3: not promoted."""
    from training.data.read import ShopFiles
    from training.data.tables import parse_columns
    from training.promotion.retrain import retrain
    from training.promotion.settings import PromotionSettings
    from training.settings import load_settings

    chosen = load_settings(settings, quick=quick, seed=seed)
    if max_loss is not None:
        chosen = chosen.model_copy(update={"promotion": PromotionSettings(max_loss=max_loss)})
    files = ShopFiles(data, parse_columns(columns), items)
    decision = retrain(files, events, chosen, store=store, runs=runs, console=console, may_promote=promote)
    name = decision.trained.bundle.name
    console.print(f"{name}: {decision.reason}", highlight=False, soft_wrap=True)
    if not decision.is_promoted:
        by_hand = f"python -m models promote {name}"
        said = f"{name} stays in the store; to promote it all the same: {by_hand}"
        console.print(said, highlight=False, soft_wrap=True)
        raise typer.Exit(NOT_PROMOTED)
    console.print(f"current is {name}", highlight=False)


@app.command("shadow")
def shadow_command(
    version: Annotated[str, typer.Argument(help="Bundle to ask beside the one in service.")],
    log: Annotated[
        Path | None,
        typer.Option(help="Folder that `make export-events` wrote; people of the bundle if not given."),
    ] = None,
    requests: Annotated[int, typer.Option(help="Requests at most, the newest of the log.", min=1)] = 2000,
    limit: Annotated[int, typer.Option(help="Items an answer.", min=1, max=100)] = 10,
    seed: Annotated[int, typer.Option(help="Of which people are drawn.")] = 0,
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = DEFAULT_STORE,
    out: Annotated[Path | None, typer.Option(help="JSON file to write as well.")] = None,
) -> None:
    """Put the same requests to the bundle in service and to another; promotes nothing."""
    import json

    from training.promotion.shadow import shadow_run

    found = shadow_run(version, store=store, log=log, n_requests=requests, limit=limit, seed=seed)
    table = Table("", "in service", "shadow")
    for name in ("version", "empty", "short", "unknown_items", "p50_ms", "p95_ms", "p99_ms"):
        cells = [getattr(side, name) for side in (found.in_service, found.shadow)]
        table.add_row(name, *(cell if isinstance(cell, str) else f"{cell:.4g}" for cell in cells))
    console.print(table)
    console.print(
        f"{found.n_requests:,} requests of {found.source}: {found.overlap:.1%} of the items are in both lists, "
        f"{found.same_first:.1%} begin alike, {found.same_list:.1%} are alike",
        highlight=False,
        soft_wrap=True,
    )
    if out is not None:
        out.write_text(json.dumps(found.record(), indent=1) + "\n")


@app.command("canary")
def canary_command(
    version: Annotated[str, typer.Argument(help="Bundle to try out.")],
    share: Annotated[
        float, typer.Option(help="Percent of people who get it; 0 ends it.", min=0, max=50)
    ] = 5.0,
    file: Annotated[
        Path | None, typer.Option(help="Declaration of experiments; STILLROOM_EXPERIMENTS if not given.")
    ] = None,
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = DEFAULT_STORE,
) -> None:
    """Give a share of people another bundle, as an arm of an experiment with guardrails."""
    from training.promotion.canary import set_canary

    named = os.environ.get("STILLROOM_EXPERIMENTS", "")
    if file is None and not named:
        raise SettingsInvalid(
            "no declaration of experiments is named; set STILLROOM_EXPERIMENTS or give --file"
        )
    said = set_canary(version, share, file=file or Path(named), store=store)
    console.print(said, highlight=False, soft_wrap=True)


@app.command("evaluate")
def evaluate_command(
    data: Annotated[
        Path | None, typer.Argument(help="A shop's events, for next_basket and leave_last_out.")
    ] = None,
    protocol: Annotated[
        list[Protocol] | None, typer.Option(help="May be given twice; both if neither is.")
    ] = None,
    train_file: Annotated[
        Path | None, typer.Option("--train", help="As published: user, item, rating, time by tabs.")
    ] = None,
    test_file: Annotated[
        Path | None, typer.Option("--test", help="As published: the lines that are asked about.")
    ] = None,
    candidates: Annotated[
        Path | None, typer.Option(help="As published: (user,item) and 99 negatives a line.")
    ] = None,
    sequences: Annotated[
        Path | None, typer.Option(help="As published: `user item item …` a line, in order.")
    ] = None,
    items: Items = None,
    columns: Columns = "",
    runs: Runs = DEFAULT_RUNS,
    settings: SettingsFile = None,
    seed: Seed = None,
    quick: Annotated[bool, typer.Option(help="Smaller and shorter: to look at, not to quote.")] = False,
    tuned: Annotated[
        bool, typer.Option("--tune/--no-tune", help="Search each member's settings on validation first.")
    ] = True,
) -> None:
    """Measure everything under one or more protocols, or on published files; writes no bundle."""
    from training.data.read import ShopFiles
    from training.data.tables import parse_columns
    from training.evaluation import protocol_runs
    from training.runs import Run
    from training.settings import load_settings

    chosen = load_settings(settings, quick=quick, seed=seed, all_members=True)
    published = protocol_runs.PublishedFiles.of(train_file, test_file, candidates, sequences, items)
    if (data is None) == (published is None):
        raise SettingsInvalid(
            "say what to evaluate on: either DATA, a shop's events, or published files by --train and --test or by "
            "--sequences"
        )
    run = Run.create(runs)
    how: Any = {"is_searched": tuned, "console": console}
    if published is not None:
        evaluation = protocol_runs.evaluate_published(published, chosen, run, **how)
    else:
        assert data is not None
        asked = [each.value for each in protocol or list(Protocol)]
        files = ShopFiles(data, parse_columns(columns), items)
        evaluation = protocol_runs.evaluate_shop(files, asked, chosen, run, **how)
    run.finish(evaluation)
    _show_quality(evaluation)
    console.print(f"run     {run.folder}", highlight=False, soft_wrap=True)


@app.command("tune")
def tune_command(
    data: Annotated[Path, typer.Argument(help="A shop's events: a file or folder in a known layout.")],
    out: Annotated[Path, typer.Option(help="TOML file to write, for --settings.")] = Path("tuned.toml"),
    protocol: Annotated[
        Protocol, typer.Option(help="What the members are to be good at.")
    ] = Protocol.NEXT_BASKET,
    items: Items = None,
    columns: Columns = "",
    settings: SettingsFile = None,
    seed: Seed = None,
    seconds: Annotated[
        float | None, typer.Option(help="Seconds a member; as in the settings if not given.")
    ] = None,
) -> None:
    """Search each member's settings on validation and write the best as a settings file."""
    from training.data.read import read_shop
    from training.data.tables import parse_columns
    from training.pipeline import prepare, split_shop, tune
    from training.progress import Stages
    from training.settings import ALL_MEMBERS, load_settings
    from training.tuning.tuned_file import write_tuned

    stages, chosen = Stages(console), load_settings(settings, quick=False, seed=seed)
    in_use = chosen.members
    if seconds is not None:
        budget = chosen.tuning.model_validate(chosen.tuning.model_dump() | {"seconds_per_member": seconds})
        chosen = chosen.model_copy(update={"tuning": budget})
    dataset = prepare(read_shop(data, mapping=parse_columns(columns), items=items), stages)
    every = chosen.model_copy(update={"members": ALL_MEMBERS})
    tuned, _ = tune(split_shop(dataset, protocol.value, chosen), every, stages)
    write_tuned(
        load_settings(None, quick=False, seed=None), tuned.model_copy(update={"members": in_use}), out
    )
    console.print(
        f"wrote {out}; train with it: python -m training train DATA --settings {out}", highlight=False
    )


@app.command("report")
def report_command(
    run: Annotated[Path, typer.Option(help="A run's folder, or runs/latest.")] = DEFAULT_RUNS / LATEST,
    out: Annotated[Path, typer.Option(help="Where quality.json and quality.html go.")] = Path("reports"),
    price: Annotated[float, typer.Option(help="US dollars per vCPU-hour.", min=0.0)] = 0.05,
) -> None:
    """Measure serving figures of a run's models and write the report."""
    from training.evaluation.report import write_report
    from training.runs import Run

    for path in write_report(Run.open(run), out, price_per_vcpu_hour=price, console=console):
        console.print(f"wrote {path}", highlight=False)


@app.command("simulate-experiments")
def simulate_experiments_command(
    out: Annotated[Path, typer.Option(help="Where experiments.json goes.")] = Path("reports"),
    seed: Annotated[int, typer.Option(help="Equal seeds make equal figures.")] = 0,
    runs: Annotated[
        int, typer.Option(help="Experiments without a difference; a fifth of each other kind.", min=5)
    ] = 1000,
) -> None:
    """Simulate experiments whose truth is known: false stops, a lift that is found, a bug that is caught."""
    import json

    from training.experiments.study import StudySettings, study
    from training.progress import Stages

    chosen = StudySettings(n_aa_runs=runs, n_lift_runs=runs // 5, n_srm_runs=runs // 5, seed=seed)
    with Stages(console).stage("simulate", f"Simulating {runs:,} experiments, and more") as progress:
        figures = study(chosen, progress)
    out.mkdir(parents=True, exist_ok=True)
    (out / "experiments.json").write_text(json.dumps(figures, indent=1) + "\n")
    console.print(f"wrote {out / 'experiments.json'}", highlight=False)


@app.command("simulate-monitoring")
def simulate_monitoring_command(
    out: Annotated[Path, typer.Option(help="Where monitoring.json goes.")] = Path("reports"),
    seed: Annotated[int, typer.Option(help="Equal seeds make equal figures.")] = 0,
    futures: Annotated[
        int, typer.Option(help="Quiet futures of the shop; half as many of each change.", min=2)
    ] = 20,
) -> None:
    """Change a shop and damage models on purpose: how soon the monitor says so, how often wrongly. Minutes."""
    import json
    import tempfile

    from training.monitoring.study import StudySettings, study
    from training.monitoring.world import World, WorldSettings, quick_training
    from training.progress import Stages

    chosen = StudySettings(n_quiet=futures, n_changed=futures // 2)
    with tempfile.TemporaryDirectory(prefix="stillroom-monitoring-") as folder:
        world = World(WorldSettings(seed=seed), quick_training(seed), Path(folder), console)
        figures = study(chosen, world, Stages(console))
    out.mkdir(parents=True, exist_ok=True)
    (out / "monitoring.json").write_text(json.dumps(figures, indent=1) + "\n")
    console.print(f"wrote {out / 'monitoring.json'}", highlight=False)


@app.command("estimate-arm")
def estimate_arm_command(
    log: Annotated[Path, typer.Option(help="Folder that `make export-events` wrote.")],
    bundle: Annotated[str, typer.Option(help="Version of the arm.")],
    variant: Annotated[str, typer.Option(help="student, ensemble or a member's name.")] = "student",
    outcome: Annotated[Outcome, typer.Option(help="What is counted.")] = Outcome.CLICK,
    window: Annotated[int, typer.Option(help="Seconds after an answer in which it counts.", min=1)] = 1800,
    since: Annotated[datetime | None, typer.Option(help="Answers from then on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Answers before then, UTC.")] = None,
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = DEFAULT_STORE,
) -> None:
    """Estimate what an arm would bring, from logged answers of other arms, before anybody sees it."""
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


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="Folder to write the shop into.")],
    people: Annotated[int, typer.Option(help="People, up to 10 million.")] = 10_000,
    items: Annotated[int, typer.Option(help="Items, up to 1 million.")] = 2_000,
    events: Annotated[float, typer.Option(help="Mean events a person.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal shops.")] = 0,
    change_day: Annotated[int, typer.Option(help="Day of the changes below; 0 for never.")] = 0,
    taste_shift: Annotated[
        float, typer.Option(help="How far tastes turn that day: 1 to unrelated ones.")
    ] = 0.0,
    new_season: Annotated[float, typer.Option(help="How much attention moves between categories.")] = 0.0,
    turnover: Annotated[float, typer.Option(help="Share of items replaced that day, up to 0.5.")] = 0.0,
) -> None:
    """Write a plausible shop: people with drifting tastes, a power-law catalogue, sessions, new items."""
    from training.data.generator import GeneratorSettings, generate_shop
    from training.progress import Stages

    chosen = GeneratorSettings(
        n_people=people,
        n_items=items,
        mean_events_per_person=events,
        seed=seed,
        change_day=change_day,
        taste_shift=taste_shift,
        new_season=new_season,
        turnover=turnover,
    )
    with Stages(console).stage("generate", f"Generating {people:,} people, {items:,} items") as progress:
        generate_shop(
            chosen, out, lambda done, total: progress(done / total, f"{done:,} of {total:,} people")
        )
    console.print(f"wrote {out}", highlight=False)


@app.command("scale-bundle")
def scale_bundle_command(
    items: Annotated[int, typer.Option(help="Items, 200 to 1 million.")] = 10_000,
    people: Annotated[int, typer.Option(help="People, up to 10 million.")] = 10_000,
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = DEFAULT_STORE,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal bundles.")] = 0,
    student_seed: Annotated[
        int | None, typer.Option(help="Of another student for the very same shop; the shop's if not given.")
    ] = None,
    promote: Annotated[bool, typer.Option(help="Put the new bundle into service.")] = True,
) -> None:
    """Write a bundle of a shop of any size, its student not trained: to measure speed, not to promote for people."""
    from training.scale.bundle import write_scale_bundle
    from training.scale.shop import ScaleSettings

    bundle = write_scale_bundle(ScaleSettings(items, people, seed, student_seed), store, console)
    console.print(f"bundle  {bundle}", highlight=False, soft_wrap=True)
    if promote:
        Registry(store).promote(bundle.name)
        console.print(f"current is {bundle.name}", highlight=False)


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="online-retail, movielens-100k or movielens-1m.")],
    to: Annotated[Path, typer.Option(help="Folder to put it in.")] = Path("data"),
) -> None:
    """Fetch a public data set, resumed where it stopped, verified."""
    from training.data.download import download as fetch

    console.print(f"wrote {fetch(name, to)}", highlight=False)


@app.command("settings")
def settings_command(
    markdown: Annotated[bool, typer.Option(help="As docs/training-settings.md.")] = False,
) -> None:
    """Print every training setting with its default, bounds and meaning."""
    from training.settings import describe_settings, settings_document

    if markdown:
        typer.echo(settings_document(), nl=False)
        return
    table = Table("setting", "default", "bounds", "meaning")
    for row in describe_settings():
        table.add_row(*row)
    console.print(table)


def _show_quality(evaluation: dict[str, object]) -> None:
    """The test slice's table, best known figures of the run."""
    from training.evaluation.summary import quality_table

    console.print(quality_table(evaluation))


def main() -> None:
    """Run a command; a known error is one line and exit code 1."""
    try:
        app()
    except (TrainingError, StillroomError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
