"""Train, evaluate and report from the command line: `python -m training train | evaluate | tune | report | …`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from models.bundles.registry import DEFAULT_STORE, Registry
from models.errors import StillroomError
from training.base.errors import SettingsInvalid, TrainingError
from training.base.runs import DEFAULT_RUNS, LATEST
from training.commands import promotion, studies  # noqa: F401 - they add their commands
from training.commands.options import Items, Runs, Seed, SettingsFile, app, console
from training.commands.reading import ReadingOptions, reads_shop
from training.commands.repeating import repeating
from training.quality.schema import Quality

__all__ = ["app", "main"]


class Protocol(StrEnum):
    """The protocols for a shop's own data."""

    NEXT_BASKET = "next_basket"
    LAST_BASKET = "last_basket"
    LEAVE_LAST_OUT = "leave_last_out"


# Commands import what they run, so that `--help` and `generate` do not wait for torch.


@app.command("train")
@reads_shop
def train_command(
    data: Annotated[Path, typer.Argument(help="A shop's events: a file, a folder or an archive.")],
    items: Items = None,
    *,
    reading: ReadingOptions,
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = DEFAULT_STORE,
    runs: Runs = DEFAULT_RUNS,
    settings: SettingsFile = None,
    seed: Seed = None,
    quick: Annotated[
        bool, typer.Option(help="Train smaller and shorter; good enough to look at, not to promote.")
    ] = False,
    promote: Annotated[bool, typer.Option(help="Put the new bundle into service.")] = True,
) -> None:
    """Train on a shop's events and write a bundle."""
    from training.base.progress import Stages
    from training.data.read import ShopFiles, read_with_notes
    from training.data.shop import require_trainable

    files, stages = ShopFiles(data, reading, items), Stages(console)
    shop = read_with_notes(files, stages)
    require_trainable(shop, unlisted_too=True)
    # Only now, since settings and training import torch, which takes seconds that unusable files need not cost.
    from training.pipeline.train import train
    from training.recipe.settings import load_settings

    chosen = load_settings(settings, quick=quick, seed=seed)
    command = repeating("train", data, {"items": items, **reading.words()}, seed=chosen.seed)
    trained = train(shop, chosen, store=store, runs=runs, console=console, command=command, stages=stages)
    _show_quality(trained.run.evaluation())
    console.print(f"bundle  {trained.bundle}\nrun     {trained.run.folder}", highlight=False, soft_wrap=True)
    if promote:
        Registry(store).promote(trained.bundle.name)
        console.print(f"current is {trained.bundle.name}", highlight=False)


@app.command("inspect")
@reads_shop
def inspect_command(
    data: Annotated[Path, typer.Argument(help="A shop's events: a file, a folder or an archive.")],
    items: Items = None,
    *,
    reading: ReadingOptions,
) -> None:
    """Say how a shop's files are understood, and what stands in the way of training; trains nothing."""
    from training.data.inspect import inspect_shop

    lines, is_ready = inspect_shop(data, items, reading)
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    if not is_ready:
        raise typer.Exit(1)


