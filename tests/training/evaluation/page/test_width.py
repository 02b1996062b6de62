"""The page in a browser: no table is cut off on a common screen, and what does not fit can be scrolled."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.training.evaluation.page.test_render import example
from training.evaluation.page.render import render

NAMES = ("chromium", "chromium-browser", "google-chrome")
HIDDEN = """() => [...document.querySelectorAll(".table")]
    .filter(table => table.scrollWidth > table.clientWidth)
    .map(table => [table.closest("section").id, getComputedStyle(table).overflowX, table.tabIndex])"""


@pytest.mark.parametrize(("width", "hidden"), [(1200, set()), (800, {("quality", "auto", 0)})])
def test_tables_fit_or_scroll_by_mouse_and_keyboard(
    tmp_path: Path, width: int, hidden: set[tuple[str, str, int]]
) -> None:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser here (tried: {', '.join(NAMES)}); Debian's package is chromium")
    (tmp_path / "quality.html").write_text(render(example()))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": width, "height": 800})
        page.goto((tmp_path / "quality.html").as_uri())
        found = {tuple(each) for each in page.evaluate(HIDDEN)}
        chromium.close()
    assert hidden <= found
    assert all(overflow == "auto" and index == 0 for _, overflow, index in found)
    assert found == hidden or width < 1200
