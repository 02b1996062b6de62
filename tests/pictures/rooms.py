"""Rooms and arrows as the imports are: rooms in layers, whoever imports above what is imported.

An arrow that follows from others is not drawn (a transitive reduction), so that a picture stays readable. Layers,
crossings and places follow Sugiyama, Tagawa and Toda 1981, simplified.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from itertools import pairwise

from tests.pictures.svg import Drawing, width_of
from tests.test_rooms import HOUSES, arrows, modules

Graph = dict[str, set[str]]
Point = str | tuple[str, str, int]
"""A room, or where the arrow from one room to another passes a layer."""

MARGIN, GAP, LAYER, HEIGHT, PADDING = 24, 22, 78, 30, 12
PASSING = 6
"""Width that an arrow takes where it passes a layer."""
SWEEPS = 24


def houses() -> Graph:
    """Which house imports which."""
    found: Graph = {house: set() for house in HOUSES}
    for name, imported in _imports().items():
        house = name.partition(".")[0]
        found[house] |= {each.partition(".")[0] for each in imported} - {house}
    return found


def rooms_of(house: str) -> Graph:
    """Which room of a house imports which; a file that lies in no folder of the house is a room. Commands are left
    out: nobody imports them.
    """
    found: Graph = defaultdict(set)
    for name, imported in _imports().items():
        if name.startswith(f"{house}.") and name != f"{house}.__main__":
            own = _room(name)
            found[own] |= {_room(each) for each in imported if each.startswith(f"{house}.")} - {own}
    return dict(found)


def reduced(graph: Graph) -> Graph:
    """The same without arrows that follow from others."""
    reach = reachable(graph)
    return {
        room: {to for to in targets if not any(to in reach[other] for other in targets - {to})}
        for room, targets in graph.items()
    }


def reachable(graph: Graph) -> Graph:
    """Every room that one can get to from each."""
    reach: Graph = {}
    for room in TopologicalSorter(graph).static_order():
        targets = graph.get(room, set())
        reach[room] = targets.union(*(reach[to] for to in targets))
    return reach


def draw_rooms(title: str, graph: Graph) -> str:
    """The picture of a graph without circles."""
    drawn = reduced(graph)
    layers = _ordered(_layers(drawn), drawn)
    places = _places(layers)
    drawing = Drawing(title)
    for room in sorted(drawn):
        for to in sorted(drawn[room]):
            drawing.arrow(list(_way(room, to, layers, places)))
    for layer in layers:
        for point in layer:
            if isinstance(point, str):
                x, y = places[point]
                drawing.box(x - _width(point) / 2, y, _width(point), HEIGHT)
                drawing.text(x, y + 20, point, anchor="middle")
    width = max(x + _width(point) / 2 for point, (x, _) in places.items()) + MARGIN
    return drawing.finished(width, MARGIN * 2 + (len(layers) - 1) * LAYER + HEIGHT)


@cache
def _imports() -> Mapping[str, set[str]]:
    """What each module imports; read once, which takes seconds."""
    return arrows(modules())


def _room(name: str) -> str:
    return name.split(".")[1]


def _depths(graph: Graph) -> dict[str, int]:
    """Longest way down from each room."""
    depths: dict[str, int] = {}
    for room in TopologicalSorter(graph).static_order():
        depths[room] = 1 + max((depths[to] for to in graph.get(room, ())), default=-1)
    return depths


def _layers(graph: Graph) -> list[list[Point]]:
    """Rooms by depth, deepest last, and in between where long arrows pass."""
    depths = _depths(graph)
    top = max(depths.values())
    layers: list[list[Point]] = [[] for _ in range(top + 1)]
    for room in sorted(depths):
        layers[top - depths[room]].append(room)
        for to in sorted(graph.get(room, ())):
            for layer in range(top - depths[room] + 1, top - depths[to]):
                layers[layer].append((room, to, layer))
    return layers


def _ordered(layers: list[list[Point]], graph: Graph) -> list[list[Point]]:
    """Points of each layer by the mean place of those that they are joined to, down and up, many times."""
    above, below = _neighbours(layers, graph)
    for sweep in range(SWEEPS):
        goes_down = sweep % 2 == 0
        joined, beside = (above, -1) if goes_down else (below, 1)
        order = range(1, len(layers)) if goes_down else range(len(layers) - 2, -1, -1)
        for number in order:
            layers[number] = _by_neighbours(layers[number], layers[number + beside], joined)
    return layers


def _by_neighbours(
    layer: list[Point], beside: list[Point], joined: Mapping[Point, list[Point]]
) -> list[Point]:
    places, own = _shares(beside), _shares(layer)
    means = {point: _mean([places[each] for each in joined.get(point, ())], own[point]) for point in layer}
    return sorted(layer, key=means.__getitem__)


def _shares(layer: list[Point]) -> dict[Point, float]:
    """Where each point stands, from 0 at the left to 1 at the right."""
    return {point: position / max(len(layer) - 1, 1) for position, point in enumerate(layer)}


def _neighbours(
    layers: list[list[Point]], graph: Graph
) -> tuple[Mapping[Point, list[Point]], Mapping[Point, list[Point]]]:
    above: dict[Point, list[Point]] = defaultdict(list)
    below: dict[Point, list[Point]] = defaultdict(list)
    for room in sorted(graph):
        for to in sorted(graph[room]):
            way = _points(room, to, layers)
            for upper, lower in pairwise(way):
                below[upper].append(lower)
                above[lower].append(upper)
    return above, below


def _points(room: str, to: str, layers: list[list[Point]]) -> list[Point]:
    passing = [point for layer in layers for point in layer if point[:2] == (room, to)]
    return [room, *passing, to]


def _mean(places: list[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def _width(point: Point) -> float:
    return width_of(point) + 2 * PADDING if isinstance(point, str) else PASSING


def _places(layers: list[list[Point]]) -> dict[Point, tuple[float, float]]:
    """The middle of each point's upper edge; every layer spread over the width of the widest."""
    needed = [sum(map(_width, layer)) + GAP * (len(layer) - 1) for layer in layers]
    widest = max(needed)
    places: dict[Point, tuple[float, float]] = {}
    for number, layer in enumerate(layers):
        spare = (widest - needed[number]) / (len(layer) + 1)
        x = MARGIN + spare
        for point in layer:
            places[point] = (x + _width(point) / 2, MARGIN + number * LAYER)
            x += _width(point) + GAP + spare
    return places


def _way(
    room: str, to: str, layers: list[list[Point]], places: dict[Point, tuple[float, float]]
) -> Iterator[tuple[float, float]]:
    x, y = places[room]
    yield x, y + HEIGHT
    for point in _points(room, to, layers)[1:-1]:
        x, y = places[point]
        yield x, y
        yield x, y + HEIGHT
    yield places[to]
