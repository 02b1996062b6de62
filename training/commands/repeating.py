"""Write the command that repeats a run, which the run keeps and its report shows."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

SETTINGS_FILE = "settings.toml"
"""Name of the settings file, whose content the report shows: all settings of the run, so --quick is not repeated."""


def repeating(verb: str, source: Path | None, options: Mapping[str, object], *, seed: int) -> str:
    """Return a shell command. options: by name without dashes; one without a value is left out, a list is repeated.

    Store, runs folder and promotion are left out: they say where results go and not what they are.
    """
    words = ["python", "-m", "training", verb, *([] if source is None else [str(source)])]
    for name, value in {**options, "seed": seed, "settings": SETTINGS_FILE}.items():
        if value is True:
            words.append(f"--{name}")
            continue
        for each in value if isinstance(value, list) else [value]:
            if each is not None and each is not False and each != "":
                words += [f"--{name}", str(each)]
    return shlex.join(words)
