from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from markupsafe import Markup

from training.evaluation import plots
from training.quality.schema import ReliabilityBin

VALUES = {"one": 0.25, "another": 0.75}
BINS = [ReliabilityBin(0.2, 0.1, 10), ReliabilityBin(0.8, 0.9, 20)]
DRAWN: dict[str, Callable[[], Markup]] = {
    "bars": lambda: plots.bars(VALUES, "a figure", highlighted={"one"}, intervals={"one": (0.2, 0.3)}),
    "differences": lambda: plots.differences({"one": (0.1, 0.2), "another": (-0.1, 0.1)}, "a gain"),
    "curves": lambda: plots.curves({"one": {"0": (0.1, (0.0, 0.2)), "1": (0.2, None)}}, "events", "quality"),
    "reliability": lambda: plots.reliability({"one": BINS}),
    "trade_off": lambda: plots.trade_off({"one": (0.3, 0.5), "another": (8.0, 0.6)}, "ms", "quality"),
    "columns": lambda: plots.columns({"1": 10, "2–4": 5}, "events", "people"),
}


def shapes(svg: str, colour: str) -> int:
    """How many filled shapes have a colour."""
    return svg.count(f"fill: {colour}")


@pytest.mark.parametrize("kind", DRAWN)
def test_a_plot_is_one_well_formed_svg_element_that_says_what_it_shows(kind: str) -> None:
    root = ElementTree.fromstring(DRAWN[kind]())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label")


@pytest.mark.parametrize("kind", DRAWN)
def test_the_same_figures_make_the_same_bytes(kind: str) -> None:
    assert DRAWN[kind]() == DRAWN[kind]()


def test_plots_on_one_page_share_no_element_id() -> None:
    ids = re.findall(r'\bid="([^"]*)"', "".join(draw() for draw in DRAWN.values()))
    assert len(ids) > len(DRAWN)
    assert len(ids) == len(set(ids))


def test_everything_referred_to_is_in_the_same_plot() -> None:
    for draw in DRAWN.values():
        svg = draw()
        ids = set(re.findall(r'\bid="([^"]*)"', svg))
        references = set(re.findall(r'(?:url\(|href=")#([^")]*)', svg))
        assert references <= ids


def test_text_stays_text() -> None:
    svg = DRAWN["bars"]()
    assert ">another<" in svg
    assert ">0.750<" in svg


def test_a_name_is_neither_markup_nor_a_formula() -> None:
    svg = plots.bars({"<b>": 0.5, "$x^2$": 0.4}, 'a "figure" & more')
    assert "&lt;b&gt;" in svg
    assert ">$x^2$<" in svg
    assert ElementTree.fromstring(svg).get("aria-label") == 'a "figure" & more'


def test_highlighted_bars_have_a_colour_of_their_own() -> None:
    plain, marked = plots.bars(VALUES, "a figure"), plots.bars(VALUES, "a figure", highlighted={"one"})
    assert (shapes(plain, plots.ACCENT), shapes(marked, plots.ACCENT)) == (0, 1)


def test_an_interval_that_includes_zero_is_pale() -> None:
    clear, unclear = ({"one": span} for span in ((0.1, 0.2), (-0.1, 0.2)))
    assert f"stroke: {plots.ACCENT}" in plots.differences(clear, "gain")
    assert f"stroke: {plots.ACCENT}" not in plots.differences(unclear, "gain")


def test_a_difference_below_zero_is_clear_too() -> None:
    assert f"stroke: {plots.ACCENT}" in plots.differences({"one": (-0.2, -0.1)}, "gain")


def test_the_settings_of_matplotlib_are_left_as_they_were() -> None:
    before = dict(mpl.rcParams)
    DRAWN["bars"]()
    assert dict(mpl.rcParams) == before


def test_a_plot_is_safe_to_put_into_a_page() -> None:
    assert isinstance(DRAWN["bars"](), Markup)
