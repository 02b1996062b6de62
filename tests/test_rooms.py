"""Rooms: no circle of files or folders, and the processes of `service/` share only what lies below them all."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSES = ("models", "service", "training", "stillroom", "loadtest")

Graph = Mapping[str, set[str]]

SHARED = {"contract", "experiments", "log", "redis", "settings", "telemetry"}
"""Rooms of `service/` that more than one of its processes uses."""

MONITOR = {"monitor"}
API = {"admin", "answers", "bundles", "edge", "events", "limits", "people", "process", "scoring"}


def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for house in HOUSES:
        for file in (ROOT / house).rglob("*.py"):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = file
    return found


def arrows(names: Mapping[str, Path]) -> Graph:
    """What each module imports, wherever in the file, and whoever may only be checked for types."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for name, file in names.items():
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(ast.parse(file.read_text())):
            found[name] |= {each for each in _imported(node, package, names) if each != name}
    return found


def _imported(node: ast.AST, package: str, names: Mapping[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in names)
    elif isinstance(node, ast.ImportFrom):
        module = resolve_name("." * node.level + (node.module or ""), package)
        for alias in node.names:
            full = f"{module}.{alias.name}"
            if full in names or module in names:
                yield full if full in names else module


def room_of(name: str, names: Mapping[str, Path]) -> str:
    """The folder that a module lies in. A command stands above its folder: nobody imports it."""
    is_folder = names[name].name == "__init__.py"
    return name if is_folder or name.endswith(".__main__") else name.rpartition(".")[0]


def rooms(names: Mapping[str, Path], files: Graph) -> Graph:
    """The arrows between folders."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, imported in files.items():
        room = room_of(name, names)
        found[room] |= {room_of(each, names) for each in imported} - {room}
    return found


def test_imports_draw_no_circle_of_files_or_of_folders() -> None:
    names = modules()
    files = arrows(names)
    for graph in (files, rooms(names, files)):
        assert sum(map(len, graph.values())) > 100
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            pytest.fail(" → ".join(error.args[1]))


def test_every_room_of_the_service_is_of_the_api_of_the_monitor_or_shared() -> None:
    found = {folder.parent.name for folder in (ROOT / "service").glob("*/__init__.py")}
    assert found == SHARED | MONITOR | API


@pytest.mark.parametrize(
    ("group", "may_use"), [(SHARED, SHARED), (MONITOR, SHARED | MONITOR), (API, SHARED | API)]
)
def test_log_api_and_monitor_know_of_each_other_only_what_lies_below(
    group: set[str], may_use: set[str]
) -> None:
    for name, imported in arrows(modules()).items():
        if f"{name}.".startswith(tuple(f"service.{room}." for room in group)):
            used = {each.split(".")[1] for each in imported if each.startswith("service.")}
            assert used <= may_use, name
