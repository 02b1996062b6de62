"""`python -m training canary`: give a share of people another bundle, as an arm in the declaration of experiments.

The file is edited as text, so that comments and order stay, checked as the service checks it, and replaced in one
step; services follow it. The same command with another share changes the share, and a share of 0 ends the canary.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from models.bundles.files import sync_folder
from models.bundles.registry import Registry
from models.experiments.declaration import Declaration
from models.experiments.key_lines import KeyPath, key_lines
from models.experiments.known import known_variants
from models.experiments.reading import parse_declaration
from training.base.errors import CanaryRefused

LAYER = """[[layer]]  # written by `python -m training canary`; it stands first, since the first layer decides
name = "{name}"

"""
BLOCK = """[[experiment]]  # written by `python -m training canary`
name = "{name}"
layer = "{name}"
share = [0, {end}]

[[experiment.arm]]
name = "{control}"
weight = 0.5

[[experiment.arm]]
name = "{arm}"
version = "{version}"
weight = 0.5

[experiment.guardrails]
p99_ms = {{ limit = 50, minimum_count = 500 }}
error_rate = {{ limit = 0.02, minimum_count = 500 }}
empty_rate = {{ limit = 0.02, minimum_count = 500 }}
"""
CONTROL, ARM = "in-service", "canary"


def set_canary(version: str, share_percent: float, *, file: Path, store: Path) -> str:
    """Declare, change or end the canary of a version, and say what was done. share_percent: of people, 0 to 50.

    As many people are its control, and nobody else is in the experiment; other experiments share the rest.

    Raises CanaryRefused, ExperimentsInvalid for a file that is or would be invalid, and RegistryError for a version
    that is not in the store; then the file is as it was.
    """
    registry = Registry(store)
    registry.path(version)
    if version in registry.promotions()[:1] and share_percent > 0:
        raise CanaryRefused(f"{version} is in service already; there is nothing to try out")
    text = file.read_text("utf-8") if file.exists() else ""
    known = known_variants(registry)
    declared = parse_declaration(text, known, str(file))
    changed, said = _changed(text, declared, version, share_percent / 100)
    parse_declaration(changed, known, str(file))
    _replace(file, changed)
    return said


def canary_name(version: str) -> str:
    """Return the experiment's name, in characters that names may have."""
    return f"canary-{version.lower()}"


def _changed(text: str, declared: Declaration, version: str, share: float) -> tuple[str, str]:
    name = canary_name(version)
    place = _place(declared, name)
    end = _number(2 * share)
    said = f"{100 * share:.4g} % of all people get {version}, as many are its control: {name}"
    if place is None:
        if share == 0:
            raise CanaryRefused(f"there is no canary of {version}, so there is none to end")
        block = BLOCK.format(name=name, control=CONTROL, arm=ARM, version=version, end=end)
        return f"{_with_layer(text, name).rstrip()}\n\n{block}", said
    if share == 0:
        layers = [layer.name for layer in declared.layers]
        without = _without(text, ("experiment", place))
        over = f"{name} is over; everybody gets what is in service"
        return _without(without, ("layer", layers.index(name))), over
    lines = text.split("\n")
    lines[_line(text, ("experiment", place, "share"))] = f"share = [0, {end}]"
    return "\n".join(lines), said


def _place(declared: Declaration, name: str) -> int | None:
    """Return the canary's position among the experiments. Raises CanaryRefused if it was changed by hand."""
    for number, experiment in enumerate(declared.experiments):
        if experiment.name == name:
            if [arm.name for arm in experiment.arms] != [CONTROL, ARM] or experiment.layer != name:
                raise CanaryRefused(
                    f"{name} has other arms than {CONTROL} and {ARM}, or another layer than its own; "
                    "edit the file by hand"
                )
            return number
    return None


def _with_layer(text: str, name: str) -> str:
    """Put the canary's layer before all others, and before comments above the first of them."""
    lines = text.split("\n")
    first = min(key_lines(text).values(), default=1) - 1
    while first and lines[first - 1].startswith("#"):
        first -= 1
    return "\n".join([*lines[:first], LAYER.format(name=name) + "\n".join(lines[first:])])


def _without(text: str, own: KeyPath) -> str:
    """Remove a table, from its header to the line before the next header that is not its own."""
    lines, at = text.split("\n"), key_lines(text)
    first = at[own] - 1
    others = [line - 1 for path, line in at.items() if path[:2] != own and line - 1 > first]
    last = min(others, default=len(lines))
    while last < len(lines) and lines[last - 1].startswith("#"):
        last -= 1
    return "\n".join([*lines[:first], *lines[last:]]).rstrip() + "\n"


def _line(text: str, path: KeyPath) -> int:
    """Return the line of a key, from 0. Raises CanaryRefused if it is not written as this module does."""
    try:
        return key_lines(text)[path] - 1
    except KeyError as error:
        raise CanaryRefused("the canary was changed by hand; edit the file by hand") from error


def _number(share: float) -> str:
    return f"{share:.6g}"


def _replace(file: Path, text: str) -> None:
    temporary = file.parent / f".{file.name}-{secrets.token_hex(6)}"
    try:
        with temporary.open("w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(file.parent)
