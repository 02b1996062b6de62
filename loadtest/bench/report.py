"""Write the report for machines (JSON), for a terminal (lines) and for people (one HTML page, all inline)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from loadtest.bench.stage_bars import draw_stage_bars

MEBIBYTE = 2**20
WORDS = {True: "reached", False: "missed", None: "not measured"}

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;"
    "text-align:right}td:first-child,th:first-child{text-align:left}.missed{color:#b00020}.reached{color:#1b6e3c}"
    "svg{max-width:100%}"
)

Row = Sequence[object]


class Table:
    """A table for the terminal and for the page."""

    def __init__(self, title: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        self.title = title
        self.columns = columns
        self.rows = [[_shown(cell) for cell in row] for row in rows]

    def lines(self) -> Iterator[str]:
        """Yield aligned lines, with the first column to the left."""
        grid = [list(self.columns), *self.rows]
        widths = [max(len(row[column]) for row in grid) for column in range(len(self.columns))]
        yield ""
        yield self.title
        for first, *others in grid:
            cells = [first.ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
            yield "  " + "  ".join(cells)

    def html(self) -> str:
        """Return a table element under its title."""
        head = "".join(f"<th>{escape(column)}</th>" for column in self.columns)
        body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.rows)
        return f"<h2>{escape(self.title)}</h2><table><tr>{head}</tr>{body}</table>"


def write_report(report: Mapping[str, Any], out: Path) -> Path:
    """Write the JSON to `out` and the page beside it; returns the page's path."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")
    page = out.with_suffix(".html")
    page.write_text(render(report))
    return page


