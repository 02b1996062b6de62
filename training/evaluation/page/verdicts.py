"""View of the page's first section: each bound beside the figure reached, and the few figures to remember."""

from __future__ import annotations

from training.evaluation.page import tables
from training.evaluation.page.tables import View
from training.evaluation.requirements import shipped_name
from training.quality.schema import Quality, Verdict


def verdicts(quality: Quality) -> View:
    """Show tiles, the misses in words, and the lists of verdicts. is_promised: promises were made for this data."""
    groups = {
        "The service": quality.requirements or [],
        "The recipe, against the shop's own baselines": quality.targets or [],
        "As promised for UCI Online Retail": quality.promises or [],
    }
    every = [verdict for group in groups.values() for verdict in group]
    return {
        "tiles": tiles(quality),
        "groups": {title: group for title, group in groups.items() if group},
        "missed": [verdict for verdict in every if not verdict.met],
        "n_bounds": len(every),
        "is_promised": bool(quality.promises),
        "price": quality.price_per_vcpu_hour_usd,
    }


def tiles(quality: Quality) -> list[tuple[str, str]]:
    """Return figure and caption of what a reader should remember, as far as it was measured."""
    shipped = shipped_name(quality)
    found: list[tuple[str, str]] = []
    for part in list(quality.protocols.values())[:1]:
        if {"ensemble", shipped} <= set(part.models):
            theirs, ours = (part.models[name]["catalogue_ndcg@20"] for name in ("ensemble", shipped))
            found.append((tables.score(theirs), "the ensemble's NDCG@20, whole catalogue"))
            found.append(
                (tables.share(ours / theirs) if theirs else tables.NOTHING, "of it kept by the student")
            )
    for ratio, caption in (("size", "smaller"), ("latency", "faster")):
        if ratio in quality.ratios:
            found.append((f"{quality.ratios[ratio]:,.1f} ×", caption))
    if quality.explanations and quality.explanations.removal_pass_rate is not None:
        found.append((tables.share(quality.explanations.removal_pass_rate), "of explanations hold"))
    return found


def reached(verdict: Verdict) -> str:
    """Format what was reached, in the unit of its bound."""
    if verdict.figure.endswith("_usd"):
        return tables.dollars(verdict.reached)
    if verdict.bound == 0.0:
        return tables.signed(verdict.reached)
    return f"{verdict.reached:.4g}"
