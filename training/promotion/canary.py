"""`python -m training canary`: a share of people get another bundle, as an arm in the declaration of experiments.

The file is edited as text, so that comments and order stay, checked as the service checks it, and replaced in one
step; services follow it. The same command with another share moves it, and with a share of 0 takes it out.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from models.experiments.declaration import Declaration
from models.experiments.key_lines import KeyPath, key_lines
from models.experiments.known import known_variants
from models.experiments.reading import parse_declaration
from models.files import sync_folder
from models.registry import Registry
from training.errors import CanaryRefused

BLOCK = """[[experiment]]  # written by `python -m training canary`
name = "{name}"

[[experiment.arm]]
name = "{control}"
weight = {rest}

[[experiment.arm]]
name = "{arm}"
version = "{version}"
weight = {weight}

[experiment.guardrails]
p99_ms = {{ limit = 50, minimum_count = 500 }}
error_rate = {{ limit = 0.02, minimum_count = 500 }}
empty_rate = {{ limit = 0.02, minimum_count = 500 }}
"""
CONTROL, ARM = "in-service", "canary"


def set_canary(version: str, share_percent: float, *, file: Path, store: Path) -> str:
    """Declare, move or end the canary of a version; says what was done. share_percent: of people, 0 to 50.

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
    """The experiment's, which is made of letters that names may have."""
    return f"canary-{version.lower()}"


def _changed(text: str, declared: Declaration, version: str, share: float) -> tuple[str, str]:
    name = canary_name(version)
    place = _place(declared, name)
    if place is None:
        if share == 0:
            raise CanaryRefused(f"there is no canary of {version}, so there is none to end")
        weights = {"rest": _number(1 - share), "weight": _number(share)}
        block = BLOCK.format(name=name, control=CONTROL, arm=ARM, version=version, **weights)
        return f"{text.rstrip()}\n\n{block}".lstrip("\n"), f"{share:.3g} of all people get {version}: {name}"
    if share == 0:
        return _without(text, place), f"{name} is over; everybody gets what is in service"
    return _with_weights(text, place, (1 - share, share)), f"{name} now has {share:.3g} of all people"


def _place(declared: Declaration, name: str) -> int | None:
    """The canary's position among the experiments. Raises CanaryRefused for one that was changed by hand."""
    for number, experiment in enumerate(declared.experiments):
        if experiment.name == name:
            if [arm.name for arm in experiment.arms] != [CONTROL, ARM]:
                raise CanaryRefused(f"{name} has other arms than {CONTROL} and {ARM}; edit the file by hand")
            return number
    return None


def _with_weights(text: str, place: int, weights: tuple[float, float]) -> str:
    lines, at = text.split("\n"), key_lines(text)
    for arm, weight in enumerate(weights):
        line = at[("experiment", place, "arm", arm, "weight")] - 1
        lines[line] = f"weight = {_number(weight)}"
    return "\n".join(lines)


def _without(text: str, place: int) -> str:
    """From the experiment's header to the line before the next header that is not its own."""
    lines, at = text.split("\n"), key_lines(text)
    own: KeyPath = ("experiment", place)
    first = at[own] - 1
    others = [line - 1 for path, line in at.items() if path[:2] != own and line - 1 > first]
    return "\n".join([*lines[:first], *lines[min(others, default=len(lines)) :]]).rstrip() + "\n"


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
