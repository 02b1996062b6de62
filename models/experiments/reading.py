"""Reads the declaration of experiments and refuses what cannot be meant; each fault has its line."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, get_args

import msgspec

from models.errors import ExperimentsInvalid
from models.experiments.declaration import Declaration, Experiment, Outcome, Unit
from models.experiments.key_lines import KeyPath, key_lines, line_of

KnownVariants = Callable[[str], Collection[str] | None]
"""Returns what a bundle version, or "current", can serve; None for a version that is not in the store."""

WEIGHT_TOLERANCE = 1e-6
MAX_BYTES = 1_000_000
"""The bound on a file, enough for 2,000 experiments."""

ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


class Fault(NamedTuple):
    """A fault and its place."""

    path: KeyPath
    message: str


def read_declaration(file: Path, known_variants: KnownVariants) -> Declaration:
    """Read and check a declaration. Raises ExperimentsInvalid with one line a fault, `file:line: what is wrong`."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ExperimentsInvalid(
                f"{file}: is longer than {MAX_BYTES:,} bytes, which no declaration needs"
            )
        text = raw.decode()
    except OSError as error:
        raise ExperimentsInvalid(f"{file}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ExperimentsInvalid(f"{file}: is not UTF-8: {error}") from error
    return parse_declaration(text, known_variants, str(file))


def parse_declaration(text: str, known_variants: KnownVariants, name: str = "experiments") -> Declaration:
    """Check a declaration's text. name: the file's name in faults."""
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ExperimentsInvalid(_syntax_fault(error, name)) from error
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond Python's own limits
        raise ExperimentsInvalid(
            f"{name}:1: {error}; write numbers of a usual size, and no arrays in arrays"
        ) from error
    lines = key_lines(text)
    try:
        declaration = msgspec.convert(parsed, Declaration)
    except msgspec.ValidationError as error:
        fault = _schema_fault(str(error))
        raise ExperimentsInvalid(f"{name}:{line_of(fault.path, lines)}: {fault.message}") from error
    faults = sorted(
        (line_of(fault.path, lines), fault.message) for fault in _faults(declaration, known_variants)
    )
    if faults:
        raise ExperimentsInvalid("\n".join(f"{name}:{line}: {message}" for line, message in faults))
    return declaration


def running_time(experiment: Experiment) -> tuple[datetime, datetime]:
    """Return from when to when an experiment runs."""
    return experiment.start or ALWAYS[0], experiment.stop or ALWAYS[1]


def _faults(declaration: Declaration, known_variants: KnownVariants) -> Iterator[Fault]:
    yield from _duplicates(declaration)
    yield from _layer_faults(declaration)
    for number, experiment in enumerate(declaration.experiments):
        path: KeyPath = ("experiment", number)
        yield from _experiment_faults(experiment, path, declaration)
        for place, arm in enumerate(experiment.arms):
            variants = known_variants(arm.version)
            if variants is None:
                said = f"version {arm.version!r} is not in the store; `python -m models list` names what is"
                yield Fault((*path, "arm", place, "version"), said)
            elif arm.variant not in variants:
                held = ", ".join(sorted(variants))
                said = f"version {arm.version!r} has no variant {arm.variant!r}, it has: {held}"
                yield Fault((*path, "arm", place, "variant"), said)


def _duplicates(declaration: Declaration) -> Iterator[Fault]:
    experiments, layers = declaration.experiments, declaration.layers
    yield from _twice([layer.name for layer in layers], ("layer",), "layers are", "name")
    yield from _twice([each.name for each in experiments], ("experiment",), "experiments are", "name")
    if len({each.name for each in experiments}) == len(experiments):  # else their salts are equal too
        seeds = [each.seed for each in experiments]
        yield from _twice(seeds, ("experiment",), "experiments have the salt", "salt")
    for number, experiment in enumerate(experiments):
        names = [arm.name for arm in experiment.arms]
        yield from _twice(names, ("experiment", number, "arm"), "arms of one experiment are", "name")


def _twice(values: list[str], path: KeyPath, what: str, key: str) -> Iterator[Fault]:
    counts, seen = Counter(values), set()
    for place, value in enumerate(values):
        if value in seen:
            ending = "deals the same units alike" if key == "salt" else "is ambiguous"
            said = f"{counts[value]} {what} {'called ' if key == 'name' else ''}{value!r}, which {ending}; change one"
            yield Fault((*path, place, key), said)
        seen.add(value)


def _experiment_faults(experiment: Experiment, path: KeyPath, declaration: Declaration) -> Iterator[Fault]:
    total = sum(arm.weight for arm in experiment.arms)
    if abs(total - 1) > WEIGHT_TOLERANCE:
        yield Fault(
            path, f"the weights of {experiment.name!r} sum to {total:g}, not to 1; correct one of them"
        )
    low, high = experiment.share
    if low >= high:
        yield Fault(
            (*path, "share"), f"share is from {low:g} to {high:g}; the first must be below the second"
        )
    if experiment.layer is not None and experiment.layer not in {layer.name for layer in declaration.layers}:
        yield Fault((*path, "layer"), f"there is no layer {experiment.layer!r}; declare it under [[layer]]")
    times = {"start": experiment.start, "stop": experiment.stop}
    without_zone = [key for key, time in times.items() if time is not None and time.tzinfo is None]
    for key in without_zone:
        yield Fault((*path, key), f"{key} has no time zone; write it as 2024-01-31T00:00:00Z")
    if not without_zone and running_time(experiment)[0] >= running_time(experiment)[1]:
        yield Fault((*path, "stop"), f"{experiment.name!r} stops before it starts")


def _layer_faults(declaration: Declaration) -> Iterator[Fault]:
    arms = {f"{each.name}/{arm.name}": each.layer for each in declaration.experiments for arm in each.arms}
    inside = {layer.name: layer.inside for layer in declaration.layers}
    for number, layer in enumerate(declaration.layers):
        path = ("layer", number, "inside")
        if layer.inside is not None and layer.inside not in arms:
            yield Fault(
                path, f"layer {layer.name!r} is inside {layer.inside!r}, which is no experiment/arm here"
            )
        elif (cycle := _cycle(layer.name, inside, arms)) is not None:
            yield Fault(path, f"layer {layer.name!r} is inside itself: {' in '.join(cycle)}; break the cycle")
        members = [each for each in enumerate(declaration.experiments) if each[1].layer == layer.name]
        yield from _neighbour_faults(members, layer.name)


def _cycle(layer: str, inside: dict[str, str | None], arms: dict[str, str | None]) -> list[str] | None:
    """Return the path from a layer outwards, if it comes back to the layer."""
    way: list[str] = [layer]
    at: str | None = layer
    while at is not None and (arm := inside.get(at)) is not None and len(way) <= 2 * len(inside):
        at = arms.get(arm)
        way += [arm] if at is None else [arm, at]
        if at == layer:
            return way
    return None


def _neighbour_faults(members: list[tuple[int, Experiment]], layer: str) -> Iterator[Fault]:
    """Find experiments of one layer that would share units. members: with their places in the file."""
    if len({experiment.unit for _, experiment in members}) > 1:
        number = members[-1][0]
        said = (
            f"experiments in layer {layer!r} differ in their unit, so that one person could be in two of them"
        )
        yield Fault(("experiment", number, "unit"), f"{said}; give them one unit or two layers")
    ordered = sorted(members, key=lambda member: member[1].share)
    for place, (_, first) in enumerate(ordered):
        for number, second in ordered[place + 1 :]:
            if second.share[0] < first.share[1] and _at_once(first, second):
                low, high = second.share[0], min(first.share[1], second.share[1])
                said = (
                    f"{first.name!r} and {second.name!r} overlap in layer {layer!r} from {low:g} to {high:g}"
                )
                yield Fault(("experiment", number, "share"), f"{said}; move one, or give it another layer")


def _at_once(first: Experiment, second: Experiment) -> bool:
    if any(time and time.tzinfo is None for each in (first, second) for time in (each.start, each.stop)):
        return False  # this is a fault of its own
    (_, first_ends), (second_begins, _) = sorted((running_time(first), running_time(second)))
    return second_begins < first_ends


_CHOICES: dict[str, tuple[str, ...]] = {"unit": get_args(Unit), "outcome": get_args(Outcome)}


def _schema_fault(message: str) -> Fault:
    """Return msgspec's message in a reader's terms, and the place that it names."""
    said, _, at = message.partition(" - at `")
    path: KeyPath = tuple(
        int(number) if number else key for key, number in re.findall(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]", at)
    )
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", said)
    if unknown:
        return Fault((*path, unknown[1]), f"{unknown[1]!r} is no key here; docs/experiments.md lists them")
    choices = _CHOICES.get(str(path[-1])) if path else None
    if choices and said.startswith("Invalid enum value"):
        said = f"{said.removeprefix('Invalid enum value ')} is none of {', '.join(choices)}"
    where = ".".join(map(str, path)) or "the file"
    return Fault(path, f"{where}: {said[:1].lower()}{said[1:]}")


def _syntax_fault(error: tomllib.TOMLDecodeError, name: str) -> str:
    at = re.search(r"^(.*) \(at line (\d+), column \d+\)$", str(error))
    return f"{name}:{at[2]}: {at[1].lower()}" if at else f"{name}: {error}"