def summary_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines for the terminal."""
    yield f"{report['machine']['cpu']}: {_searched_with(report)}"
    for table in tables(report):
        yield from table.lines()
    yield ""


def render(report: Mapping[str, Any]) -> str:
    """Render the page."""
    machine = report["machine"]
    setting = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, "
        f"{machine['os']} {machine['kernel']}, Python {machine['python']}; {report['code']['date']}, "
        f"revision {str(report['code']['revision'])[:12]}; {_searched_with(report)}"
    )
    bars = "".join(
        f"<h2>{escape(title)}</h2>{draw_stage_bars(stages)}"
        for title, stages in stage_groups(report)
        if stages
    )
    parts = [
        f"<p>{escape(setting)}</p><p>{escape(report['method'])}</p>",
        *(t.html() for t in tables(report)),
        bars,
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Bench</title>'
        f"<style>{STYLE}</style><h1>Bench</h1>{''.join(parts)}</html>\n"
    )


def stage_groups(report: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """Yield a title and, by size, the mean microseconds of each stage."""
    for key, title in (
        ("alone", "Where an answer's time goes, one request at a time (µs)"),
        ("at_half_of_saturation", "Where it goes at half of saturation, waiting included (µs)"),
    ):
        yield title, {size: groups[key] for size, groups in report["stages"].items() if key in groups}


def tables(report: Mapping[str, Any]) -> list[Table]:
    """Return every table that has a row."""
    made = [
        _headline(report),
        _scenarios(report),
        _peers(report),
        *(_stages(title, stages) for title, stages in stage_groups(report)),
        _scale(report),
        _people(report),
        Table("Bounds", ("what", "bound", "reached", ""), list(_verdict_rows(report))),
        Table("What failed to run", ("part", "error"), [list(each.values()) for each in report["errors"]]),
    ]
    return [table for table in made if table.rows]


def _headline(report: Mapping[str, Any]) -> Table:
    columns = (
        "items",
        "searched with",
        "of a bare echo",
        "of itself without the live log",
        "recall@100",
        "open loop, req/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "failures",
    )
    rows = [
        (
            size,
            report["kernels"][size],
            ratio,
            _vs_unlogged(report, size),
            report["recall_at_100"].get(size),
            *(report["open_loop"][size][key] for key in ("rate", "p50_ms", "p99_ms", "p999_ms", "failures")),
        )
        for size, ratio in report["recommend_vs_bare"].items()
    ]
    echoes = [
        (
            f"{size}, echo",
            None,
            None,
            None,
            None,
            *(loop["echo"][key] for key in ("p50_ms", "p99_ms", "p999_ms", "failures")),
        )
        for size, loop in report["open_loop"].items()
    ]
    rows += [(*row[:5], None, *row[5:]) for row in echoes]
    return Table("An answer", columns, rows)


def _searched_with(report: Mapping[str, Any]) -> str:
    """Name the instructions used, because other instructions give other figures."""
    names = sorted(set(report["kernels"].values()))
    return (
        f"the catalogue is searched with {' and '.join(names)} instructions"
        if names
        else "nothing is searched"
    )


def _vs_unlogged(report: Mapping[str, Any], size: str) -> str | None:
    if size not in report["recommend_vs_unlogged"]:
        return None
    least, greatest = report["recommend_vs_unlogged_interval"][size]
    return f"{report['recommend_vs_unlogged'][size]:.3f} ({least:.3f} to {greatest:.3f})"


def _scenarios(report: Mapping[str, Any]) -> Table:
    columns = (
        "items",
        "request",
        "share of a day",
        "answers / CPU s",
        "cost in plain answers",
        "p50 alone, ms",
        "full",
    )
    keys = ("share_of_day", "answers_per_cpu_second", "cost_in_plain_answers", "p50_ms", "full_share")
    rows: list[Row] = []
    for size, scenarios in report["scenarios"].items():
        rows += [(size, name, *(figures[key] for key in keys)) for name, figures in scenarios.items()]
        rows.append((size, "the whole day", 1.0, None, report["blended_cost"][size], None, None))
    return Table("Kinds of requests", columns, rows)


def _peers(report: Mapping[str, Any]) -> Table:
    rows: list[Row] = []
    for name, by_size in report["peers"].items():
        for size, figures in by_size.items():
            if isinstance(figures, Mapping):
                keys = ("ratio", "answers_per_cpu_second", "seconds_to_ready", "shared_items")
                rows.append((name, size, *(figures.get(key) for key in keys), figures.get("error", "")[:70]))
        if not by_size or set(by_size) == {"error"}:
            rows.append((name, "", None, None, None, None, str(by_size.get("error", ""))[:70]))
    columns = ("peer", "items", "ours / theirs", "answers / CPU s", "s to ready", "shared items", "error")
    return Table("Peers, answers a CPU second", columns, rows)


def _stages(title: str, stages: Mapping[str, Mapping[str, float]]) -> Table:
    names = list(next(iter(stages.values()), {}))
    return Table(title, ("items", *names), [(size, *figures.values()) for size, figures in stages.items()])


def _scale(report: Mapping[str, Any]) -> Table:
    columns = (
        "items x people",
        "cold start, s",
        "warm start, s",
        "resident",
        "private of a further worker",
        "bundle",
    )
    rows = [
        (
            f"{row['n_items']:,} x {row['n_people']:,}",
            row["seconds_to_ready_cold"],
            row["seconds_to_ready_warm"],
            f"{row['one_worker']['resident_bytes'] / MEBIBYTE:.0f} MiB",
            f"{row['further_worker']['private_bytes'] / MEBIBYTE:.0f} MiB",
            f"{row['bundle_bytes'] / MEBIBYTE:,.0f} MiB",
        )
        for row in report["scale"]
    ]
    return Table("Start, memory, disk", columns, rows)


def _people(report: Mapping[str, Any]) -> Table:
    keys = ("answers_per_cpu_second", "relative_to_first", "p50_ms")
    rows = [
        (f"{row['n_items']:,} x {row['n_people']:,}", *(row[key] for key in keys))
        for row in report["people_sweep"]
    ]
    return Table(
        "By number of people", ("items x people", "answers / CPU s", "relative", "p50 alone, ms"), rows
    )


def _verdict_rows(report: Mapping[str, Any]) -> Iterator[Row]:
    for verdict in report["verdicts"]:
        yield verdict["what"], verdict["bound"], verdict["reached"], WORDS[verdict["is_met"]]


def _shown(cell: object) -> str:
    if cell is None:
        return "–"
    return (
        f"{cell:,.4g}"
        if isinstance(cell, float) and abs(cell) < 1000
        else (f"{cell:,.0f}" if isinstance(cell, float) else str(cell))
    )


def _cell(text: str) -> str:
    kind = f' class="{text}"' if text in ("missed", "reached") else ""
    return f"<td{kind}>{escape(text)}</td>"
