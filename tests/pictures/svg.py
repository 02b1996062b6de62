"""A drawing of boxes, lines and texts as an SVG that reads on light and on dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

FONT_SIZE = 13
LETTER_WIDTH = 7.4
"""Pixels of a letter, taken wide: fonts differ between machines, and no text may leave its box."""

STYLE = """
  svg { font: 13px/1.3 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
  .page { fill: #ffffff; } .box { fill: #f1f4f8; stroke: #8492a6; } .aside { fill: #fff6e5; stroke: #c99a3c; }
  .line { fill: none; stroke: #5b6b80; stroke-width: 1.3; } .head { fill: #5b6b80; }
  text { fill: #1c2733; } .quiet { fill: #566476; } .title { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0f151c; } .box { fill: #1c2733; stroke: #5f7186; } .aside { fill: #33290f; stroke: #a07f38; }
    .line { stroke: #93a4b8; } .head { fill: #93a4b8; }
    text { fill: #e6ecf3; } .quiet { fill: #a9b6c5; }
  }
"""


class Drawing:
    """Shapes in the order in which they are drawn; x to the right, y down, pixels."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shapes: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, kind: str = "box") -> None:
        """A rectangle with round corners."""
        self._shapes.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6"/>'
        )

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        """One line; y is where its letters stand."""
        self._shapes.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def arrow(self, points: Sequence[tuple[float, float]]) -> None:
        """A line down through points, upright at each of them, with a head at the last."""
        (x, y), path = points[0], f"M{points[0][0]:.1f},{points[0][1]:.1f}"
        for next_x, next_y in points[1:]:
            middle = (y + next_y) / 2
            path += f" C{x:.1f},{middle:.1f} {next_x:.1f},{middle:.1f} {next_x:.1f},{next_y:.1f}"
            x, y = next_x, next_y
        self._shapes.append(f'<path class="line" d="{path}"/>')
        self._shapes.append(f'<path class="head" d="M{x:.1f},{y:.1f} l-4,-8 l8,0 z"/>')

    def arrow_right(self, x: float, y: float, to_x: float) -> None:
        """A level line with a head at its right end."""
        self._shapes.append(f'<path class="line" d="M{x:.1f},{y:.1f} H{to_x:.1f}"/>')
        self._shapes.append(f'<path class="head" d="M{to_x:.1f},{y:.1f} l-8,-4 l0,8 z"/>')

    def arrow_around(self, x: float, y: float, to_y: float) -> None:
        """From the left edge x of one box, around what lies between, to the left edge of a lower one."""
        self._shapes.append(f'<path class="line" d="M{x:.1f},{y:.1f} h-14 V{to_y:.1f} h14"/>')
        self._shapes.append(f'<path class="head" d="M{x:.1f},{to_y:.1f} l-8,-4 l0,8 z"/>')

    def finished(self, width: float, height: float) -> str:
        """The whole file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" role="img">\n<title>{escape(self._title)}</title>\n<style>{STYLE}</style>\n'
            '<rect class="page" width="100%" height="100%"/>\n'
        )
        return head + "\n".join(self._shapes) + "\n</svg>\n"


def width_of(words: str) -> float:
    """Pixels that a line of text takes, at most."""
    return len(words) * LETTER_WIDTH
