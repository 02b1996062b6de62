"""What a notebook learns with: read a shop, train on it, evaluate on it.

Each function imports the training side when it is called, so that a bundle can be loaded where no torch is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from models.bundles.registry import DEFAULT_STORE, Registry
from models.errors import StillroomError
from stillroom.model import Metrics, Model, load_bundle

if TYPE_CHECKING:
    from rich.console import Console

    from training.data.shop import Shop
    from training.recipe.settings import TrainingSettings

Settings = Mapping[str, Any]
"""Training settings by name, tables as mappings: {"members": ["als", "ease"], "als": {"n_factors": 64}}."""


class TrainingMissing(StillroomError):
    """What was called needs a library of the extra `training`, which is not installed; the message names both."""


def read_shop(
    path: str | Path,
    *,
    items: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
    default_kind: str = "",
    time_format: str = "",
    accept: Sequence[str] = (),
) -> Shop:
    """Read a shop's events and items: a file or a folder in one of the layouts that the README lists.

    items: the item table that belongs to a single table of events. columns: the shop's own column names, as
    {"user_id": "customer", "items_item_id": "sku"}. kinds: what the shop's words for kinds mean, as
    {"addtocart": "cart"}. default_kind: of every row of a table without kinds. time_format: how times are written, if
    the file does not tell, such as "day-first". accept: names of losses that are all right.
    The answer has `events` and `items` as polars tables, and `dropped`, which counts the rows that were left out by
    reason.
    Raises a DataError of `training.base.errors` that says what was found and what is needed.
    """
    with _training_installed():
        from training.data.options import reading_options
        from training.data.read import read_shop as read
    options = reading_options(
        columns=",".join(f"{ours}={theirs}" for ours, theirs in (columns or {}).items()),
        kinds=",".join(f"{theirs}={ours}" for theirs, ours in (kinds or {}).items()),
        default_kind=default_kind,
        time_format=time_format,
        accept=",".join(accept),
    )
    return read(Path(path), options=options, items=None if items is None else Path(items))


def train(
    shop: Shop,
    *,
    store: str | Path = DEFAULT_STORE,
    runs: str | Path = "runs",
    settings: Settings | None = None,
    quick: bool = False,
    seed: int | None = None,
    promote: bool = False,
    progress: bool = False,
) -> Model:
    """Fit, combine, distil, compress and measure as `python -m training train` does; write a bundle and load it.

    store: folder of bundles. runs: folder of what reports read. settings: what differs from the defaults, by the
    names in docs/training-settings.md. quick: smaller and shorter, to look at. seed: random seed, the settings'
    own if None. promote: put the bundle into service. progress: print stages as they go.
    Raises a TrainingError of `training.base.errors` that says what is wrong with the data or the settings.
    """
    with _training_installed():
        from training.pipeline.train import train as run_training
    trained = run_training(
        shop, _settings(settings, quick, seed), store=Path(store), runs=Path(runs), console=_console(progress)
    )
    if promote:
        Registry(Path(store)).promote(trained.bundle.name)
    return load_bundle(trained.bundle)


def evaluate(
    shop: Shop,
    *,
    protocol: Literal["next_basket", "leave_last_out"] = "next_basket",
    settings: Settings | None = None,
    quick: bool = False,
    seed: int | None = None,
    progress: bool = False,
) -> Metrics:
    """Hold a part of the events out, train on the rest and ask; writes no bundle. Figures are model → metric → value.

    protocol: "next_basket" cuts time once for everybody, "leave_last_out" asks for each person's last new item;
    docs/evaluation.md says what each figure means. Models are baselines, members, "ensemble" and the students, of
    which "student_shipped" is what `train` would ship. Other arguments and errors are those of `train`.
    """
    with _training_installed():
        from training.base.progress import Stages
        from training.evaluation.assessment import ask_everybody, protocol_part
        from training.learning.fit import fit_ensemble, teach_student
        from training.pipeline.train import prepare, split_shop
    chosen, stages = _settings(settings, quick, seed), Stages(_console(progress))
    split = split_shop(prepare(shop, chosen, stages), protocol, chosen)
    taught = fit_ensemble(split, chosen, stages)
    with TemporaryDirectory(prefix="stillroom-evaluate-") as folder:
        learned = teach_student(taught, split, chosen, Path(folder), stages)
        assessment = ask_everybody(split, taught, learned, chosen, stages, {})
    figures: Metrics = protocol_part(split, taught, assessment, chosen).protocols[protocol].models
    return figures


def _settings(given: Settings | None, quick: bool, seed: int | None) -> TrainingSettings:
    from training.recipe.settings import settings_from

    return settings_from(given or {}, quick=quick, seed=seed)


def _console(is_shown: bool) -> Console:
    from rich.console import Console

    return Console(quiet=not is_shown)


@contextmanager
def _training_installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise TrainingMissing(
            f"{error.name} is not installed; reading, training and evaluating need the extra: "
            "pip install 'stillroom[training]'"
        ) from error
