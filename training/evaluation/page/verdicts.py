"""The page's first section: each bound beside what was reached, and the handful of figures to remember."""

from __future__ import annotations

from typing import Any

from training.evaluation.page import tables
from training.evaluation.requirements import Quality, figure_at, shipped_name


def verdicts(quality: Quality) -> dict[str, Any]:
    """Tiles, the misses in words, and the lists of verdicts. is_promised: promises were made for this very data."""
    groups = {
        "The service": quality.get("requirements", []),
        "The recipe, against the shop's own baselines": quality["targets"],
        "As promised for UCI Online Retail": quality.get("promises", []),
    }
    rows = [row for group in groups.values() for row in group]
    return {
        "tiles": tiles(quality),
        "groups": {
            title: [row | {"text": figure_text(row)} for row in group]
            for title, group in groups.items()
            if group
        },
        "missed": [row | {"text": figure_text(row)} for row in rows if not row["met"]],
        "n_asked": len(rows),
        "is_promised": bool(quality.get("promises")),
        "price": quality.get("price_per_vcpu_hour_usd"),
    }


def tiles(quality: Quality) -> list[tuple[str, str]]:
    """Figure and caption of what a reader should remember; those that were measured."""
    shipped = shipped_name(quality)
    found: list[tuple[str, str]] = []
    for protocol in list(quality.get("protocols", {}))[:1]:
        models = quality["protocols"][protocol]["models"]
        if {"ensemble", shipped} <= set(models):
            theirs, ours = models["ensemble"]["catalogue_ndcg@20"], models[shipped]["catalogue_ndcg@20"]
            found.append((tables.score(theirs), "the ensemble's NDCG@20, whole catalogue"))
            found.append(
                (tables.share(ours / theirs) if theirs else tables.NOTHING, "of it kept by the student")
            )
    for ratio, caption in (("size", "times smaller"), ("latency", "times faster")):
        if (times := figure_at(quality, f"ratios/{ratio}")) is not None:
            found.append((f"{times:,.1f} ×", caption.removeprefix("times ")))
    if (rate := figure_at(quality, "explanations/removal_pass_rate")) is not None:
        found.append((tables.share(rate), "of explanations hold"))
    return found


def figure_text(row: dict[str, Any]) -> str:
    """What was reached, in the unit of its bound."""
    if row["figure"].endswith("_usd"):
        return tables.dollars(row["reached"])
    if row["bound"] in (0.0, 0):
        return tables.signed(row["reached"])
    return f"{row['reached']:.4g}"
