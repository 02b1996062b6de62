"""The app to which commands are added, the console they print on, and the options that several of them share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

# Threads that spin while waiting took 4 to 6 times as long beside another process. OpenMP reads this when it loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

ABOUT = "Train, evaluate and report from the command line: `python -m training train | evaluate | tune | report | …`."

app = typer.Typer(help=ABOUT, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console() if sys.stdout.isatty() else Console(width=118)

Runs = Annotated[Path, typer.Option(help="Folder of training runs.")]
SettingsFile = Annotated[Path | None, typer.Option(help="TOML file of settings; `settings` lists them all.")]
Seed = Annotated[int | None, typer.Option(help="Random seed; default: that of the settings (0).")]
Items = Annotated[Path | None, typer.Option(help="Item table or item texts, if they are in a separate file.")]
