"""Commands that take a new bundle into service: retrain, shadow and canary."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from models.bundles.registry import DEFAULT_STORE
from training.base.errors import NothingFresh, SettingsInvalid
from training.base.runs import DEFAULT_RUNS
from training.commands.options import Items, Runs, Seed, SettingsFile, app, console
from training.commands.reading import ReadingOptions, reads_shop
from training.commands.repeating import repeating

NOT_PROMOTED = 3
"""Exit code of `retrain` if no candidate is promoted, because none was trained or it stays in the store."""


@app.command("retrain")
@reads_shop
def retrain_command(
    data: Annotated[Path, typer.Argument(help="The history: the shop's events, as for `train`.")],
    events: Annotated[Path | None, typer.Option(help="Folder that `make export-events` wrote.")] = None,
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
    max_loss: Annotated[
        float | None, typer.Option(help="Overrides promotion.max_loss of the settings.", min=0, max=1)
    ] = None,
    promote: Annotated[bool, typer.Option(help="Put the new bundle into service if it is not worse.")] = True,
) -> None:
    """Train on history and exported events; promote unless the bundle may be worse. Exit code 3: not promoted."""
    from training.base.progress import Stages
    from training.data.read import ShopFiles
    from training.data.shop import require_trainable
    from training.promotion.fresh import read_with_notes

    stages = Stages(console)
    shop = read_with_notes(ShopFiles(data, reading, items), events, stages)
    require_trainable(shop, unlisted_too=True)
    # As for `train`: settings import torch, which unusable files need not cost.
    from training.promotion.retrain import DECISION_FILE, retrain
    from training.recipe.promotion import PromotionSettings
    from training.recipe.settings import load_settings

    chosen = load_settings(settings, quick=quick, seed=seed)
    if max_loss is not None:
        chosen = chosen.model_copy(update={"promotion": PromotionSettings(max_loss=max_loss)})
    options = {"events": events, "items": items, **reading.words(), "store": store}
    try:
        decision = retrain(
            shop,
            events,
            chosen,
            stages,
            store=store,
            runs=runs,
            console=console,
            may_promote=promote,
            command=repeating("retrain", data, options, seed=chosen.seed),
        )
    except NothingFresh as error:
        console.print(str(error), highlight=False, soft_wrap=True)
        raise typer.Exit(NOT_PROMOTED) from error
    name = decision.trained.bundle.name
    console.print(f"{name}: {decision.reason}", highlight=False, soft_wrap=True)
    console.print(
        f"the comparison: {decision.trained.run.folder / DECISION_FILE}", highlight=False, soft_wrap=True
    )
    if not decision.is_promoted:
        by_hand = f"python -m models promote {name}"
        said = f"{name} stays in the store; to promote it all the same: {by_hand}"
        console.print(said, highlight=False, soft_wrap=True)
        raise typer.Exit(NOT_PROMOTED if promote else 0)
    console.print(f"current is {name}", highlight=False)


@app.command("shadow")
def shadow_command(
    version: Annotated[str, typer.Argument(help="Bundle to compare with the one in service.")],
    log: Annotated[
        Path | None,
        typer.Option(help="Folder that `make export-events` wrote; default: ask for people of the bundle."),
    ] = None,
    requests: Annotated[
        int, typer.Option(help="Maximum number of requests; the newest of the log are taken.", min=1)
    ] = 2000,
    limit: Annotated[int, typer.Option(help="Number of items per answer.", min=1, max=100)] = 10,
    seed: Annotated[int, typer.Option(help="Random seed of the people who are drawn.")] = 0,
    store: Annotated[Path, typer.Option(help="Folder of bundles.")] = DEFAULT_STORE,
    out: Annotated[
        Path | None, typer.Option(help="JSON file for the figures; default: print them only.")
    ] = None,
) -> None:
    """Send the same requests to the bundle in service and to another. Nothing is promoted."""
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
        float, typer.Option(help="Percentage of people who get it; 0 ends the canary.", min=0, max=50)
    ] = 5.0,
    file: Annotated[
        Path | None, typer.Option(help="Declaration of experiments; default: STILLROOM_EXPERIMENTS.")
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
