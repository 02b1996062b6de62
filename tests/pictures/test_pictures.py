"""Pictures say what the code says, and can be read."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest

from tests.pictures.pictures import FOLDER, WITH_ROOMS, pictures
from tests.pictures.rooms import Graph, draw_rooms, reachable, reduced, rooms_of
from tests.pictures.svg import width_of
from tests.pictures.ways import draw_way, read_way
from tests.support.repository import ROOT

NAMES = sorted(pictures())
SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]
"""x, y, x of the right side, y of the lower side."""


def texts_of(picture: str) -> list[tuple[str, Box]]:
    """Each line of text with the room that it takes, at most."""
    found = []
    for each in ET.fromstring(picture).iter(f"{SVG}text"):
        words, width = each.text or "", width_of(each.text or "")
        x, y = float(each.get("x", 0)), float(each.get("y", 0))
        x -= {"start": 0.0, "middle": width / 2, "end": width}[each.get("text-anchor", "start")]
        found.append((words, (x, y - 11, x + width, y + 3)))
    return found


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_picture_is_current(name: str) -> None:
    assert (FOLDER / name).read_text() == pictures()[name], "run make pictures and commit docs/pictures/"


def test_no_other_picture_is_committed_and_the_architecture_shows_all() -> None:
    assert sorted(file.name for file in FOLDER.glob("*.svg")) == NAMES
    shown = re.findall(r"\]\(pictures/(\S+\.svg)\)", (ROOT / "docs" / "architecture.md").read_text())
    assert sorted(shown) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_no_text_lies_on_another_or_leaves_the_page(name: str) -> None:
    picture = pictures()[name]
    width, height = (float(each) for each in ET.fromstring(picture).get("viewBox", "").split()[2:])
    texts = texts_of(picture)
    assert texts
    for (words, box), (others, other) in combinations(texts, 2):
        assert not overlap(box, other), (words, others)
    assert all(x >= 0 and right <= width and y >= 0 and lower <= height for _, (x, y, right, lower) in texts)


@pytest.mark.parametrize("house", WITH_ROOMS)
def test_every_import_between_rooms_is_an_arrow_or_follows_from_arrows(house: str) -> None:
    graph = rooms_of(house)
    drawn = reduced(graph)
    assert reachable(drawn) == reachable(graph)
    assert sum(map(len, drawn.values())) < sum(map(len, graph.values()))


def test_an_arrow_that_follows_from_others_is_not_drawn() -> None:
    graph: Graph = {"top": {"middle", "low"}, "middle": {"low"}, "low": set()}
    assert reduced(graph) == {"top": {"middle"}, "middle": {"low"}, "low": set()}
    picture = draw_rooms("three", graph)
    assert picture.count('class="line"') == 2
    heights = {words: box[1] for words, box in texts_of(picture)}
    assert heights["top"] < heights["middle"] < heights["low"]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("way-*.txt")), ids=lambda file: file.stem)
def test_files_and_rooms_that_a_way_names_are_there(file: object) -> None:
    _, _, steps = read_way(FOLDER.joinpath(str(file)).read_text())
    named = [part.strip() for step in steps for part in step.where.split(",") if part.strip()]
    assert named
    assert all((ROOT / each).exists() for each in named), named


def test_a_step_beside_another_follows_from_the_one_before_both() -> None:
    picture = draw_way(
        "# A way\nfirst | a | docs |\nleft | b | docs |\n& right | c | docs |\nlast | d | docs |\n"
    )
    ways = re.findall(r'class="line" d="([^"]+)"', picture)
    assert [" h-14 " in way for way in ways] == [False, True, False]


def test_times_are_those_of_the_performance_page() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    figures = re.findall(r"^\| (?:10k|100k|1m) \|.*\| (\d+) \|$", page, re.MULTILINE)
    assert len(figures) == 3
    assert " · ".join(figures) + " µs" in pictures()["way-of-a-request.svg"]


def test_a_time_that_the_page_does_not_have_is_an_error() -> None:
    with pytest.raises(LookupError, match="no table with 'teleport'"):
        draw_way("# A way\nstep | what | where | @teleport in µs\n")
