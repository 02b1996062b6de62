"""Ways through the house, each drawn from a small text beside its picture in docs/pictures/.

    # title                      a line that says what the times are
    step | what happens | where | time
    - what happens instead       goes aside from the step above it
    & step | …                   goes on beside the step above it, from the one before that

A time that begins with @ is looked up in a table of docs/performance.md: `@column` or `@row`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from textwrap import wrap

from tests.pictures.svg import Drawing, width_of
from tests.support.repository import ROOT

LETTERS, ASIDE_LETTERS = 62, 40
"""Of one line in a step, and beside it."""
MARGIN, LINE, PADDING, BETWEEN = 24, 18, 10, 26
FIRST_LINE = PADDING + 12


@dataclass
class Step:
    """One box of the way, and what goes aside from it."""

    name: str
    what: list[str]
    where: str
    time: str
    is_beside: bool = False
    asides: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """What is written under the name."""
        return [*self.what, *([self.where] if self.where else [])]

    @property
    def aside_lines(self) -> list[str]:
        """What is written beside it."""
        return [
            line
            for aside in self.asides
            for line in wrap(f"• {aside}", ASIDE_LETTERS, break_on_hyphens=False)
        ]

    @property
    def height(self) -> float:
        """Pixels of the box."""
        return PADDING * 2 + LINE * max(len(self.lines) + 1, len(self.aside_lines))


def read_way(text: str) -> tuple[str, list[str], list[Step]]:
    """Title, what the times are, and the steps."""
    title, notes = "", list[str]()
    steps = list[Step]()
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("# "):
            title = line.removeprefix("# ")
        elif line.startswith("- "):
            steps[-1].asides.append(line.removeprefix("- "))
        elif "|" in line:
            name, what, where, time = (part.strip() for part in line.split("|"))
            is_beside = name.startswith("& ")
            steps.append(Step(name.removeprefix("& "), wrap(what, LETTERS), where, _time(time), is_beside))
        else:
            notes.append(line)
    return title, notes, steps


def draw_way(text: str) -> str:
    """The picture of a way."""
    title, notes, steps = read_way(text)
    drawing, width = Drawing(title), width_of("x" * LETTERS)
    aside_x = MARGIN + width + 48
    drawing.text(MARGIN, MARGIN + 10, title, "title")
    y: float = MARGIN + 10
    for note in notes:
        for line in wrap(note, LETTERS + ASIDE_LETTERS):
            y += LINE
            drawing.text(MARGIN, y, line, "quiet")
    y += BETWEEN
    tops = list[float]()
    for step in steps:
        _draw_step(drawing, step, y, width, aside_x)
        if step.is_beside:
            drawing.arrow_around(MARGIN, tops[-2] + FIRST_LINE, y + FIRST_LINE)
        elif tops:
            drawing.arrow([(MARGIN + 60, y - BETWEEN), (MARGIN + 60, y)])
        tops.append(y)
        y += step.height + BETWEEN
    right = (
        aside_x + width_of("x" * ASIDE_LETTERS) + PADDING * 2
        if any(s.asides for s in steps)
        else aside_x - 48
    )
    return drawing.finished(right + MARGIN, y - BETWEEN + MARGIN)


def _draw_step(drawing: Drawing, step: Step, y: float, width: float, aside_x: float) -> None:
    drawing.box(MARGIN, y, width, step.height)
    drawing.text(MARGIN + PADDING, y + FIRST_LINE, step.name, "title")
    if step.time:
        drawing.text(MARGIN + width - PADDING, y + FIRST_LINE, step.time, "title", anchor="end")
    for row, line in enumerate(step.lines, start=1):
        kind = "quiet" if line == step.where else ""
        drawing.text(MARGIN + PADDING, y + FIRST_LINE + LINE * row, line, kind)
    if step.asides:
        lines = step.aside_lines
        height = PADDING * 2 + LINE * len(lines)
        drawing.arrow_right(MARGIN + width, y + height / 2, aside_x)
        drawing.box(aside_x, y, width_of("x" * ASIDE_LETTERS) + PADDING * 2, height, "aside")
        for row, line in enumerate(lines):
            drawing.text(aside_x + PADDING, y + FIRST_LINE + LINE * row, line)


def _time(words: str) -> str:
    """The words, or what docs/performance.md has in the column or row of this name."""
    if not words.startswith("@"):
        return words
    name, _, unit = words.removeprefix("@").partition(" in ")
    for table in _tables((ROOT / "docs" / "performance.md").read_text()):
        head, *rows = table
        if name in head:
            column = head.index(name)
            return " · ".join(row[column] for row in rows) + f" {unit}"
        for row in rows:
            if row[0] == name:
                shown = [
                    figure for label, figure in zip(head[1:], row[1:], strict=True) if "before" not in label
                ]
                return " · ".join(shown) + f" {unit}"
    raise LookupError(f"docs/performance.md has no table with {name!r}")


def _tables(text: str) -> list[list[list[str]]]:
    """Every table of a page: rows of cells, the head first."""
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [
        [
            [cell.strip(" *") for cell in line.strip("|").split("|")]
            for line in table.splitlines()
            if "|---" not in line
        ]
        for table in tables
    ]