@app.command("evaluate")
@reads_shop
def evaluate_command(
    data: Annotated[
        Path | None, typer.Argument(help="The shop's events, for all protocols but published ones.")
    ] = None,
    protocol: Annotated[
        list[Protocol] | None, typer.Option(help="Protocol to measure under; may be repeated. Default: all.")
    ] = None,
    train_file: Annotated[
        Path | None,
        typer.Option(
            "--train", help="Published training file: user, item, rating and time, separated by tabs."
        ),
    ] = None,
    test_file: Annotated[
        Path | None, typer.Option("--test", help="Published test file: the lines to predict.")
    ] = None,
    candidates: Annotated[
        Path | None, typer.Option(help="Published candidates: (user,item) and 99 negatives per line.")
    ] = None,
    sequences: Annotated[
        Path | None, typer.Option(help="Published sequences: `user item item …` per line, in order of time.")
    ] = None,
    baskets: Annotated[
        Path | None,
        typer.Option(
            help="Published baskets: the JSON file of the history, or a folder that has the future too."
        ),
    ] = None,
    future: Annotated[
        Path | None, typer.Option(help="Published baskets: the JSON file of the future.")
    ] = None,
    items: Items = None,
    *,
    reading: ReadingOptions,
    runs: Runs = DEFAULT_RUNS,
    settings: SettingsFile = None,
    seed: Seed = None,
    quick: Annotated[
        bool, typer.Option(help="Train smaller and shorter; good enough to look at, not to quote.")
    ] = False,
    tuned: Annotated[
        bool,
        typer.Option(
            "--tune/--no-tune", help="Search each member's settings first, which `train` does not do."
        ),
    ] = False,
) -> None:
    """Measure all models under one or both protocols, or on published files. No bundle is written."""
    from training.base.progress import Stages
    from training.base.runs import Run
    from training.data.read import ShopFiles, read_with_notes
    from training.data.shop import require_trainable

    has_published = any((train_file, test_file, candidates, sequences, baskets, future))
    if (data is None) != has_published:
        raise SettingsInvalid(
            "say what to evaluate on: either DATA, a shop's events, or published files by --train and --test or by "
            "--sequences or by --baskets"
        )
    shop, stages = None, Stages(console)
    if data is not None:
        files = ShopFiles(data, reading, items)
        shop = read_with_notes(files, stages)
        require_trainable(shop, unlisted_too=True)
    # As for `train`: settings import torch, which unusable files need not cost.
    from training.pipeline import protocol_runs
    from training.recipe.settings import load_settings

    chosen = load_settings(settings, quick=quick, seed=seed)
    how: Any = {"is_tuned": tuned, "console": console}
    options: dict[str, Any] = {"tune": tuned}
    if shop is None:
        published = protocol_runs.PublishedFiles.of(
            train_file, test_file, candidates, sequences, items, baskets, future
        )
        assert published is not None
        evaluation, run = protocol_runs.evaluate_published(published, chosen, runs, **how)
        options |= published._asdict()
    else:
        protocols = [each.value for each in protocol or list(Protocol)]
        portrait = protocol_runs.portrait_of(shop, chosen, stages)
        run = Run.create(runs)
        evaluation = protocol_runs.evaluate_shop(files, portrait, protocols, chosen, run, **how)
        options |= {"protocol": protocols, "items": items} | reading.words()
    evaluation.command = repeating("evaluate", data, options, seed=chosen.seed)
    run.finish(evaluation)
    _show_quality(evaluation)
    console.print(f"run     {run.folder}", highlight=False, soft_wrap=True)


@app.command("tune")
@reads_shop
def tune_command(
    data: Annotated[Path, typer.Argument(help="A shop's events: a file, a folder or an archive.")],
    out: Annotated[Path, typer.Option(help="TOML file to write, which --settings reads.")] = Path(
        "tuned.toml"
    ),
    protocol: Annotated[
        Protocol, typer.Option(help="Protocol for which the members are tuned.")
    ] = Protocol.NEXT_BASKET,
    items: Items = None,
    *,
    reading: ReadingOptions,
    settings: SettingsFile = None,
    seed: Seed = None,
    seconds: Annotated[
        float | None, typer.Option(help="Seconds per member; default: as in the settings.")
    ] = None,
) -> None:
    """Search each member's settings on validation and write the best as a settings file."""
    from training.base.progress import Stages
    from training.data.read import ShopFiles, read_with_notes
    from training.data.shop import require_trainable

    stages = Stages(console)
    shop = read_with_notes(ShopFiles(data, reading, items), stages)
    require_trainable(shop, unlisted_too=True)
    from training.pipeline.train import prepare, split_shop, tune
    from training.recipe.settings import load_settings
    from training.tuning.tuned_file import write_tuned

    chosen = load_settings(settings, quick=False, seed=seed)
    if seconds is not None:
        budget = chosen.tuning.model_validate(chosen.tuning.model_dump() | {"seconds_per_member": seconds})
        chosen = chosen.model_copy(update={"tuning": budget})
    dataset = prepare(shop, chosen, stages)
    tuned, _ = tune(split_shop(dataset, protocol.value, chosen), chosen, stages)
    write_tuned(load_settings(None, quick=False, seed=None), tuned, out)
    console.print(
        f"wrote {out}; train with it: python -m training train DATA --settings {out}", highlight=False
    )


