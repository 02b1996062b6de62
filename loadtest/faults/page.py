"""Write the page of a drill, for people: what was broken, what was seen, and a picture of each row."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from loadtest.faults.row import MEBIBYTE
from loadtest.faults.schema import MemoryFigures, Report, RowReport
from loadtest.faults.timeline_picture import draw_timeline

GROUPS = {
    "redis": "Redis",
    "replies": "What Redis says",
    "line": "The line to Redis",
    "clients": "Clients",
    "processes": "Processes",
    "machine": "The machine",
    "store": "The store of bundles",
}


def write_page(report: Report, out: Path) -> Path:
    """Write the page beside the JSON, and return its path."""
    page = out.with_suffix(".html")
    page.write_text(render(report))
    return page


def render(report: Report) -> str:
    """Render the page, with everything inline."""
    pages = Environment(
        loader=PackageLoader("loadtest.faults"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"grown_mib": grown_mib, "listed": listed}
    groups = [(GROUPS[name], list(rows)) for name, rows in groupby(report.rows, lambda row: row.group)]
    return pages.get_template("faults.html.j2").render(
        report=report, groups=groups, tiles=tiles(report), pictures=_pictures(report)
    )


def tiles(report: Report) -> list[tuple[str, str]]:
    """Return figures over all rows together, each with its caption."""
    rows = report.rows
    recoveries = [row.recovery_seconds for row in rows if row.recovery_seconds is not None]
    return [
        (f"{report.held} of {len(rows)}", "rows held"),
        (f"{sum(row.asked for row in rows):,}", "questions asked"),
        (f"{sum(row.failed for row in rows):,}", "failed"),
        (f"{sum(row.wrong for row in rows):,}", "wrong, and did not say so"),
        (f"{sum(row.events.accepted for row in rows if row.events):,}", "events accepted"),
        (f"{sum(row.events.lost for row in rows if row.events):,}", "lost"),
        (f"{max(recoveries, default=0.0):.1f} s", "longest way back"),
    ]


def grown_mib(memory: MemoryFigures) -> str:
    """Format how much the service's memory grew."""
    return f"{(memory.peak_bytes - memory.before_bytes) / MEBIBYTE:+.0f} MiB"


def listed(counts: dict[str, int]) -> str:
    """Format counts with their words."""
    return ", ".join(f"{n:,} {words}" for words, n in counts.items())


def _pictures(report: Report) -> dict[str, Markup]:
    """Draw the picture of each row, by its name."""
    return {
        row.name: _picture(row, report.plan.deadline_ms) for row in report.rows if row.timeline is not None
    }


def _picture(row: RowReport, deadline_ms: float) -> Markup:
    assert row.timeline is not None
    return Markup(draw_timeline(row.timeline, deadline_ms))  # it is made only of numbers
