"""All strategies by the name that settings and reports use."""

from __future__ import annotations

from training.ensemble.average import Average
from training.ensemble.strategy import Strategy
from training.ensemble.super_stacking import BASES, SuperStacking

STRATEGIES: dict[str, type[Strategy]] = {
    Average.name: Average,
    **BASES,
    SuperStacking.name: SuperStacking,
}
