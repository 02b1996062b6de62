"""Work with the registry: list, show, verify, promote, roll back and prune bundles, and print their ids."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from models.bundles.bundle import Bundle, read_bundle, read_manifest
from models.bundles.golden import replay_golden
from models.bundles.registry import DEFAULT_STORE, Registry
from models.errors import BundleError, StillroomError, StoreMissing

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
EXIT_MISUSE = 2
Store = Annotated[Path, typer.Option(help="Folder of bundles.")]
Version = Annotated[str, typer.Argument(help="A version, as printed by `list`.")]


@app.command("list")
def list_versions(store: Store = DEFAULT_STORE) -> None:
    """List the bundles, oldest first; * is current."""
    registry = Registry(store)
    registry.require_store()
    current = registry.promotions()[:1]
    for version in registry.versions():
        mark = "*" if [version] == current else " "
        try:
            manifest = read_manifest(store / version)
        except BundleError as error:  # one broken bundle must not hide the others
            typer.echo(f"{mark} {version}  unusable: {error}")
            continue
        student = manifest.student
        typer.echo(
            f"{mark} {version}  {manifest.items.n_ids:>9,} items  {manifest.people.n_ids:>11,} people  "
            f"{student.precision}  {manifest.training.source}"
        )


@app.command()
def show(version: Version, store: Store = DEFAULT_STORE) -> None:
    """Print a bundle's manifest."""
    sys.stdout.buffer.write(read_manifest(_path(store, version)).to_json() + b"\n")


@app.command()
def verify(version: Version, store: Store = DEFAULT_STORE) -> None:
    """Verify every file and replay the golden requests, those of the ensemble and its members too."""
    bundle = _replay(store, version)
    variants = bundle.manifest.variants
    beside = (
        "" if variants is None else f", also those of the ensemble and its {len(variants.members)} members"
    )
    typer.echo(
        f"{version}: {len(bundle.manifest.files)} files and {len(bundle.golden.requests)} golden requests hold"
        f"{beside}"
    )


@app.command()
def promote(version: Version, store: Store = DEFAULT_STORE) -> None:
    """Verify a bundle as `verify` does and put it into service."""
    _replay(store, version)
    Registry(store).promote(version)
    typer.echo(f"current is {version}")


@app.command()
def rollback(store: Store = DEFAULT_STORE) -> None:
    """Put the previously promoted bundle back into service."""
    typer.echo(f"current is {Registry(store).roll_back()}")


@app.command()
def ids(
    people: Annotated[
        bool, typer.Option("--people/--items", help="Print the ids of people or of items.")
    ] = True,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of ids.")] = 1000,
    store: Store = DEFAULT_STORE,
) -> None:
    """Print ids of the current bundle, one per line: people in row order, items by falling popularity."""
    registry = Registry(store)
    registry.require_store()
    bundle = read_bundle(registry.path(registry.current()))
    if people:
        vocabulary, rows = bundle.people.people, np.arange(len(bundle.people.people))
    else:
        vocabulary, rows = bundle.items.vocabulary, np.argsort(-bundle.items.popularity, kind="stable")
    for user_or_item_id in vocabulary.ids_of(rows[:limit].tolist()):
        typer.echo(user_or_item_id)


@app.command()
def prune(
    keep: Annotated[int, typer.Option(help="Number of the newest bundles that stay.")] = 5,
    store: Store = DEFAULT_STORE,
) -> None:
    """Delete old bundles; the current one and its predecessor always stay."""
    deleted = Registry(store).prune(keep)
    typer.echo(f"deleted {len(deleted)}: {', '.join(deleted) or 'none'}")


def _path(store: Path, version: str) -> Path:
    registry = Registry(store)
    registry.require_store()
    return registry.path(version)


def _replay(store: Path, version: str) -> Bundle:
    bundle = read_bundle(_path(store, version))
    replay_golden(bundle.load_student(), bundle.text_encoder, bundle.golden, bundle.items.recommendable)
    if bundle.manifest.variants is not None:
        bundle.load_variants()
    return bundle


if __name__ == "__main__":
    try:
        app()
    except StoreMissing as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_MISUSE)
    except (StillroomError, OSError) as error:  # a store that may not be read is for the operator too
        sys.exit(f"error: {error}")