@app.command("report")
def report_command(
    run: Annotated[Path, typer.Option(help="A run's folder, or runs/latest.")] = DEFAULT_RUNS / LATEST,
    out: Annotated[Path, typer.Option(help="Folder for quality.json and quality.html.")] = Path("reports"),
    price: Annotated[float, typer.Option(help="US dollars per vCPU-hour.", min=0.0)] = 0.05,
) -> None:
    """Measure how the models of a run serve, and write the report."""
    from training.base.runs import Run
    from training.evaluation.page.report import write_report

    for path in write_report(Run.open(run), out, price_per_vcpu_hour=price, console=console):
        console.print(f"wrote {path}", highlight=False)


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="Folder to write the shop into.")],
    people: Annotated[int, typer.Option(help="Number of people, up to 10 million.")] = 10_000,
    items: Annotated[int, typer.Option(help="Number of items, up to 1 million.")] = 2_000,
    events: Annotated[float, typer.Option(help="Mean number of events per person.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Random seed; equal seeds make equal shops.")] = 0,
    consumable_share: Annotated[
        float, typer.Option(help="Share of categories that are used up and bought again, 0 to 1.")
    ] = 0.25,
    return_rate: Annotated[
        float, typer.Option(help="Share of purchases of other items that are returned, up to 0.5.")
    ] = 0.08,
    change_day: Annotated[int, typer.Option(help="Day on which the changes below happen; 0 for never.")] = 0,
    taste_shift: Annotated[
        float, typer.Option(help="How far tastes turn on that day; 1 turns them to unrelated ones.")
    ] = 0.0,
    new_season: Annotated[
        float, typer.Option(help="How much attention moves between categories on that day.")
    ] = 0.0,
    turnover: Annotated[
        float, typer.Option(help="Share of items that are replaced on that day, up to 0.5.")
    ] = 0.0,
) -> None:
    """Write a plausible shop: drifting tastes, a power-law catalogue, sessions, new items, habits and returns."""
    from training.base.progress import Stages
    from training.generator.generator import generate_shop
    from training.generator.settings import GeneratorSettings

    chosen = GeneratorSettings(
        n_people=people,
        n_items=items,
        mean_events_per_person=events,
        seed=seed,
        consumable_share=consumable_share,
        return_rate=return_rate,
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
    items: Annotated[int, typer.Option(help="Number of items, 200 to 1 million.")] = 10_000,
    people: Annotated[int, typer.Option(help="Number of people, up to 10 million.")] = 10_000,
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = DEFAULT_STORE,
    seed: Annotated[int, typer.Option(help="Random seed; equal seeds make equal bundles.")] = 0,
    student_seed: Annotated[
        int | None,
        typer.Option(help="Seed of another student for the very same shop; default: the shop's seed."),
    ] = None,
    promote: Annotated[bool, typer.Option(help="Put the new bundle into service.")] = True,
) -> None:
    """Write a bundle of any size with an untrained student, to measure speed, not to serve people."""
    from training.scale.bundle import write_scale_bundle
    from training.scale.shop import ScaleSettings

    bundle = write_scale_bundle(ScaleSettings(items, people, seed, student_seed), store, console)
    console.print(f"bundle  {bundle}", highlight=False, soft_wrap=True)
    if promote:
        Registry(store).promote(bundle.name)
        console.print(f"current is {bundle.name}", highlight=False)


@app.command()
def download(
    name: Annotated[
        str, typer.Argument(help="online-retail, complete-journey, movielens-100k or movielens-1m.")
    ],
    to: Annotated[Path, typer.Option(help="Folder to which the data set is written.")] = Path("data"),
) -> None:
    """Fetch a public data set and verify it; an interrupted download is resumed."""
    from training.data.download import download as fetch

    console.print(f"wrote {fetch(name, to)}", highlight=False)


@app.command("settings")
def settings_command(
    markdown: Annotated[bool, typer.Option(help="Print them as docs/training-settings.md.")] = False,
) -> None:
    """Print every training setting with its default, bounds and meaning."""
    from training.recipe.settings import describe_settings, settings_document

    if markdown:
        typer.echo(settings_document(), nl=False)
        return
    table = Table("setting", "default", "bounds", "meaning")
    for row in describe_settings():
        table.add_row(*row)
    console.print(table)


def _show_quality(evaluation: Quality) -> None:
    """Print the table of the test slice, the best known figures of the run."""
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
