"""Write what tuning found as a settings file: a TOML of only the changed values, for `--settings`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.recipe.settings import TrainingSettings, dump_settings

HEAD = "# Found by tuning on the validation slice; every other setting stays at what it was.\n"


def write_tuned(before: TrainingSettings, after: TrainingSettings, file: Path) -> None:
    """Write the values of `after` that differ from `before`; read over `before` they give `after`."""
    old, new = dump_settings(before), dump_settings(after)
    changed = {name: value for name, value in new.items() if value != old[name]}
    tables = {name: value for name, value in changed.items() if isinstance(value, dict)}
    lines = [HEAD, *_lines({name: changed[name] for name in changed.keys() - tables.keys()})]
    others = tables.pop("other_members", {})  # tables within a table each get a heading of their own
    given = old["other_members"]
    tables |= {f"other_members.{name}": table for name, table in others.items()}
    old |= {f"other_members.{name}": given.get(name, {}) for name in others}
    for name, table in tables.items():
        differing = {
            setting: value
            for setting, value in table.items()
            if setting not in old[name] or value != old[name][setting]
        }
        lines += [f"\n[{name}]\n", *_lines(differing)]
    file.write_text("".join(lines), encoding="utf-8")


def _lines(values: dict[str, Any]) -> list[str]:
    """Write values as JSON, because numbers, strings and booleans look the same in TOML."""
    return [f"{name} = {json.dumps(value)}\n" for name, value in sorted(values.items())]
